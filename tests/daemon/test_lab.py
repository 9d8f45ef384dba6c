# SPDX-License-Identifier: Apache-2.0
"""Labs over bridges and a store in memory: adopted, learned, moved, made anew, flooded."""

from ipaddress import IPv4Address

import pytest
from lab_world import A1, A2, A3, H1, H2, H3, World, arp, ip

from vneter_sdn.config import Settings
from vneter_sdn.errors import IntentError, NotFound
from vneter_sdn.model.addresses import mac_text
from vneter_sdn.model.links import FOUND, INTERFACES, ORIGIN
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline.locator import Locator
from vneter_sdn.southbound.openflow import punt
from vneter_sdn.southbound.openflow.bridges import BridgeDisconnected, PortChanged
from vneter_sdn.southbound.openflow.events import Reason
from vneter_sdn.southbound.openflow.multipart import Port
from vneter_sdn.store.port import Edit
from vneter_sdn.telemetry.metrics import LearningCollector


@pytest.fixture
def world(monkeypatch):
    made = World()
    monkeypatch.setattr("vneter_sdn.daemon.lab.time.monotonic", lambda: made.now)
    made.connect(1, "s1", 1, 2, 3)
    made.connect(2, "s2", 1, 2)
    return made


def apply(world, kind, name, tenant="", **spec):
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    world.store.apply([Edit("apply", Key(kind, tenant, name), manifest)], author="somebody")
    world.settle()


