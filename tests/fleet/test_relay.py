# SPDX-License-Identifier: Apache-2.0
"""The relay on real interfaces: two namespaces, and the wire between them is a process."""

import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from vneter_sdn.fleet import relay
from vneter_sdn.fleet.layout import digest_of
from vneter_sdn.fleet.system import add_namespaces, delete_namespace, inside, ip_batch, set_sysctls

pytestmark = [
    pytest.mark.fleet,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
]
KIND = 0x88B5  # local experimental (IEEE 802)
HEAD = bytes.fromhex("ffffffffffff020000000001") + struct.pack("!H", KIND)


@pytest.fixture
def lab(tmp_path):
    """Namespaces left, middle and right: e0 - ma, mb - e0."""
    names = [f"vt{digest_of(str(tmp_path))[:7]}-{side}" for side in "lmr"]
    left, middle, right = names
    add_namespaces(names)
    try:
        for name in names:
            set_sysctls({"ipv6/conf/all/disable_ipv6": 1}, name)
            set_sysctls({"ipv6/conf/default/disable_ipv6": 1}, name)
        ip_batch(
            f"link add e0 netns {end} up type veth peer name m{at} netns {middle}"
            for end, at in ((left, "a"), (right, "b"))
        )
        ip_batch(["link set dev ma up", "link set dev mb up"], middle)
        for name, address in ((left, "192.0.2.1/24"), (right, "192.0.2.2/24")):
            ip_batch([f"address add {address} dev e0"], name)
        yield left, middle, right
    finally:
        for name in names:
            delete_namespace(name)


@contextmanager
def running(netns, tmp_path, *words):
    """A relay between ma and mb that moves frames."""
    ready = tmp_path / "pid"
    argv = ["nsenter", f"--net=/run/netns/{netns}", sys.executable, relay.__file__, "ma", "mb"]
    argv += ["--pidfile", str(ready), *words]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not ready.exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process):
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=5)
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])


@pytest.fixture
def ends(lab):
    """A packet socket at each end."""

    def opened():
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        made.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)
        made.bind(("e0", KIND))
        return made

    made = [inside(netns, opened) for netns in (lab[0], lab[2])]
    yield made
    for one in made:
        one.close()


def numbers(sock, most, patience=0.4):
    """(number, time) of frames that arrive, until there are so many or none comes any more."""
    found = []
    while len(found) < most and select.select([sock], [], [], patience)[0]:
        found.append((struct.unpack_from("!I", sock.recv(2048), 14)[0], time.monotonic()))
    return found


def send(sock, count, size=100):
    times = []
    for number in range(count):
        times.append(time.monotonic())
        sock.send(HEAD + struct.pack("!I", number) + bytes(size - 18))
    return times


def test_all_frames_pass_in_order_both_ways_and_no_sooner_than_the_delay(lab, ends, tmp_path):
    left, right = ends
    with running(
        lab[1], tmp_path, "--delay", "30", "--jitter", "10", "--reverse-delay", "5"
    ) as process:
        for source, target, least in ((left, right, 0.02), (right, left, 0.0)):
            sent = send(source, 300)
            seen = numbers(target, 300)
            assert [number for number, _ in seen] == list(range(300))
            assert all(at - sent[number] >= least for number, at in seen)
        told = ended(process)
    for way in ("ma->mb", "mb->ma"):
        assert told[way]["received"] == told[way]["sent"] == 300
        assert told[way]["sent_bytes"] == 300 * 100


def test_loss_is_exactly_what_the_seed_says(lab, ends, tmp_path):
    draws = random.Random(7)
    kept = [number for number in range(1000) if draws.random() >= 0.2]
    with running(lab[1], tmp_path, "--loss", "0.2", "--seed", "7", "--reverse-loss", "0"):
        send(ends[0], 1000)
        assert [number for number, _ in numbers(ends[1], len(kept) + 1)] == kept


