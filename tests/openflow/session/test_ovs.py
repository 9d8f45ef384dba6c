# SPDX-License-Identifier: Apache-2.0
"""Sessions with real Open vSwitch: versions, restarts on either side, TLS, hostile neighbours."""

from __future__ import annotations

import re
import resource
import signal
import socket
import struct
import subprocess
import sys

import eventlet
import pytest
from eventlet.green import socket as green

from vneter_sdn.errors import SouthboundError
from vneter_sdn.model.flow import BridgeState, Flow, Output, match
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.southbound.openflow.bridges import (
    BridgeConnected,
    BridgeDisconnected,
    PeerRefused,
)
from vneter_sdn.southbound.openflow.events import Reason
from vneter_sdn.southbound.openflow.session import Terms
from vneter_sdn.southbound.openflow.target import Target
from vneter_sdn.southbound.openflow.tls import Credentials, datapaths
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge, InSync

pytestmark = [pytest.mark.ovs, pytest.mark.filterwarnings("ignore")]
ONE, TWO = 0x11, 0x22


def flows(count: int) -> BridgeState:
    return BridgeState.of(
        Flow(0, 10, match(reg1=n), (Output(1),), None, Cookie(1, 1, n).number)
        for n in range(1, count + 1)
    )


def of(bridges, kind, count: int = 1):
    found = [event for event in bridges.seen if isinstance(event, kind)]
    return found[-1] if len(found) >= count else None


@pytest.fixture
def switch(ovs):
    """``switch(name, dpid, versions)`` makes a bridge that already had a controller."""

    def make(name: str, dpid: int, versions: str = "OpenFlow14,OpenFlow15") -> None:
        ovs.bridge(name, dpid, versions)
        ovs.controller(name, f"unix:{ovs.directory}/nobody")

    return make


@pytest.mark.parametrize(
    ("versions", "agreed"),
    [("OpenFlow15", 6), ("OpenFlow14", 5), ("OpenFlow13,OpenFlow14,OpenFlow15", 6)],
)
def test_the_best_common_version_is_spoken(
    ovs, switch, make_bridges, eventually, versions, agreed
) -> None:
    switch("br0", ONE, versions)
    bridges = make_bridges()
    bridges.listen(f"unix:{ovs.directory}/c")
    bridges.desire(ONE, DesiredBridge(flows(10), 1))
    ovs.controller("br0", f"unix:{ovs.directory}/c")
    assert eventually(lambda: of(bridges, BridgeConnected)).version == agreed
    eventually(lambda: of(bridges, InSync))
    assert len(ovs.flows("br0")) == 10


def test_a_bridge_without_our_versions_is_refused_with_a_condition(
    ovs, switch, make_bridges, eventually
) -> None:
    switch("br0", ONE, "OpenFlow13")
    bridges = make_bridges()
    bridges.listen(f"unix:{ovs.directory}/c")
    ovs.controller("br0", f"unix:{ovs.directory}/c")
    refused = eventually(lambda: of(bridges, PeerRefused))
    assert refused.reason is Reason.OPENFLOW_VERSION
    assert refused.listener == f"unix:{ovs.directory}/c"


def ages(ovs, name: str) -> dict[str, float]:
    found = {}
    for line in ovs.flows(name):
        cookie, age = re.search(r"cookie=(\w+), duration=([\d.]+)s", line).groups()
        found[cookie] = float(age)
    return found


def test_a_controller_restart_deletes_and_adds_nothing(
    ovs, switch, make_bridges, eventually
) -> None:
    switch("br0", ONE)
    ovs.ofctl("add-flow", "br0", "priority=7,actions=drop")
    first = make_bridges()
    first.listen(f"unix:{ovs.directory}/c")
    first.desire(ONE, DesiredBridge(flows(50), 1))
    ovs.controller("br0", f"unix:{ovs.directory}/c")
    eventually(lambda: of(first, InSync))
    before = ages(ovs, "br0")
    first.close()
    second = make_bridges()
    second.listen(f"unix:{ovs.directory}/c")
    second.desire(ONE, DesiredBridge(flows(50), 1))
    assert not eventually(lambda: of(second, InSync)).plan
    after = ages(ovs, "br0")
    assert before.keys() == after.keys()
    assert len(after) == 51
    assert all(after[cookie] >= before[cookie] for cookie in before)


