# SPDX-License-Identifier: Apache-2.0
"""Fleets come up, are finished after a kill at any moment, and go without a trace."""

import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from vneter_sdn.errors import IntentError, SouthboundError
from vneter_sdn.fleet.controller import deregister, register
from vneter_sdn.fleet.host import daemon_pids, vsctl
from vneter_sdn.fleet.layout import NETNS_DIR
from vneter_sdn.fleet.lifecycle import bring_up, status, tear_down
from vneter_sdn.fleet.records import read_hosts
from vneter_sdn.fleet.system import command_line, namespaces, processes_of, run
from vneter_sdn.fleet.topology import read_topology, star

pytestmark = pytest.mark.fleet
TOPOLOGIES = Path(__file__).parents[2] / "topologies"


def assert_gone(layout):
    assert namespaces(layout) == []
    assert processes_of(layout) == []
    assert not layout.run_dir.exists()


def ping(layout, host, address, *words):
    return run(
        ["ping", "-c", "2", "-i", "0.2", "-W", "2", *words, address],
        netns=f"{layout.prefix}-{host}",
    )


def test_hosts_have_daemons_addresses_and_a_wire(layout):
    hosts = bring_up(layout, star(3, nics=2))

    assert [host.name for host in hosts] == ["h1", "h2", "h3"]
    assert hosts[2].addresses == ("192.0.2.3", "198.18.1.3")
    assert all(host.ready for host in status(layout))
    assert len({pid for host in hosts for pid in daemon_pids(layout, host.name)}) == 6
    assert vsctl(hosts[0], "get", "Open_vSwitch", ".", "external_ids:system-id").strip() == "h1"
    for address in hosts[1].addresses:
        ping(layout, "h1", address, "-M", "do", "-s", str(1600 - 28))
    with pytest.raises(SouthboundError):
        ping(layout, "h1", hosts[1].addresses[0], "-M", "do", "-s", str(1601 - 28))
    tear_down(layout)
    assert_gone(layout)


def test_up_again_changes_nothing_and_may_add_hosts(layout):
    bring_up(layout, star(2))
    before = [daemon_pids(layout, name) for name in ("h1", "h2")]

    bring_up(layout, star(3))

    assert [daemon_pids(layout, name) for name in ("h1", "h2")] == before
    assert [host.ready for host in status(layout)] == [True] * 3
    with pytest.raises(IntentError, match="other hosts or wires"):
        bring_up(layout, star(2, nics=2))


def test_up_again_restarts_what_died(layout):
    bring_up(layout, star(2))
    ovsdb, vswitchd = daemon_pids(layout, "h1")
    for pid in (ovsdb, vswitchd):
        descriptor = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        _await_end(descriptor)
    assert [host.ready for host in status(layout)] == [False, True]

    bring_up(layout, star(2))

    assert all(host.ready for host in status(layout))
    ping(layout, "h1", "192.0.2.2")


@contextmanager
def sleeping(*prefix):
    """A process that would sleep for long, and is gone afterwards whatever happens.

    It has said that it runs, so what the prefix does to it, such as entering a namespace, is done.
    """
    words = [*prefix, "sh", "-c", "echo here; exec sleep 600"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"here\n"
            yield process
        finally:
            process.kill()


def _await_end(descriptor):
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(5000)
    os.close(descriptor)


_UP = """
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from vneter_sdn.fleet.layout import Layout
from vneter_sdn.fleet.lifecycle import bring_up
from vneter_sdn.fleet.topology import star
bring_up(Layout(sys.argv[1], Path(sys.argv[2])), star(4), progress=lambda l: print(l, flush=True))
"""


def kill_up_after(layout, lines):
    """Start `fleet up` and kill -9 it once it has said so many lines."""
    words = [sys.executable, "-c", _UP, layout.prefix, str(layout.run_dir)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(lines):
            assert process.stdout.readline()
        process.kill()


@pytest.mark.parametrize("lines", [0, 1, 2, 4])
def test_a_killed_up_can_be_repeated(layout, lines):
    kill_up_after(layout, lines)

    hosts = bring_up(layout, star(4))

    assert all(host.ready for host in status(layout))
    for host in hosts[1:]:
        ping(layout, "h1", host.addresses[0])


@pytest.mark.parametrize("lines", [0, 1, 2, 4])
def test_a_killed_up_can_be_torn_down(layout, lines):
    kill_up_after(layout, lines)

    tear_down(layout)
    tear_down(layout)

    assert_gone(layout)


def test_a_namespace_that_was_made_halfway_is_made_anew(layout):
    bring_up(layout, star(1))
    tear_down(layout)
    (NETNS_DIR / layout.host_netns("h1")).touch()

    bring_up(layout, star(1))

    assert status(layout)[0].ready


def test_down_ends_what_runs_inside_and_nothing_else(layout):
    bring_up(layout, star(1))
    netns = layout.host_netns("h1")
    with sleeping("nsenter", f"--net={NETNS_DIR / netns}") as within, sleeping() as without:
        tear_down(layout)
        assert within.wait(5) == -signal.SIGTERM
        assert without.poll() is None
    assert_gone(layout)


def test_a_pid_file_that_lies_ends_nobody(layout):
    bring_up(layout, star(1))
    with sleeping() as bystander:
        (layout.host_dir("h1") / "ovs-vswitchd.pid").write_text(str(bystander.pid))
        assert daemon_pids(layout, "h1")[1] is None
        tear_down(layout)
        assert "sleep" in command_line(bystander.pid)
    assert_gone(layout)


def test_down_leaves_what_others_put_into_the_run_directory(layout):
    bring_up(layout, star(1))
    other = layout.run_dir / "db.sock"
    other.touch()
    tear_down(layout)
    assert other.exists()
    other.unlink()


# GÉANT is as Abilene, with 1,500 pairs.
@pytest.mark.parametrize("name", sorted({p.stem for p in TOPOLOGIES.glob("*.yaml")} - {"geant"}))
def test_every_host_of_every_topology_reaches_every_tunnel_address(layout, name):
    hosts = bring_up(layout, read_topology(TOPOLOGIES / f"{name}.yaml"))
    pairs = [
        (source.name, address)
        for source in hosts
        for target in hosts
        if source is not target
        for address in target.addresses
    ]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda pair: ping(layout, *pair), pairs))
    assert answers
    assert all("bytes from" in answer for answer in answers)


def test_hosts_register_and_deregister_only_themselves(layout, controller):
    hosts = bring_up(layout, star(2))
    register(controller, hosts)
    assert controller.messages == ["fleet: hosts"]
    spec = controller.get("Host", "", "h2")["spec"]
    assert spec == {
        "ovsdb": f"unix:{layout.run_dir}/fleet/h2/db.sock",
        "tunnelAddresses": ["192.0.2.2"],
        "underlayMtu": 1600,
        "datapathType": "netdev",
    }
    spec["ovsdb"] = "ssl:192.0.2.77:6640"

    deregister(controller, read_hosts(layout))

    assert list(controller.objects) == [("Host", "", "h2")]


def test_twenty_hosts_come_up(layout):
    bring_up(layout, star(20))
    assert [host.ready for host in status(layout)] == [True] * 20
    ping(layout, "h20", "192.0.2.1")
