# SPDX-License-Identifier: Apache-2.0
"""Host sessions against real ovsdb-server and ovs-vswitchd (dummy datapath), and against liars."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from vneter_sdn.model.rows import HostRows, TunnelPort
from vneter_sdn.ovsdb.client import Limits
from vneter_sdn.southbound.ovsdb.observe import ObservedPort
from vneter_sdn.southbound.ovsdb.session import HostSession, Listener, Runtime

QUICK = Runtime(limits=Limits(deadline=2.0, probe=2.0))
ROWS = HostRows(
    "br-int",
    "dummy",
    0xABC,
    "unix:/nonexistent/x",
    (TunnelPort("t2", "geneve", "192.0.2.1", "192.0.2.2", 0x8002, "h2"),),
    ("classify", "output"),
)


def eventually(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "never became true"
        time.sleep(0.01)
    return value


class Heard:
    """What a session said, newest last."""

    def __init__(self):
        self.ports, self.tunnels, self.states = [], [], []
        self.listener = Listener(
            lambda _, ports: self.ports.append(ports),
            lambda _, tunnels: self.tunnels.append(tunnels),
            lambda _, state: self.states.append(state),
        )

    def reasons(self):
        return [state.reason for state in self.states]

    def now(self, reason):
        return bool(self.states) and self.states[-1].reason == reason


@pytest.fixture
def session():
    opened = []

    def make(address, name="h1", runtime=QUICK, listener=None):
        heard = Heard()
        one = HostSession(name, address, "br-int", listener or heard.listener, runtime)
        opened.append((one, heard))
        one.start()
        return one, heard

    yield make
    for one, _ in opened:
        one.close()
    for one, heard in opened:
        if one._listener is heard.listener:
            eventually(lambda heard=heard: heard.now("Closed"))


@pytest.fixture
def switch(ovs):
    sandbox = ovs()
    sandbox.start_database()
    sandbox.start_switch()
    return sandbox


@pytest.mark.ovs
def test_programs_a_host_and_hears_of_its_ports(switch, session):
    switch.vsctl("--no-wait", "set", "Open_vSwitch", ".", "ovs_version=3.1.0")
    one, heard = session(switch.remote)
    eventually(lambda: heard.now("Waiting"))
    assert switch.vsctl("list-br") == ""
    one.set_desired(ROWS)
    eventually(lambda: heard.now("InSync"))
    eventually(lambda: heard.states[-1].facts.dpid == 0xABC)
    assert "dummy" in heard.states[-1].facts.datapath_types
    assert heard.states[-1].facts.ovs_version == "3.1.0"
    eventually(lambda: heard.tunnels[-1] and heard.tunnels[-1][0].ofport == 0x8002)
    eventually(lambda: heard.tunnels[-1][0].bfd == "down")
    assert (heard.tunnels[-1][0].name, heard.tunnels[-1][0].peer) == ("t2", "h2")
    switch.vsctl(
        *("add-port", "br-int", "v1", "--", "set", "Interface", "v1", "type=dummy"),
        *("ofport_request=7", "external_ids:iface-id=red/web"),
        "external_ids:attached-mac=02:00:00:00:00:01",
    )
    port = ObservedPort("red/web", "v1", 7, "02:00:00:00:00:01")
    eventually(lambda: heard.ports[-1] == (port,))
    switch.vsctl("del-port", "v1")
    eventually(lambda: heard.ports[-1] == ())


@pytest.mark.ovs
def test_repairs_at_once_and_after_a_restart(switch, session):
    one, heard = session(switch.remote)
    one.set_desired(ROWS)
    eventually(lambda: heard.now("InSync"))
    switch.vsctl("del-port", "t2", "--", "set", "Bridge", "br-int", "other_config={}")
    eventually(lambda: "t2" in switch.vsctl("list-ports", "br-int"))
    eventually(lambda: "datapath-id" in switch.vsctl("get", "Bridge", "br-int", "other_config"))
    seen = len(heard.states)
    switch.stop("ovsdb-server")
    eventually(lambda: heard.now("Unreachable"))
    (switch.directory / "conf.db").unlink()
    switch.start_database()
    switch.vsctl("--no-wait", "init")
    eventually(lambda: "br-int" in switch.vsctl("list-br"))
    eventually(lambda: heard.now("InSync"))
    assert "Unreachable" in heard.reasons()[seen:]


@pytest.mark.ovs
def test_absence_of_a_host_is_not_absence_of_its_ports(switch, session):
    one, heard = session(switch.remote)
    one.set_desired(ROWS)
    eventually(lambda: heard.now("InSync"))
    switch.vsctl(
        *("add-port", "br-int", "v1", "--", "set", "Interface", "v1", "type=dummy"),
        "external_ids:iface-id=red/web",
    )
    eventually(lambda: heard.ports[-1])
    switch.stop("ovsdb-server")
    eventually(lambda: heard.now("Unreachable"))
    assert heard.ports[-1]
    before = len(heard.ports)
    switch.start_database()
    eventually(lambda: heard.now("InSync"))
    assert all(ports for ports in heard.ports[before:])


@pytest.mark.ovs
def test_nothing_desired_deletes_nothing(switch, session):
    one, heard = session(switch.remote)
    one.set_desired(ROWS)
    eventually(lambda: heard.now("InSync"))
    one.close()
    eventually(lambda: heard.now("Closed"))
    _, again = session(switch.remote)
    eventually(lambda: again.now("Waiting"))
    assert "t2" in switch.vsctl("list-ports", "br-int")
    assert set(again.reasons()) == {"Waiting"}


@pytest.mark.ovs
def test_an_unreachable_host_delays_nobody(switch, session, fake, tmp_path):
    def silent(peer):
        while peer.recv(65536):
            pass

    def lying(peer):
        peer.sendall(b"\xff")
        silent(peer)  # who closes before all is read takes back what was said

    _, gone = session(f"unix:{tmp_path}/none", "gone")
    _, mute = session(fake(silent), "mute")
    _, liar = session(fake(lying), "liar")
    one, heard = session(switch.remote)
    one.set_desired(ROWS)
    eventually(lambda: heard.now("InSync"))
    eventually(lambda: "Unreachable" in gone.reasons())
    eventually(lambda: "Unreachable" in mute.reasons())
    eventually(lambda: "ProtocolError" in liar.reasons())
    assert "none" in gone.states[-1].message
    assert gone.ports == mute.ports == liar.ports == []
    assert heard.now("InSync")


@pytest.mark.ovs
def test_refused_rows_are_reported_and_retried_without_a_storm(database, session):
    one, heard = session(database.remote)
    one.set_desired(ROWS)
    eventually(lambda: heard.now("RowsRefused"))
    assert "init" in heard.states[-1].message
    database.vsctl("--no-wait", "init")
    eventually(lambda: heard.now("InSync"))
    bad = TunnelPort("t3", "geneve", "192.0.2.1", "192.0.2.3", 99999, "h3")
    one.set_desired(HostRows("br-int", "dummy", 1, "", (bad,)))
    eventually(lambda: heard.now("RowsRefused"))
    assert "constraint violation" in heard.states[-1].message
    eventually(lambda: one._failures >= 3)
    assert len(heard.states) < 10
    one.set_desired(ROWS)
    eventually(lambda: heard.now("InSync"))


@pytest.mark.ovs
def test_rows_of_others_in_the_way_are_named(database, session):
    database.vsctl("--no-wait", "init", "--", "add-br", "br-ext", "--", "add-port", "br-ext", "t2")
    one, heard = session(database.remote)
    one.set_desired(ROWS)
    eventually(lambda: heard.now("RowsWithheld"))
    assert "Port t2" in heard.states[-1].message


@pytest.mark.ovs
def test_a_listener_that_fails_ends_only_the_connection(database, session, caplog):
    states = []

    def fail(*_):
        raise RuntimeError("boom")

    listener = Listener(fail, fail, lambda _, state: states.append(state))
    session(database.remote, listener=listener)
    eventually(lambda: states and states[-1].reason == "Failed")
    assert "boom" in states[-1].message
    assert "session failed" in caplog.text


PROGRAM = """
import sys
import eventlet, eventlet.green.select, eventlet.green.socket
from vneter_sdn.model.rows import HostRows
from vneter_sdn.ovsdb.client import Limits
from vneter_sdn.ovsdb.transport import Network
from vneter_sdn.southbound.ovsdb.session import HostSession, Listener, Runtime