_HALF = """
import os, sys, warnings
os.environ["OSKEN_HUB_TYPE"] = "eventlet"
warnings.simplefilter("ignore")
import eventlet
from vneter_sdn.model.flow import BridgeState, Flow, match
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.southbound.openflow import session
from vneter_sdn.southbound.openflow.bridges import OpenFlowBridges
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge
whole, state = session.Session._chunk, {"sent": False}
def half(self, messages):
    if state["sent"]:
        print("half", flush=True)
        eventlet.sleep(60)
    state["sent"] = True
    return whole(self, messages)
session.Session._chunk = half
bridges = OpenFlowBridges()
bridges.listen(sys.argv[1])
flows = [Flow(0, 10, match(reg1=n), (), None, Cookie(1, 1, n).number) for n in range(1, 5000)]
bridges.desire(0x11, DesiredBridge(BridgeState.of(flows), 1))
eventlet.sleep(60)
"""


def test_a_controller_killed_in_the_middle_of_a_bundle_leaves_nothing_of_it(
    ovs, switch, make_bridges, eventually
) -> None:
    switch("br0", ONE)
    child = subprocess.Popen(
        [sys.executable, "-c", _HALF, f"unix:{ovs.directory}/c"], stdout=subprocess.PIPE
    )
    try:
        with eventlet.Timeout(20):
            ovs.controller("br0", f"unix:{ovs.directory}/c")
            assert child.stdout.readline() == b"half\n"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert ovs.flows("br0") == []
    bridges = make_bridges()
    bridges.listen(f"unix:{ovs.directory}/c")
    bridges.desire(ONE, DesiredBridge(flows(50), 1))
    eventually(lambda: of(bridges, InSync))
    assert len(ovs.flows("br0")) == 50


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture
def tls_bridges(make_bridges, authority):
    bridges = make_bridges(credentials=Credentials(*authority("controller")))
    return bridges, bridges.listen("pssl:0:127.0.0.1").address[1]


@pytest.mark.parametrize(
    ("issued", "reason"),
    [
        (("good", f"urn:vneter:dpid:{ONE:016x}"), None),
        (("spiffe", f"spiffe://fleet.example/site/a/switch/{ONE:016x}"), None),
        (("wrong", f"urn:vneter:dpid:{TWO:016x}"), Reason.UNEXPECTED_DATAPATH),
        (("nameless",), Reason.TLS_REFUSED),
        (("stranger", f"urn:vneter:dpid:{ONE:016x}"), Reason.TLS_REFUSED),
    ],
)
def test_tls_lets_in_who_the_certificate_names(
    ovs, tls_bridges, eventually, authority, issued, reason
) -> None:
    ovs.bridge("br0", ONE)
    bridges, port = tls_bridges
    bridges.desire(ONE, DesiredBridge(flows(50), 1))
    ca = "other" if issued[0] == "stranger" else "ca"
    key, certificate, _ = authority(*issued, ca=ca)
    ovs.vsctl("set-ssl", key, certificate, authority("controller")[2])
    ovs.controller("br0", f"ssl:127.0.0.1:{port}")
    if reason is None:
        eventually(lambda: of(bridges, InSync))
        assert len(ovs.flows("br0")) == 50
    else:
        eventually(lambda: bridges.tally.of("refused", reason))
        assert of(bridges, BridgeConnected) is None
        assert ovs.flows("br0") == []


def test_tls_without_a_certificate_or_a_word_is_refused(
    make_bridges, eventually, authority
) -> None:
    bridges = make_bridges(
        terms=Terms(handshake=0.3), credentials=Credentials(*authority("controller"))
    )
    port = bridges.listen("pssl:0:127.0.0.1").address[1]
    silent = green.create_connection(("127.0.0.1", port))
    eventually(lambda: bridges.tally.of("refused", Reason.TLS_REFUSED) == 1)
    assert silent.recv(10) == b""
    silent.close()
    child = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    eventually(lambda: bridges.tally.of("refused", Reason.TLS_REFUSED) == 2)
    child.wait(10)


def test_names_in_certificates_are_read_to_the_letter() -> None:
    def named(*uris):
        return datapaths({"subjectAltName": tuple(("URI", uri) for uri in uris)})

    assert named("urn:vneter:dpid:00000000000000ff") == {255}
    assert named("spiffe://a.b/switch/00000000000000ff") == {255}
    for uri in ("urn:vneter:dpid:ff", "URN:VNETER:DPID:00000000000000ff", "x" * 40,
                "urn:vneter:dpid:00000000000000ff\n", "spiffe://a/host/00000000000000ff",
                "urn:vneter:dpid:00000000000000FF"):  # fmt: skip
        assert not named(uri)
    assert not datapaths(None)
    assert not datapaths({"subjectAltName": (("DNS", "urn:vneter:dpid:00000000000000ff"),)})


@pytest.mark.parametrize("text", ["ptcp:6653:0.0.0.0", "ptcp:6653:192.0.2.1", "ptcp:6653:[::]"])
def test_plain_tcp_off_loopback_needs_to_be_asked_for(text) -> None:
    with pytest.raises(SouthboundError):
        Target.of(text)
    assert Target.of(text, insecure_lab=True).port == 6653


