# SPDX-License-Identifier: Apache-2.0
"""Programs written against Ryu's documented interface run unmodified, on real bridges."""

import json
import re
import signal

import pytest

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]


@pytest.fixture
def pair(lab):
    """Two bridges in a row, a workload on each."""
    lab.bridge(1)
    lab.bridge(2)
    lab.link(1, 2)
    lab.workload("a", 1)
    lab.workload("b", 2)
    return lab


def test_a_learning_switch_with_the_packet_library(pair, programs):
    process = pair.program(programs / "switching.py")
    pair.await_ping("a", "b")
    assert pair.ping("a", "b", 20) == 20
    assert "priority=1" in pair.ofctl("dump-flows", "s2")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert "Traceback" not in pair.said()


def test_rest_by_routes_and_by_the_mapper(pair, programs):
    pair.program(programs / "rest.py")
    pair.await_ping("a", "b")
    assert pair.curl("/plain") == "[1, 2]"
    assert len(json.loads(pair.curl(f"/tables/{1:016x}"))) == 2
    entry = json.dumps({"mac": "02:00:00:00:00:99", "port": 7})
    assert json.loads(pair.curl(f"/tables/{1:016x}", "-X", "PUT", "-d", entry))["port"] == 7
    assert json.loads(pair.curl(f"/tables/{1:016x}"))["02:00:00:00:00:99"] == 7
    status = ("-o", "/dev/null", "-w", "%{http_code}")
    assert pair.curl(f"/tables/{9:016x}", *status) == "404"
    assert pair.curl("/tables/nonsense", *status) == "404"
    assert pair.curl(f"/tables/{1:016x}", *status, "-X", "DELETE") == "404"
    assert pair.curl("/broken", *status) == "500"
    assert "a bug in a program" in pair.said()
    assert pair.ping("a", "b") == 1


def test_topology_by_lldp(pair, programs):
    pair.program("--observe-links", programs / "links.py")
    found = json.dumps({"switches": [1, 2], "links": [[1, 2], [2, 1]]})
    pair.until(lambda: found in pair.said(), "both links are found")
    pair.cut(1, 2)
    pair.until(lambda: "lost 1 2" in pair.said() and "lost 2 1" in pair.said(), "both are lost")
    gone = json.dumps({"switches": [1, 2], "links": []})
    pair.until(lambda: pair.said().rstrip().endswith(gone), "none is left")


def test_statistics(pair, programs):
    pair.program(programs / "statistics.py")
    pair.await_ping("a", "b")
    wanted = (
        r"flow 1 02:00:00:00:00:02 \d+",
        r"ports 1 3 [1-9]",
        "description Open vSwitch",
        r"tables \d+",
    )
    for one in wanted:
        pair.until(lambda one=one: re.search(one, pair.said()), one)
    pair.drop(2)
    pair.until(lambda: "gone 2" in pair.said(), "the switch is gone")
    assert "left out" not in pair.said()


def test_openflow_10_and_options(lab, programs):
    lab.bridge(1, protocols="OpenFlow10,OpenFlow13")
    for name in ("a", "b"):
        lab.workload(name, 1)
    lab.ofctl("add-flow", "s1", "priority=9,dl_type=0x88b5,actions=output:1")
    lab.program(programs / "first_version.py", "--", "--greeting", "hello")
    lab.await_ping("a", "b")
    said = lab.said()
    assert "greeting hello 020000000001" in said
    assert "ports ['p-a', 'p-b', 's1']" in said
    lab.until(lambda: "flows [1]" in lab.said(), "flow statistics")


def test_two_programs_at_once_that_extend_each_other(pair, programs):
    pair.program("--observe-links", programs / "switching.py", programs / "links.py")
    pair.await_ping("a", "b")
    pair.until(lambda: '"links": [[1, 2], [2, 1]]' in pair.said(), "links")


def test_a_handler_that_raises_or_never_ends_costs_one_event(pair, programs):
    pair.program("--patience", "1", programs / "faulty.py")
    pair.await_ping("a", "b")
    pair.until(lambda: "a bug in a handler" in pair.said(), "the exception is told")
    assert "Blocking detector ALARMED" in pair.said()
    assert pair.ping("a", "b", 5) == 5


def test_a_frame_that_would_hang_the_packet_library_does_not(pair, programs):
    pair.program("--patience", "1", programs / "switching.py")
    pair.await_ping("a", "b")
    # TCP with an option of kind 29 and length 0 (RFC 9293 §3.1), to somebody new and thus punted.
    tcp = bytes.fromhex("1234 0050 00000000 00000000 6002 ffff 0000 0000 1d000000")
    ip = bytes.fromhex("4500 002c 0001 0000 4006 0000 0a080001 0a0800fe")
    pair.send("a", bytes.fromhex("0200000000fe 0200000000ab 0800") + ip + tcp)
    pair.send("b", bytes.fromhex("0200000000ab 0200000000fe 0806") + bytes(46))
    pair.until(lambda: "dl_dst=02:00:00:00:00:ab" in pair.ofctl("dump-flows", "s1"), "both heard")
    assert "ALARMED" not in pair.said()
    assert pair.ping("a", "b", 5) == 5


def test_a_switch_that_lies_is_told_of_and_others_go_on(pair, programs):
    pair.program(programs / "switching.py")
    pair.await_ping("a", "b")
    hello = bytes.fromhex("04000010 00000013 00010000 00000010")
    pair.speak(hello)
    pair.speak(bytes.fromhex("0400000400000001"))
    pair.until(lambda: "closed: " in pair.said(), "the lie is told")
    # Agreed on 1.3, then flow statistics with an instruction of length 0 (CVE-2024-34487).
    entry = bytes(48) + bytes.fromhex("0001000400000000 0004000000000000")
    entry = (len(entry)).to_bytes(2, "big") + entry[2:]
    stats = bytes.fromhex("0001000000000000") + entry
    stats = bytes.fromhex("0413") + (len(stats) + 8).to_bytes(2, "big") + bytes(4) + stats
    features = bytes.fromhex("0406002000000001 0000000000000063 00000000 fe000000 0000000000000000")
    pair.speak(bytes.fromhex("0400000800000001") + features + stats)
    pair.until(lambda: "left out: " in pair.said(), "the second lie is told")
    assert pair.ping("a", "b", 5) == 5