runtime = Runtime(
    spawn=eventlet.spawn,
    network=Network(eventlet.green.socket, eventlet.green.select.select),
    limits=Limits(deadline=3.0),
)
states = {}
listener = Listener(
    lambda *_: None, lambda *_: None, lambda name, state: states.__setitem__(name, state.reason)
)
sessions = [
    HostSession(name, address, "br-int", listener, runtime)
    for name, address in zip(("mute", "gone", "h1"), sys.argv[1:])
]
for session in sessions:
    session.start()
eventlet.sleep(0)
with eventlet.Timeout(20):
    while states.get("h1") != "Waiting":
        eventlet.sleep(0.01)
    sessions[2].set_desired(HostRows("br-int", "dummy", 5, ""))
    while states.get("h1") != "InSync" or states.get("gone") != "Unreachable":
        eventlet.sleep(0.01)
    print(states.get("mute", "Connecting"))
    for session in sessions:
        session.close()
    while set(states.values()) != {"Closed"}:
        eventlet.sleep(0.01)
"""


@pytest.mark.ovs
def test_runs_on_greenthreads_without_patching(database, fake, tmp_path):
    database.vsctl("--no-wait", "init")

    def silent(peer):
        while peer.recv(65536):
            pass

    remotes = [fake(silent), f"unix:{tmp_path}/none", database.remote]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(PROGRAM), *remotes],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert database.vsctl("list-br").split() == ["br-int"]
