# SPDX-License-Identifier: Apache-2.0
"""Asking real bridges: where their control socket is, what they answer, how a trace is read."""

import json
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from vneter_sdn.daemon.live_tracing import _ports, ask, control_socket
from vneter_sdn.errors import DecodeError, SouthboundError
from vneter_sdn.simulate.trace import passed

TUNNELLED = """\
Flow: tcp,in_port=2,vlan_tci=0x0000,dl_src=02:00:00:00:00:01,nw_ttl=64

bridge("br-int")
----------------
 0. in_port=2, priority 300, cookie 0x7603
    goto_table:132
132. dl_dst=02:00:02:00:00:00/ff:ff:ff:00:00:00, priority 200, cookie 0x7604
    group:7
     -> bucket 0: not live due to port 9
     -> using bucket 1
    bucket 1
            output:5
             -> output to native tunnel
             -> tunneling to 192.0.2.2 via br-nic0

            bridge("br-nic0")
            -----------------
             0. priority 0
                NORMAL
                output:1
    output:NXM_NX_REG3[0..15]
     -> output port is 6
    output:77
     >> Nonexistent output port

Final flow: unchanged
Datapath actions: tnl_push(5)

===============================================================================
recirc(0x1) - resume conntrack with ct_state=trk|new
===============================================================================

Flow: recirc_id=0x1,ct_state=new|trk,tcp,in_port=2

bridge("br-int")
----------------
    thaw
        Resuming from table 144
144. priority 1, cookie 0x7605
    goto_table:150
150. No match.
    drop
180. priority 3, cookie 0x7606
    output:IN_PORT

Final flow: unchanged
Datapath actions: drop
"""


def test_a_trace_is_read_by_bridge():
    found = passed(TUNNELLED, "br-int")
    assert found.lookups == (
        (0, 300, 0x7603),
        (132, 200, 0x7604),
        (144, 1, 0x7605),
        (150, None, 0),
        (180, 3, 0x7606),
    )
    assert found.ports == (5, 6, 2)
    assert found.dead == {9}
    assert found.buckets == (1,)
    assert passed(TUNNELLED, "br-nic0").lookups == ((0, 0, 0),)


def test_what_is_no_trace_is_refused():
    with pytest.raises(DecodeError, match="no such bridge"):
        passed("no such bridge", "br-int")


def test_ports_of_a_bridge():
    shown = (
        "netdev@ovs-netdev: hit:1 missed:2\n"
        "  br-int:\n    br-int 65534/1: (tap)\n    h1-eth2 2/5: (system)\n"
        "    gn1 32769/none: (geneve: remote_ip=192.0.2.2)\n"
        "  br-nic0:\n    nic0 1/3: (system)\n"
    )
    assert _ports(shown, "br-int") == {"br-int": 65534, "h1-eth2": 2, "gn1": 32769}


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory(prefix="vc") as path:  # sockets have short paths
        yield Path(path)


def test_which_control_socket(directory):
    remote = f"unix:{directory}/db.sock"
    with pytest.raises(SouthboundError, match="no ovs-vswitchd"):
        control_socket(remote)
    for pid in (17, 23):
        (directory / f"ovs-vswitchd.{pid}.ctl").touch()
    (directory / "ovs-vswitchd.pid").write_text("17\n")
    assert control_socket(remote).name == "ovs-vswitchd.17.ctl"
    for other in ("ssl:192.0.2.1:6640", "tcp:127.0.0.1:6640"):
        with pytest.raises(SouthboundError, match="its database is"):
            control_socket(other)
    with pytest.raises(SouthboundError, match="OpenFlow alone"):
        control_socket("")


@pytest.fixture
def daemon(directory):
    """Answers one request with the values given, in two pieces."""
    path, asked = directory / "d.ctl", []
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    threads = []

    def serve(answer):
        def one():
            connection, _ = listening.accept()
            with connection:
                asked.append(json.loads(connection.recv(65536)))
                data = json.dumps(answer).encode() if answer is not None else b""
                connection.sendall(data[:5])
                connection.sendall(data[5:])

        threads.append(threading.Thread(target=one))
        threads[-1].start()
        return path

    yield serve, asked
    for thread in threads:
        thread.join(10)
    listening.close()


def test_asking(daemon):
    serve, asked = daemon
    assert (
        ask(serve({"id": 0, "result": "yes", "error": None}), "ofproto/trace", "br", "x") == "yes"
    )
    assert (asked[0]["method"], asked[0]["params"]) == ("ofproto/trace", ["br", "x"])


def test_refusals(daemon, directory):
    serve, _ = daemon
    with pytest.raises(SouthboundError, match="list: no such thing"):
        ask(serve({"id": 0, "result": None, "error": "no such\n thing"}), "list")
    with pytest.raises(SouthboundError, match="closed the connection"):
        ask(serve(None), "list")
    with pytest.raises(SouthboundError, match="No such file"):
        ask(directory / "none", "list")