def wire(world, name, *, found=False, told=lambda: None):
    """A link from s1-eth3 to s2-eth2, declared, or as discovery writes it."""
    annotations = {ORIGIN: FOUND, INTERFACES: f"{mac_text(0x1003)},{mac_text(0x1002)}"}
    spec = {"source": "s1", "sourcePort": "s1-eth3", "target": "s2", "targetPort": "s2-eth2"}
    metadata = {"name": name} | ({"annotations": annotations} if found else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": "Link", "metadata": metadata}
    manifest["spec"] = spec | {"medium": "wire"}
    world.store.apply([Edit("apply", Key("Link", "", name), manifest)], author="somebody")
    told()
    world.settle()


def test_a_lab_begins_with_a_network_and_adopts_what_connects(world):
    assert world.names("Network") == ["default/lan"]
    network = world.store.snapshot().objects[Key("Network", "default", "lan")].spec
    assert network.learning
    assert network.gateways == ("10.255.255.254",)
    assert network.mtu == 1500
    assert world.names("Host") == ["s1", "s2"]
    stored = world.store.snapshot().objects[Key("Host", "", "s1")]
    assert stored.spec.datapath_id == "0000000000000001"
    assert stored.spec.ovsdb is None
    assert stored.annotations["vneter.io/origin"] == "adopted"


def test_a_lab_with_a_tenant_is_left_as_it_is():
    world = World(lab=False)
    apply(world, "Tenant", "red")
    world.lab._founded, world.lab._settings = False, Settings(lab=True)
    world.settle()
    assert world.names("Tenant") == ["red"]
    assert world.names("Network") == []


@pytest.mark.parametrize(
    ("lab", "peer"), [(False, "tcp:127.0.0.1"), (True, "tcp:192.0.2.1"), (True, "unix:/run/x")]
)
def test_strangers_from_elsewhere_are_not_adopted(lab, peer):
    world = World(lab=lab)
    world.connect(1, "s1", 1, peer=peer)
    assert world.names("Host") == []


def test_names_that_are_none_or_taken_give_way(world):
    world.connect(0xA, "Not_A_Name", 1)
    world.connect(0xB, "s1", 1)
    assert world.names("Host") == ["ba", "bb", "s1", "s2"]


def test_a_name_whose_bridge_is_away_is_taken_over_and_another_name_is_taken_on(world):
    for dpid in (1, 2):
        world.lab._bridge_event(BridgeDisconnected(dpid, Reason.PEER_CLOSED, ""))
    world.connect(7, "s1", 1)
    assert world.store.snapshot().objects[Key("Host", "", "s1")].spec.datapath_id[-1] == "7"
    world.connect(2, "leaf2", 1)
    assert world.names("Host") == ["leaf2", "s1"]


def test_a_declared_host_keeps_its_name():
    world = World()
    apply(world, "Host", "edge", datapathId="0000000000000001")
    world.connect(1, "s1", 1)
    assert world.names("Host") == ["edge"]


def test_who_asks_is_learned_and_the_question_goes_everywhere_else_once(world):
    question = arp(H1, A1, A2)
    world.hear(1, 1, question)
    assert world.endpoints() == {"s1.s1-eth1": (mac_text(H1), "10.0.0.1")}
    world.hear(2, 1, question)
    assert world.endpoints() == {"s1.s1-eth1": (mac_text(H1), "10.0.0.1")}, "an echo of our own"
    outputs = {dpid: [out.port for out in actions] for dpid, _, actions in world.asked}
    assert outputs == {1: [2, 3], 2: [1, 2]}
    world.hear(2, 1, arp(H2, A2, A1, operation=2, to=H1))
    assert world.endpoints()["s2.s2-eth1"] == (mac_text(H2), "10.0.0.2")
    world.now += 10
    world.hear(1, 1, question)
    assert len(world.asked) == 2, "who is known is asked for no more"


def test_a_newer_claim_wins_and_the_one_before_goes(world):
    world.hear(1, 1, arp(H1, A1, A3))
    world.hear(2, 1, arp(H1, A1, A3, to=H3))
    assert world.endpoints() == {"s2.s2-eth1": (mac_text(H1), "10.0.0.1")}
    assert world.owners("default/s2.s2-eth1") == {mac_text(H1), "10.0.0.1"}, "at once"
    world.hear(2, 1, arp(H1, A2, A3))
    assert world.endpoints() == {"s2.s2-eth1": (mac_text(H1), "10.0.0.2")}
    world.hear(2, 1, ip(H3, A2, H1))
    assert world.endpoints() == {"s2.s2-eth1": (mac_text(H3), "10.0.0.2")}


def test_flapping_is_damped_and_counted(world):
    for turn in range(20):
        world.hear(1 + turn % 2, 1, ip(H1, A1, H3))
    assert world.lab.counts == {"taken": 6, "damped": 7, "known": 7}
    assert len(world.endpoints()) == 1
    (family,) = LearningCollector(world.lab.counts).collect()
    assert {s.labels["outcome"]: s.value for s in family.samples} == world.lab.counts
    world.now += 100
    world.hear(1, 2, ip(H1, A1, H3))
    assert list(world.endpoints()) == ["s1.s1-eth2"]


def test_a_second_answer_takes_nothing(world):
    world.hear(1, 1, arp(H1, A1, A3, operation=2, to=H2))
    world.hear(1, 2, arp(H2, A1, A3, operation=2, to=H2))
    assert world.endpoints() == {"s1.s1-eth1": (mac_text(H1), "10.0.0.1")}
    assert world.lab.counts["weak"] == 1


def test_an_answer_takes_no_port_from_who_was_heard_there_himself(world):
    world.hear(1, 1, arp(H1, A1, A3))
    world.hear(1, 1, arp(H3, A3, A1, operation=2, to=H1))
    assert world.endpoints() == {"s1.s1-eth1": (mac_text(H1), "10.0.0.1")}


@pytest.mark.parametrize(
    "frame",
    [
        arp(H1, IPv4Address("10.255.255.254"), A2),
        arp(H1, IPv4Address("192.168.0.1"), A2),
        arp(H1, IPv4Address("10.0.0.0"), A2),
        arp(H1, IPv4Address("10.255.255.255"), A2),
    ],
)
def test_addresses_that_nobody_may_have_are_not_learned(world, frame):
    world.hear(1, 1, frame)
    assert world.endpoints() == {}
    assert world.lab.counts["unfit"] == 1


def test_nothing_is_learned_from_wires_declared_ports_and_packets_under_way(world):
    wire(world, "w")
    apply(world, "Endpoint", "mine", "default", network="lan", interfaceId="s1/s1-eth2",
          addresses=["10.0.0.9"])  # fmt: skip
    world.hear(1, 3, arp(H1, A1, A2))
    world.hear(1, 2, arp(H1, A1, A2))
    world.hear(2, 1, arp(H2, IPv4Address("10.0.0.9"), A2))
    world.hear(1, 1, ip(H1, A1, Locator(5, 2, 9).mac))
    assert world.names("Endpoint") == ["default/mine"]


def test_whoever_was_learned_behind_a_wire_goes(world):
    world.hear(1, 3, arp(H1, A1, A2))
    wire(world, "w")
    assert world.endpoints() == {}


def test_an_endpoint_goes_a_minute_after_its_port_and_not_while_its_host_is_away(world):
    world.hear(1, 1, arp(H1, A1, A2))
    world.lab._bridge_event(PortChanged(1, 1, Port(1, "s1-eth1", 0x1001, False, False)))
    world.now += 59
    world.settle()
    assert len(world.endpoints()) == 1
    world.now += 2
    world.settle()
    assert world.endpoints() == {}
    world.hear(2, 1, arp(H2, A2, A1))
    world.lab._bridge_event(BridgeDisconnected(2, Reason.PEER_CLOSED, ""))
    world.now += 1000
    world.settle()
    assert len(world.endpoints()) == 1


def test_a_lab_made_anew_forgets_the_one_before(world):
    world.hear(1, 1, arp(H1, A1, A3))
    world.hear(2, 1, arp(H2, A2, A3))
    for dpid in (1, 2):
        world.lab._bridge_event(BridgeDisconnected(dpid, Reason.PEER_CLOSED, ""))
    world.connect(1, "s1", 1, 2, 3)
    assert len(world.endpoints()) == 2, "the same ports: the bridge was only away"
    world.lab._bridge_event(BridgeDisconnected(1, Reason.PEER_CLOSED, ""))
    world.connect(1, "s1", 1, 2, 3, base=0x2000)
    assert world.endpoints() == {}


def test_a_bridge_of_another_lab_has_those_on_bridges_that_are_away_forgotten(world):
    world.hear(2, 1, arp(H2, A2, A3))
    for dpid in (1, 2):
        world.lab._bridge_event(BridgeDisconnected(dpid, Reason.PEER_CLOSED, ""))
    world.connect(1, "leaf1", 1, 2, base=0x3000)
    assert world.names("Host") == ["leaf1", "s2"]
    assert world.endpoints() == {}


def test_a_question_from_before_a_bridge_was_adopted_is_heard_again_after_it(world):
    """Its port has the name of another host by then; that is no echo of ours."""
    question = arp(H1, A1, A2)
    world.another((1, "leaf1", 1, 2), (2, "leaf2", 1, 2))
    world.overhear(1, 1, question)
    world.settle()
    assert world.names("Host") == ["leaf1", "leaf2"]
    world.asked.clear()
    world.now += 1
    world.hear(1, 1, question)
    assert world.endpoints() == {"leaf1.leaf1-eth1": (mac_text(H1), "10.0.0.1")}
    assert {dpid: [out.port for out in to] for dpid, _, to in world.asked} == {1: [2], 2: [1, 2]}


@pytest.mark.parametrize("operation", [1, 2], ids=["heard itself", "by an answer"])
def test_an_answer_from_after_a_bridge_was_adopted_takes_over_from_before(world, operation):
    """Who was heard behind a host that is no more was heard nowhere else."""
    world.another((1, "leaf1", 1, 2), (2, "leaf2", 1, 2))
    world.overhear(2, 1, arp(H2, A2, A1, operation=operation, to=H1))
    world.settle()
    world.now += 1
    world.hear(2, 1, arp(H2, A2, A1, operation=2, to=H1))
    assert world.endpoints() == {"leaf2.leaf2-eth1": (mac_text(H2), "10.0.0.2")}


def test_an_answer_heard_by_what_turns_out_to_be_a_wire_keeps_no_other_away(world):
    world.hear(1, 3, arp(H2, A2, A1, operation=2, to=H1))
    wire(world, "w")
    world.hear(2, 1, arp(H2, A2, A1, operation=2, to=H1))
    assert world.endpoints() == {"s2.s2-eth1": (mac_text(H2), "10.0.0.2")}


def hosts(world):
    """Their names, by datapath id."""
    objects = world.store.snapshot().objects.items()
    return {int(one.spec.datapath_id, 16): key.name for key, one in objects if key.kind == "Host"}


def test_bridges_that_changed_names_with_one_another_have_their_own(world):
    world.another((1, "s2", 1, 2), (2, "s1", 1, 2))
    world.settle()
    assert hosts(world) == {1: "s2", 2: "s1"}


def test_of_two_bridges_of_one_name_the_first_keeps_it(world):
    world.connect(5, "s1", 1)
    world.another((1, "s1", 1), (5, "s1", 1))
    world.settle()
    assert hosts(world) == {1: "s1", 2: "s2", 5: "b5"}


def test_a_host_whose_name_another_bridge_takes_leaves_wires_and_endpoints_behind(world):
    wire(world, "found", found=True)
    world.hear(2, 1, arp(H2, A2, A3))
    world.lab._bridge_event(BridgeDisconnected(2, Reason.PEER_CLOSED, ""))
    world.connect(1, "s2", 1, 2, 3)
    assert hosts(world) == {1: "s2"}
    assert world.names("Link") == []
    assert world.endpoints() == {}


def test_a_wire_goes_with_the_interface_of_a_lab_that_the_next_one_lacks(world):
    """Else whoever is behind the interface of that name in the lab after that is never heard."""
    wire(world, "found", found=True)
    world.another((1, "s1", 1, 2), (2, "s2", 1))
    world.settle()
    assert world.names("Link") == []
    world.lab._bridge_event(PortChanged(1, 0, Port(3, "s1-eth3", 0x9, False, False)))
    world.hear(1, 3, arp(H1, A1, A2))
    assert world.endpoints() == {"s1.s1-eth3": (mac_text(H1), "10.0.0.1")}


def test_an_interface_that_was_taken_away_and_comes_as_another_has_no_wire(world):
    wire(world, "found", found=True)
    world.lab._bridge_event(PortChanged(1, 1, Port(3, "s1-eth3", 0x1003, False, False)))
    world.settle()
    assert world.names("Link") == ["found"], "it is only away"
    world.lab._bridge_event(PortChanged(1, 0, Port(3, "s1-eth3", 0x9, False, False)))
    world.settle()
    assert world.names("Link") == []


def test_what_was_found_and_learned_before_a_restart_is_of_the_lab_that_was_there(world):
    """In the next one bridges may have the same names; their interfaces have other addresses."""
    wire(world, "found", found=True)
    world.hear(2, 1, arp(H2, A2, A3))
    assert list(world.restarted((1, "s1", 0x1000), (2, "s2", 0x1000)).endpoints()) == ["s2.s2-eth1"]
    assert world.names("Link") == ["found"]
    world.restarted((2, "s2", 0x3000), (1, "s1", 0x2000))
    assert world.endpoints() == {}
    assert world.names("Link") == []


def test_a_wire_of_the_lab_before_that_is_written_late_goes(world):
    world.another((1, "s1", 1, 2, 3), (2, "s2", 1, 2))
    world.settle()
    wire(world, "found", found=True)
    assert world.names("Link") == []


def test_a_question_of_the_lab_before_is_no_echo_when_it_comes_from_another_place(world):
    """MACs and addresses are counted from 1 in each (``mn --mac``): the frame is the same."""
    question = arp(H1, A1, A3)
    world.hear(2, 1, question)
    world.another((1, "s1", 1, 2), (2, "s2", 1, 2))
    world.settle()
    world.hear(1, 1, question)
    assert world.endpoints() == {"s1.s1-eth1": (mac_text(H1), "10.0.0.1")}


def test_an_answer_of_the_lab_before_keeps_none_of_this_one_away(world):
    answer = arp(H2, A2, A1, operation=2, to=H1)
    world.hear(2, 1, answer)
    world.another((1, "s1", 1, 2), (2, "s2", 1, 2))
    world.overhear(1, 1, answer)
    world.settle()
    assert world.endpoints() == {"s1.s1-eth1": (mac_text(H2), "10.0.0.2")}


def test_a_bridge_of_another_lab_gets_no_flows_while_the_one_before_is_in_them(world):
    """By these, who has the MAC and address of somebody before would be taken for him."""
    world.hear(1, 1, arp(H1, A1, A3))
    world.another((1, "s1", 1, 2))
    assert [(dpid, seconds > 0) for dpid, seconds in world.paused] == [(1, True)]
    before = world.known
    world.lab.compiled(before)
    world.settle()
    world.lab.compiled(before)
    assert len(world.paused) == 1, "that they went must be compiled first"
    world.lab.compiled(world.known)
    assert world.paused[1:] == [(1, 0)]


def test_bridges_wait_for_nothing_when_nobody_was_known_or_the_lab_is_the_same(world):
    world.another((1, "s1", 1, 2), (2, "s2", 1))
    world.settle()
    world.hear(1, 1, arp(H1, A1, A3))
    world.lab._bridge_event(BridgeDisconnected(1, Reason.PEER_CLOSED, ""))
    world.appear(1, "s1", 1, 2, base=0x3000 + 16)
    world.another((1, "leaf1", 1, 2))
    assert world.paused == []


def test_what_goes_without_being_written_makes_no_bridge_wait(world):
    """A wire that somebody else deleted by then."""
    wire(world, "found", found=True)
    world.another((1, "s1", 1, 2))
    world.store.apply([Edit("delete", Key("Link", "", "found"))], author="somebody")
    world.tell()
    world.lab.compiled(world.known)
    world.settle()
    assert [seconds > 0 for _, seconds in world.paused] == [True, False]


def test_a_lab_of_other_bridges_has_those_of_the_one_before_forgotten(world):
    world.hear(2, 1, arp(H2, A2, A3))
    for dpid in (1, 2):
        world.lab._bridge_event(BridgeDisconnected(dpid, Reason.PEER_CLOSED, ""))
    world.connect(7, "s7", 1, 2)
    assert world.endpoints() == {}
    world.hear(7, 1, arp(H2, A2, A3))
    assert world.endpoints() == {"s7.s7-eth1": (mac_text(H2), "10.0.0.2")}


def test_whoever_was_heard_by_what_is_a_wire_by_now_is_not_written(world):
    world.overhear(1, 3, arp(H1, A1, A2))
    wire(world, "w", told=world.tell)
    assert world.store.revisions()[0].author == "somebody", "nobody was written, nor deleted"


def test_a_bridge_whose_adoption_was_refused_is_adopted_later(world, monkeypatch):
    taken = world.store.apply
    refused = []

    def refusing(edits, **words):
        if not refused:
            refused.append(edits)
            raise NotFound("somebody else was quicker")
        return taken(edits, **words)

    monkeypatch.setattr(world.store, "apply", refusing)
    world.connect(7, "s7", 1)
    world.settle()
    assert refused
    assert hosts(world)[7] == "s7"


def test_a_deleted_host_takes_its_endpoints_along(world):
    world.hear(2, 1, arp(H2, A2, A1))
    world.lab._bridge_event(BridgeDisconnected(2, Reason.PEER_CLOSED, ""))
    world.store.apply([Edit("delete", Key("Host", "", "s2"))], author="somebody")
    world.settle()
    assert world.endpoints() == {}


def test_only_one_network_learns_and_without_one_nothing_is_learned(world):
    world.hear(1, 1, arp(H1, A1, A2))
    apply(world, "Network", "lan", "default", prefixes=["10.0.0.0/8", "fd76:6e65:7400::/64"],
          gateways=["10.255.255.254"], mtu=1500)  # fmt: skip
    world.hear(1, 2, arp(H3, A3, A2))
    assert list(world.endpoints()) == ["s1.s1-eth1"]


def test_questions_stay_away_from_wires_ports_that_are_down_and_other_tenants(world):
    wire(world, "w")
    apply(world, "Tenant", "red")
    apply(world, "Network", "db", "red", prefixes=["10.0.0.0/24"])
    apply(world, "Endpoint", "db1", "red", network="db", interfaceId="s1/s1-eth2")
    world.lab._bridge_event(PortChanged(2, 2, Port(1, "s2-eth1", 0x1001, False, True)))
    world.hear(1, 1, arp(H1, A1, A2))
    assert world.asked == []
    world.lab._bridge_event(PortChanged(2, 2, Port(1, "s2-eth1", 0x1001, False, False)))
    world.now += 1
    world.hear(1, 1, arp(H1, A1, A2))
    assert [(dpid, [a.port for a in actions]) for dpid, _, actions in world.asked] == [(2, [1])]


def test_questions_are_limited(world):
    for number in range(300):
        world.lab.heard(1, 1, punt.sender(arp(H1, A1, A3 + number)), arp(H1, A1, A3 + number))
    assert len({frame for _, frame, _ in world.asked}) == 100


def test_what_was_written_in_the_meantime_costs_only_those_it_concerns(world, monkeypatch):
    """A claim that is refused does not keep others from being written."""
    taken = world.store.apply

    def refusing(edits, **words):
        if any("10.0.0.1" in (edit.manifest or {})["spec"]["addresses"] for edit in edits):
            raise IntentError("no")
        return taken(edits, **words)

    monkeypatch.setattr(world.store, "apply", refusing)
    for port, mac, address in ((1, H1, A1), (2, H2, A2), (3, H3, A3)):
        frame = arp(mac, address, A1)
        world.lab.heard(1, port, punt.sender(frame), frame)
    world.settle()
    assert set(world.endpoints()) == {"s1.s1-eth2", "s1.s1-eth3"}


def test_who_takes_the_place_and_name_of_two_others_leaves_one(world):
    world.hear(1, 1, arp(H1, A1, A3))
    world.hear(2, 1, arp(H2, A2, A3))
    world.hear(2, 1, arp(H1, A1, A3, to=H3))
    assert world.endpoints() == {"s2.s2-eth1": (mac_text(H1), "10.0.0.1")}