@pytest.mark.parametrize("text", ["", "unix:", "tcp:1:127.0.0.1", "ptcp:x:127.0.0.1", "ptcp:1",
                                  "pssl:70000:127.0.0.1", "pssl:1:localhost"])  # fmt: skip
def test_other_targets_are_refused(text) -> None:
    with pytest.raises(SouthboundError):
        Target.of(text)


def test_a_unix_door_is_private_and_may_be_closed_and_opened_again(
    directory, make_bridges, eventually
) -> None:
    bridges, path = make_bridges(), directory / "c"
    for _ in range(2):
        bridges.listen(f"unix:{path}")
        assert path.stat().st_mode & 0o777 == 0o600
        bridges.unlisten(f"unix:{path}")
        assert not path.exists()
    path.write_text("not a socket")
    with pytest.raises(OSError, match="in use"):
        bridges.listen(f"unix:{path}")
    assert path.read_text() == "not a socket"


# -- neighbours -----------------------------------------------------------------------------------

HELLO = bytes.fromhex("06000010 00000001 0001 0008 00000060")


def features(dpid: int, xid: int) -> bytes:
    return struct.pack("!BBHIQIBB2xII", 6, 6, 32, xid, dpid, 0, 254, 0, 0, 0)


def ask(sock) -> tuple[int, int]:
    """Type and xid of the next message the controller sends."""
    head = b""
    while len(head) < 8:
        head += sock.recv(8 - len(head))
    _, kind, length, xid = struct.unpack("!BBHI", head)
    left = length - 8
    while left:
        left -= len(sock.recv(left))
    return kind, xid


def pose(port: int, dpid: int):
    """A peer that says it is a bridge, up to FEATURES."""
    sock = green.create_connection(("127.0.0.1", port))
    sock.sendall(HELLO)
    while True:
        kind, xid = ask(sock)
        if kind == 5:
            sock.sendall(features(dpid, xid))
            return sock


def garbage(port: int):
    sock = green.create_connection(("127.0.0.1", port))
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n" * 20)
    return [sock]


def half_hello(port: int):
    sock = green.create_connection(("127.0.0.1", port))
    sock.sendall(HELLO[:11])
    return [sock]


def lying_hello(port: int):
    sock = green.create_connection(("127.0.0.1", port))
    sock.sendall(bytes.fromhex("0600001000000001 00010000 00000000"))
    return [sock]


def idle(port: int):
    return [green.create_connection(("127.0.0.1", port)) for _ in range(100)]


def zero_window(port: int):
    """Answers the handshake and the read-back, then takes nothing of a large plan."""
    sock = green.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    sock.sendall(HELLO)
    kinds = 0
    while kinds < 4:
        kind, xid = ask(sock)
        if kind == 5:
            sock.sendall(features(TWO, xid))
        elif kind == 24:
            sock.sendall(struct.pack("!BBHIIIQ", 6, 25, 24, xid, 2, 0, 0))
        elif kind == 18:
            number = (13, 7, 10, 1)[kinds]
            sock.sendall(struct.pack("!BBHIHH4x", 6, 19, 16, xid, number, 0))
            kinds += 1
    return [sock]


@pytest.mark.parametrize("attack", [garbage, half_hello, lying_hello, idle, zero_window])
def test_a_hostile_peer_costs_the_others_nothing(
    ovs, switch, make_bridges, eventually, attack
) -> None:
    switch("br0", ONE)
    bridges = make_bridges(terms=Terms(echo_interval=0.2, handshake=0.5))
    port = bridges.listen("ptcp:0:127.0.0.1").address[1]
    bridges.desire(TWO, DesiredBridge(flows(30_000), 1))
    sockets = attack(port)
    ovs.controller("br0", f"tcp:127.0.0.1:{port}")
    bridges.desire(ONE, DesiredBridge(flows(50), 1))
    eventually(lambda: any(isinstance(e, InSync) and e.dpid == ONE for e in bridges.seen))
    eventually(lambda: bridges.tally.of("closed") + bridges.tally.of("refused") >= len(sockets))
    bridges.desire(ONE, DesiredBridge(flows(60), 2))
    eventually(lambda: any(isinstance(e, InSync) and e.revision == 2 for e in bridges.seen))
    assert not any(isinstance(e, BridgeDisconnected) and e.dpid == ONE for e in bridges.seen)
    assert len(ovs.flows("br0")) == 60
    assert not bridges.tally.of("exceptions")
    for sock in sockets:
        sock.close()