def test_a_line_takes_its_time_and_drops_what_finds_no_room(lab, ends, tmp_path):
    # 1000 bytes at 0.8 Mbit/s are 10 ms; eleven are on the line or wait when the rest comes.
    with running(lab[1], tmp_path, "--rate", "0.8", "--limit", "10") as process:
        sent = send(ends[0], 40, 1000)
        seen = numbers(ends[1], 40)
        told = ended(process)["ma->mb"]
    assert told["sent"] == len(seen)
    assert told["dropped"] == 40 - len(seen) > 0
    assert seen[-1][1] - sent[0] >= 0.01 * len(seen)


def test_segments_and_checksums_that_are_yet_to_be_made_pass(lab, tmp_path):
    """TCP with every offload of a veth on: a megabyte arrives whole."""
    payload = random.Random(1).randbytes(1 << 20)
    with running(lab[1], tmp_path):
        server = inside(lab[2], lambda: socket.create_server(("192.0.2.2", 0)))
        address = server.getsockname()
        client = inside(lab[0], lambda: socket.create_connection(address, 5))
        taken = server.accept()[0]
        with server, client, taken:
            taken.settimeout(10)
            client.setblocking(False)
            sent, received = 0, bytearray()
            while len(received) < len(payload):
                if sent < len(payload) and select.select([], [client], [], 0)[1]:
                    sent += client.send(payload[sent:])
                if select.select([taken], [], [], 0.01)[0]:
                    received += taken.recv(1 << 20)
            assert bytes(received) == payload


def test_vlan_tags_stay(lab, ends, tmp_path):
    tagged = HEAD[:12] + struct.pack("!HHH", 0x8100, 0x2042, KIND) + b"tagged" + bytes(60)
    with running(lab[1], tmp_path):
        ends[0].send(tagged)

        def listening():
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            made.setsockopt(263, 8, 1)
            made.bind(("e0", 3))
            return made

        with inside(lab[2], listening) as sniffer:
            ends[0].send(tagged)
            while True:
                assert select.select([sniffer], [], [], 5)[0]
                data, notes, *_ = sniffer.recvmsg(2048, 64)
                if b"tagged" in data:
                    break
            [(_, _, aux)] = notes
            *_, tag, tpid = struct.unpack("=IIIHHHH", aux)
            assert (tag, tpid) == (0x2042, 0x8100)


def test_it_reports_when_asked_and_ends_when_an_interface_goes(lab, ends, tmp_path):
    with running(lab[1], tmp_path) as process:
        send(ends[0], 3)
        assert len(numbers(ends[1], 3)) == 3
        process.send_signal(signal.SIGUSR1)
        assert json.loads(process.stdout.readline())["ma->mb"]["sent"] == 3
        ip_batch(["link delete dev mb"], lab[1])
        out, error = process.communicate(timeout=5)
    assert process.returncode == 1
    assert "mb is gone" in error
    assert json.loads(out)["ma->mb"]["sent"] == 3


def test_an_interface_that_was_down_is_used_again(lab, ends, tmp_path):
    with running(lab[1], tmp_path):
        ip_batch(["link set dev mb down"], lab[1])
        send(ends[0], 2)
        ip_batch(["link set dev mb up"], lab[1])
        found = []
        while not found:
            send(ends[0], 1)
            found = numbers(ends[1], 1, 0.05)


def test_it_follows_its_parent(lab, tmp_path):
    ready = tmp_path / "pid"
    words = [sys.executable, relay.__file__, "ma", "mb", "--pidfile", str(ready)]
    script = "import subprocess, sys; subprocess.Popen(sys.argv[1:]); sys.stdin.read()"
    argv = ["nsenter", f"--net=/run/netns/{lab[1]}", sys.executable, "-c", script, *words]
    with subprocess.Popen([*argv, "--follow-parent"], stdin=subprocess.PIPE) as parent:
        while not (ready.exists() and ready.read_text()):
            time.sleep(0.01)
        held = os.pidfd_open(int(ready.read_text()))
        parent.kill()
    assert select.select([held], [], [], 5)[0]
    os.close(held)


def test_it_says_what_is_wrong(lab):
    argv = ["nsenter", f"--net=/run/netns/{lab[1]}", sys.executable, relay.__file__]
    for words, said in ((("ma", "nix"), "no interface nix"), (("ma", "mb", "--loss", "2"), "loss")):
        done = subprocess.run([*argv, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert said in done.stderr
