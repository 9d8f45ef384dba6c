# SPDX-License-Identifier: Apache-2.0
"""os-ken apps on sessions: events, isolation of their failures, and the two apps we ship."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import eventlet
import pytest

from vneter_sdn.model.flow import Output, Resubmit
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.pipeline.punts import Asked, Service
from vneter_sdn.pipeline.registers import NETWORK, TENANT
from vneter_sdn.pipeline.tables import table
from vneter_sdn.southbound.openflow import apphost
from vneter_sdn.southbound.openflow.bridges import (
    BridgeConnected,
    BridgeDisconnected,
    PacketArrived,
)
from vneter_sdn.southbound.openflow.decode import PacketIn
from vneter_sdn.southbound.openflow.events import Reason
from vneter_sdn.southbound.openflow.tally import Tally
from vneter_sdn.southbound.openflow.wire import V14, V15

from os_ken.base.app_manager import OSKenApp  # isort: skip - after apphost chose the hub
from os_ken.controller import ofp_event  # isort: skip
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls  # isort: skip
from vneter_sdn_apps.bridges import Bridges  # isort: skip
from vneter_sdn_apps.discovery import Discovery  # isort: skip
from vneter_sdn_apps.edge import Edge, Names  # isort: skip
from vneter_sdn_apps.icmp_errors import IcmpErrors  # isort: skip
from vneter_sdn_apps.learning import Learning  # isort: skip

pytestmark = pytest.mark.filterwarnings("ignore")


class StubBridges:
    """What an app host uses of bridges."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.out: list = []

    def subscribe(self, deliver) -> None:
        self.deliver = deliver

    def tap(self, deliver) -> None:
        self.tapped = deliver

    def packet_out(self, dpid, frame, actions, in_port) -> bool:
        self.out.append((dpid, frame, actions, in_port))
        return True

    def send_message(self, dpid, data) -> bool:
        self.out.append((dpid, data))
        return True


@pytest.fixture
def bridges():
    return StubBridges()


@pytest.fixture
def host(bridges):
    made = apphost.AppHost(bridges, patience=0.2)
    yield made
    made.close()


def settle(condition) -> None:
    with eventlet.Timeout(5):
        while not condition():
            eventlet.sleep(0)


def packet(userdata=b"", data=b"", port=3) -> PacketArrived:
    return PacketArrived(7, PacketIn(0, port, 0, 1, 0, userdata, data, len(data)))


class Session:
    def __init__(self) -> None:
        self.calls: list = []

    def bridge_up(self, dpid) -> None:
        self.calls.append(("up", dpid))

    def bridge_down(self, dpid) -> None:
        self.calls.append(("down", dpid))

    def port_changed(self, dpid, number, up) -> None:
        self.calls.append(("port", dpid, number, up))


def port_status(version: int, reason: int, state: int) -> bytes:
    port = struct.pack("!IH2x6s2x16sII", 5, 40, b"\2" * 6, b"p5", 0, state)
    return struct.pack("!BBHI", version, 12, 16 + len(port), 0) + bytes([reason]) + bytes(7) + port


@pytest.mark.parametrize("version", [V14, V15])
def test_bridges_and_ports_become_one_call_each(bridges, host, version) -> None:
    session = Session()
    host.start(Bridges, session=session)
    bridges.deliver(BridgeConnected(7, version, "here", ()))
    bridges.tapped(7, version, port_status(version, 2, 0))
    bridges.tapped(7, version, port_status(version, 2, 1))
    bridges.tapped(7, version, port_status(version, 1, 0))
    bridges.deliver(BridgeDisconnected(7, Reason.PEER_CLOSED, ""))
    settle(lambda: len(session.calls) == 5)
    assert session.calls == [
        ("up", 7), ("port", 7, 5, True), ("port", 7, 5, False), ("port", 7, 5, False), ("down", 7),
    ]  # fmt: skip


def frame() -> bytes:
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 1, 17, 0, b"\x0a\0\0\1", b"\x0a\0\1\1")
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~total & 0xFFFF) + ip[12:]
    return b"\2\0\0\0\0\1" + b"\2\0\0\0\0\2" + b"\x08\0" + ip + struct.pack("!HHHH", 1, 2, 8, 0)