def test_a_second_claim_to_a_datapath_id_is_refused_while_the_first_lives(
    ovs, switch, make_bridges, eventually
) -> None:
    switch("br0", ONE)
    bridges = make_bridges()
    port = bridges.listen("ptcp:0:127.0.0.1").address[1]
    bridges.desire(ONE, DesiredBridge(flows(50), 1))
    ovs.controller("br0", f"tcp:127.0.0.1:{port}")
    eventually(lambda: of(bridges, InSync))
    liar = pose(port, ONE)
    assert eventually(lambda: of(bridges, PeerRefused)).reason is Reason.DUPLICATE_DATAPATH
    assert of(bridges, BridgeDisconnected) is None
    liar.close()
    # A holder that is silent gives way.
    ovs.switch.send_signal(signal.SIGSTOP)
    try:
        newcomer = pose(port, ONE)
        gone = eventually(lambda: of(bridges, BridgeDisconnected))
        assert gone.reason in (Reason.REPLACED, Reason.ECHO_TIMEOUT)
    finally:
        ovs.switch.send_signal(signal.SIGCONT)
    newcomer.close()


_FEW = """
import os, sys, resource, warnings
resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
os.environ["OSKEN_HUB_TYPE"] = "eventlet"
warnings.simplefilter("ignore")
import eventlet
from vneter_sdn.model.flow import BridgeState, Flow, match
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.southbound.openflow.bridges import OpenFlowBridges, Upkeeping
from vneter_sdn.southbound.openflow.session import Terms
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge, InSync
bridges = OpenFlowBridges(Upkeeping(terms=Terms(handshake=1.0)))
bridges.subscribe(lambda e: print(type(e).__name__, flush=True) if isinstance(e, InSync) else 0)
print(bridges.listen("ptcp:0:127.0.0.1").address[1], flush=True)
flows = [Flow(0, 10, match(reg1=n), (), None, Cookie(1, 1, n).number) for n in range(1, 51)]
bridges.desire(0x11, DesiredBridge(BridgeState.of(flows), 1))
eventlet.spawn_after(0, lambda: None)
while not bridges.tally.of("fd_exhausted"):
    eventlet.sleep(0.05)
print("exhausted", flush=True)
eventlet.sleep(60)
"""


def test_running_out_of_descriptors_does_not_close_the_door(ovs, switch) -> None:
    switch("br0", ONE)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 250
    child = subprocess.Popen([sys.executable, "-c", _FEW], stdout=subprocess.PIPE, text=True)
    try:
        port = int(child.stdout.readline())
        idle_peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        assert child.stdout.readline() == "exhausted\n"
        ovs.controller("br0", f"tcp:127.0.0.1:{port}")
        assert child.stdout.readline() == "InSync\n"
        assert len(ovs.flows("br0")) == 50
        for peer in idle_peers:
            peer.close()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def udp(ttl: int) -> bytes:
    def checksum(data: bytes) -> int:
        total = sum(struct.unpack(f"!{len(data) // 2}H", data))
        total = (total & 0xFFFF) + (total >> 16)
        return ~(total + (total >> 16)) & 0xFFFF

    ends = bytes([10, 0, 0, 1, 10, 0, 1, 1])
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, ttl, 17, 0) + ends
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    ports = struct.pack("!HHHH", 1, 2, 8, 0)
    return bytes.fromhex("020000000001 020000000002 0800") + ip + ports


@pytest.mark.parametrize("versions", ["OpenFlow14", "OpenFlow15"])
def test_a_punted_packet_is_answered_out_of_the_port_it_came_by(
    ovs, switch, make_bridges, eventually, versions
) -> None:
    from ipaddress import ip_address

    from vneter_sdn_apps.icmp_errors import IcmpErrors

    from vneter_sdn.model.flow import Punt
    from vneter_sdn.pipeline.complaints import Complaint, Fault
    from vneter_sdn.southbound.openflow.apphost import AppHost

    switch("br0", ONE, versions)
    capture = ovs.directory / "tx.pcap"
    ovs.vsctl("set", "interface", "br0p1", f"options:tx_pcap={capture}")
    bridges = make_bridges()
    host = AppHost(bridges)
    app = host.start(IcmpErrors)
    bridges.listen(f"unix:{ovs.directory}/c")
    why = Complaint(Fault.EXPIRED, ip_address("10.0.0.254"), 0x020000000001, 1, 2).encode()
    punting = Flow(0, 10, match(in_port=1), (Punt(why),), None, Cookie(1, 1, 1).number)
    bridges.desire(ONE, DesiredBridge(BridgeState.of([punting]), 1))
    ovs.controller("br0", f"unix:{ovs.directory}/c")
    eventually(lambda: of(bridges, InSync))
    ovs.run("ovs-appctl", "-t", "ovs-vswitchd", "netdev-dummy/receive", "br0p1", udp(1).hex())
    eventually(app.counts.total)
    assert app.counts == {("expired", "answered"): 1}
    answer = bytes.fromhex("020000000002 020000000001 0800")
    eventually(lambda: answer in capture.read_bytes())
    host.close()