def test_an_expired_packet_is_answered_out_of_its_port(bridges, host) -> None:
    app = host.start(IcmpErrors)
    bridges.deliver(BridgeConnected(7, V15, "here", ()))
    why = Complaint(Fault.EXPIRED, ip_address("10.0.0.254"), 0x020000000001, 1, 2).encode()
    bridges.deliver(packet(why, frame()))
    settle(lambda: app.counts.total() == 1)
    assert app.counts == {("expired", "answered"): 1}
    [(dpid, answer, actions, _)] = bridges.out
    assert (dpid, actions) == (7, (Output(3),))
    assert answer[:6] == b"\2\0\0\0\0\2"
    assert answer[26:30] == bytes([10, 0, 0, 254])
    assert answer[34:36] == bytes([11, 0])


def test_what_was_for_nobody_finds_its_way_back_like_any_other(bridges, host) -> None:
    """It may have come from another bridge."""
    app = host.start(IcmpErrors)
    bridges.deliver(BridgeConnected(7, V15, "here", ()))
    why = Complaint(Fault.NOBODY, ip_address("10.0.1.254"), 0x020000000001, 5, 9)
    bridges.deliver(packet(why.encode(), frame()))
    settle(lambda: app.counts.total() == 1)
    [(_, answer, actions, _)] = bridges.out
    assert answer[26:36] == bytes([10, 0, 1, 254, 10, 0, 0, 1, 3, 1])
    assert {NETWORK.load(9), TENANT.load(5)} <= set(actions)
    assert actions[-1] == Resubmit(table("route").id)


def test_what_cannot_be_answered_is_ignored(bridges, host) -> None:
    app = host.start(IcmpErrors)
    bridges.deliver(BridgeConnected(7, V15, "here", ()))
    why = Complaint(Fault.EXPIRED, ip_address("10.0.0.254"), 0x020000000001, 1, 2).encode()
    bridges.deliver(packet(why, b"short"))
    settle(lambda: app.counts == {("expired", "ignored"): 1})
    for userdata in (b"", b"\1", b"\xff" * 11, why[:-1]):
        bridges.deliver(packet(userdata, frame()))
    bridges.deliver(packet(why, frame()))
    settle(lambda: app.counts.total() == 2)
    assert len(bridges.out) == 1
    assert not bridges.tally.of("exceptions")


def test_of_all_bridges_no_more_is_looked_at_than_allowed(bridges, host) -> None:
    asked: list = []

    def may(who) -> bool:
        asked.append(who)
        return len(asked) % 2 == 1

    app = host.start(IcmpErrors, may=may)
    bridges.deliver(BridgeConnected(7, V15, "here", ()))
    for _ in range(4):
        bridges.deliver(packet(EXPIRED, frame()))
    settle(lambda: app.counts.total() == 4)
    assert app.counts == {("expired", "answered"): 2, ("expired", "too many"): 2}
    assert asked == [(7, 3)] * 4
    assert len(bridges.out) == 2


class Faulty(OSKenApp):
    seen = 0

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event) -> None:
        self.seen += 1
        if event.msg.data == b"raise":
            raise ValueError("a bug")
        if event.msg.data == b"wait":
            eventlet.sleep(60)


def test_a_handler_that_raises_or_hangs_costs_one_event(bridges, host, caplog) -> None:
    app = host.start(Faulty)
    bridges.deliver(BridgeConnected(7, V15, "here", ()))
    for data in (b"raise", b"raise", b"wait", b"fine"):
        bridges.deliver(packet(data=data))
    settle(lambda: app.seen == 4)
    assert bridges.tally.of("exceptions", "Faulty") == 3
    assert sum("a bug" in record.getMessage() for record in caplog.records) == 1


def test_a_full_queue_drops_and_does_not_wait(bridges, host) -> None:
    app = host.start(Faulty)
    bridges.deliver(BridgeConnected(7, V15, "here", ()))
    for _ in range(200):
        bridges.deliver(packet(data=b"fine"))
    assert bridges.tally.of("dropped", "Faulty") == 200 - 128
    settle(lambda: app.seen == 128)


class Hearing:
    """Sessions of all apps of the edge: what they were told."""

    def __init__(self) -> None:
        self.asked_for: list = []
        self.probed = 0

    def asked(self, dpid, reason, frame, total) -> None:
        self.asked_for.append(reason.service)

    def frame_arrived(self, dpid, port, frame, at) -> None:
        self.probed += 1


EXPIRED = Complaint(Fault.EXPIRED, ip_address("10.0.0.254"), 0x020000000001, 1, 2).encode()


@pytest.mark.parametrize("flood", [EXPIRED, Asked(Service.DNS, 5, 1, 9).encode(), b"", b"\xff"])
def test_a_flood_of_one_kind_costs_no_other(bridges, host, flood) -> None:
    """So much that no queue has room for it may come in one reading of a socket."""
    heard = Hearing()
    host.start(Edge, session=heard)
    host.start(Names, session=heard)
    host.start(Discovery, session=heard)
    host.start(IcmpErrors)
    bridges.deliver(BridgeConnected(7, V15, "here", ()))
    for _ in range(500):
        bridges.deliver(packet(flood, frame()))
    others = (Service.DHCP, Service.DHCPV6, Service.ROUTER)
    for service in others:
        bridges.deliver(packet(Asked(service, 6, 1, 8).encode(), frame()))
    bridges.deliver(packet(bytes([punts.LLDP])))
    settle(lambda: heard.probed and set(others) <= set(heard.asked_for))
    for name in ("Edge", "Discovery"):
        assert not bridges.tally.of("dropped", name)


def test_an_app_sends_os_ken_messages_on_its_datapath(bridges, host) -> None:
    class Sender(OSKenApp):
        @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
        def packet_in(self, event) -> None:
            datapath = event.msg.datapath
            datapath.send_msg(datapath.ofproto_parser.OFPBarrierRequest(datapath))

    host.start(Sender)
    bridges.deliver(BridgeConnected(7, V15, "here", ()))
    bridges.deliver(packet())
    settle(lambda: bridges.out)
    [(dpid, data)] = bridges.out
    assert dpid == 7
    assert data[:4] == b"\x06\x14\0\x08"
    assert int.from_bytes(data[4:], "big") > 0x8000_0000


class Surveyor:
    """What the discovery app calls."""

    def __init__(self) -> None:
        self.calls: list = []

    def frame_arrived(self, dpid, port, data, at) -> None:
        self.calls.append((dpid, port, data, at > 0))


def test_a_discovery_frame_is_one_call_and_nothing_else_is(bridges, host) -> None:
    session = Surveyor()
    host.start(Discovery, session=session)
    everything = host.start(Faulty)
    bridges.deliver(BridgeConnected(7, V15, "here", ()))
    bridges.deliver(packet(b"\2", b"a frame"))
    for userdata in (b"", b"\1", b"\2\0", b"\3"):
        bridges.deliver(packet(userdata, b"another"))
    bridges.deliver(packet(b"\2", b"without a port", port=0))
    settle(lambda: everything.seen == 6)
    settle(lambda: session.calls)
    assert session.calls == [(7, 3, b"a frame", True)]
    assert bridges.tally.of("exceptions") == 0


_ENDS = b"\2" + bytes(5) + bytes([10, 0, 0, 1]) + bytes(10)
_HEAD = b"\xff" * 6 + b"\2" + bytes(5) + struct.pack("!HHHBBH", 0x806, 1, 0x800, 6, 4, 1)
ARP = _HEAD + _ENDS
"""A request of 10.0.0.1."""


class Learner:
    """What the learning app calls."""

    def __init__(self) -> None:
        self.calls: list = []

    def heard(self, dpid, port, sender, frame) -> None:
        self.calls.append((dpid, port, str(sender.address), frame))


def learning(bridges, host):
    """A session that frames are learned for, what sees all of them, and a bridge."""
    session = Learner()
    host.start(Learning, session=session)
    everything = host.start(Faulty)
    bridges.deliver(BridgeConnected(7, V15, "here", ()))
    return session, everything


def test_frames_that_wait_while_their_bridge_goes_are_not_heard_of(bridges, host) -> None:
    """Another bridge may have come by its datapath id by the time they are looked at."""
    session, everything = learning(bridges, host)
    bridges.deliver(packet(b"\3", ARP))
    bridges.deliver(BridgeDisconnected(7, Reason.PEER_CLOSED, ""))
    bridges.deliver(BridgeConnected(7, V15, "there", ()))
    later = ARP[:-1] + b"\1"
    bridges.deliver(packet(b"\3", later))
    settle(lambda: everything.seen == 2)
    settle(lambda: session.calls)
    assert session.calls == [(7, 3, "10.0.0.1", later)]


def test_a_frame_to_learn_from_is_one_call_and_nothing_else_is(bridges, host) -> None:
    session, everything = learning(bridges, host)
    bridges.deliver(packet(b"\3", ARP))
    for userdata in (b"", b"\1", b"\2", b"\3\0"):
        bridges.deliver(packet(userdata, ARP))
    bridges.deliver(packet(b"\3", b"no frame at all"))
    bridges.deliver(packet(b"\3", ARP, port=0))
    settle(lambda: everything.seen == 7)
    settle(lambda: session.calls)
    assert session.calls == [(7, 3, "10.0.0.1", ARP)]
    assert bridges.tally.of("exceptions") == 0
