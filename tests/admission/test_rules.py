# SPDX-License-Identifier: Apache-2.0
"""Each rule refuses what it must, by field and reason, and lets the rest pass."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.admission.admit import admit
from vneter_sdn.errors import Conflict, IntentError, NotFound

from .conftest import World


@pytest.mark.parametrize(
    ("prefixes", "reason"),
    [
        (["10.0.0.0/33"], "BadPrefix"),
        (["nonsense"], "BadPrefix"),
        (["10.0.1.1/24"], "NotCanonical"),
        (["FD00::/64"], "NotCanonical"),
        (["10.0.0.0/31"], "PrefixTooSmall"),
        (["fd00::/127"], "PrefixTooSmall"),
        (["224.0.0.0/24"], "UnfitPrefix"),
        (["127.0.0.0/24"], "UnfitPrefix"),
        (["169.254.0.0/16"], "UnfitPrefix"),
        (["fe80::/64"], "UnfitPrefix"),
        (["0.0.0.0/0"], "UnfitPrefix"),
    ],
)
def test_prefix_faults(empty: Any, prefixes: list[str], reason: str) -> None:
    edits = (empty.tenant(), empty.network(prefixes=prefixes))
    assert ("spec.prefixes[0]", reason) in empty.refused(*edits)


def test_host_bits_propose_the_network(empty: Any) -> None:
    with pytest.raises(IntentError, match=r"write 10\.0\.1\.0/24"):
        empty.apply(empty.tenant(), empty.network(prefixes=["10.0.1.7/24"]))


def test_one_prefix_per_family(empty: Any) -> None:
    edits = (empty.tenant(), empty.network(prefixes=["10.0.0.0/24", "10.1.0.0/24"]))
    assert empty.refused(*edits) == {("spec.prefixes[1]", "TooManyPrefixes")}


def test_overlap_within_a_tenant_only(world: Any) -> None:
    wide = world.network("db", prefixes=["10.0.0.0/16"])
    assert world.refused(wide) == {("spec.prefixes[0]", "PrefixOverlap")}
    world.apply(world.tenant("blue"), world.network("web", "blue"))


def test_overlap_within_one_batch(empty: Any) -> None:
    found = empty.refused(empty.tenant(), empty.network("a"), empty.network("b"))
    assert found == {("spec.prefixes[0]", "PrefixOverlap")}


@pytest.mark.parametrize(
    ("gateways", "reason"),
    [
        (["10.0.1.1"], "OutsidePrefix"),
        (["10.0.0.0"], "UnusableAddress"),
        (["10.0.0.255"], "UnusableAddress"),
        (["ten"], "BadAddress"),
    ],
)
def test_gateway_faults(empty: Any, gateways: list[str], reason: str) -> None:
    edits = (empty.tenant(), empty.network(gateways=gateways))
    assert empty.refused(*edits) == {("spec.gateways[0]", reason)}


def test_gateway_may_not_be_an_endpoints(world: Any) -> None:
    world.apply(world.endpoint("e", addresses=["10.0.0.9"]))
    assert world.refused(world.network(gateways=["10.0.0.9"])) == {
        ("spec.gateways", "AddressInUse")
    }


def test_vni_unique(world: Any) -> None:
    taken = world.status("Network", "web")["vni"]
    found = world.refused(world.network("db", prefixes=["10.1.0.0/24"], vni=taken))
    assert found == {("spec.vni", "VniInUse")}
    two = [
        world.network(n, prefixes=[p], vni=9)
        for n, p in (("a", "10.2.0.0/24"), ("b", "10.3.0.0/24"))
    ]
    assert world.refused(*two) == {("spec.vni", "VniInUse")}


def test_requested_vni_wins_over_a_chosen_one_in_the_same_batch(empty: Any) -> None:
    empty.apply(
        empty.tenant(), empty.network("a"), empty.network("b", prefixes=["10.1.0.0/24"], vni=1)
    )
    assert empty.status("Network", "b")["vni"] == 1
    assert empty.status("Network", "a")["vni"] == 2


@pytest.mark.parametrize(
    ("encapsulation", "address", "limit"),
    [
        ("geneve", "192.0.2.1", 1450),
        ("vxlan", "2001:db8::1", 1430),
        ("gre", "192.0.2.1", 1458),
        ("gre", "2001:db8::1", 1438),
    ],
)
def test_mtu_fits_underlay(world: Any, encapsulation: str, address: str, limit: int) -> None:
    world.apply(world.host("h", tunnelAddresses=[address], encapsulation=encapsulation))
    world.apply(world.network(mtu=limit))
    assert world.refused(world.network(mtu=limit + 1)) == {("spec.mtu", "MtuTooLarge")}
    smaller = world.host(
        "h", tunnelAddresses=[address], encapsulation=encapsulation, underlayMtu=1499
    )
    assert world.refused(smaller) == {("spec.underlayMtu", "MtuTooLarge")}


def test_link_encapsulation_counts(world: Any) -> None:
    hosts = [
        world.host(n, tunnelAddresses=[a], encapsulation="gre")
        for n, a in (("h1", "192.0.2.1"), ("h2", "192.0.2.2"))
    ]
    world.apply(*hosts, world.network(mtu=1458))
    link = world.edit("Link", "l", source="h1", target="h2", encapsulation="geneve")
    assert world.refused(link) == {("spec.encapsulation", "MtuTooLarge")}
    world.apply(world.network(mtu=1450), link)
    assert world.refused(world.network(mtu=1451)) == {("spec.mtu", "MtuTooLarge")}


def test_prefixes_stay_while_used(world: Any) -> None:
    world.apply(world.endpoint("e"))
    moved = world.network(prefixes=["10.9.0.0/24"])
    assert world.refused(moved) == {("spec.prefixes", "PrefixInUse")}
    assert world.refused(world.network(blockLength4=28)) == {("spec.blockLength4", "PrefixInUse")}
    world.apply(world.delete("Endpoint", "e"), moved)
    world.apply(world.network(prefixes=["10.9.0.0/24", "fd00::/64"]))


def test_references(empty: Any) -> None:
    assert empty.refused(empty.network()) == {("metadata.tenant", "UnknownReference")}
    empty.apply(empty.tenant())
    found = empty.refused(empty.endpoint("e", host="h"))
    assert found == {("spec.network", "UnknownReference"), ("spec.host", "UnknownReference")}
    link = empty.edit("Link", "l", source="h1", target="h2")
    assert empty.refused(link) == {
        ("spec.source", "UnknownReference"),
        ("spec.target", "UnknownReference"),
    }


def test_references_to_broken_objects_are_not_faulted(empty: Any) -> None:
    found = empty.refused(empty.tenant(), empty.network(mtu="x"), empty.endpoint("e"))
    assert found == {("spec.mtu", "WrongType")}


def test_deletion_names_referrers(world: Any) -> None:
    world.apply(world.host("h"), *(world.endpoint(f"e{n}", host="h") for n in range(7)))
    with pytest.raises(IntentError, match=r"Endpoint red/e0, .* and 2 more"):
        world.apply(world.delete("Network", "web"))
    assert world.refused(world.delete("Tenant", "red")) == {("", "InUse")}
    assert world.refused(world.delete("Host", "h")) == {("", "InUse")}
    everything = [world.delete(k.kind, k.name, k.tenant or "red") for k in world.snapshot.objects]
    world.apply(*everything)
    assert not world.snapshot.objects


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.0.1.5", "OutsidePrefix"),
        ("10.0.0.1", "AddressInUse"),
        ("10.0.0.0", "UnusableAddress"),
        ("10.0.0.255", "UnusableAddress"),
        ("10.0.0.300", "BadAddress"),
        ("10.0.0.9", "AddressInUse"),
    ],
)
def test_endpoint_address_faults(world: Any, address: str, reason: str) -> None:
    world.apply(world.endpoint("other", addresses=["10.0.0.9"]))
    found = world.refused(world.endpoint("e", addresses=[address]))
    assert found == {("spec.addresses[0]", reason)}


def test_addresses_asked_for_twice_in_one_batch(world: Any) -> None:
    two = [world.endpoint(n, addresses=["10.0.0.9"]) for n in "ab"]
    assert world.refused(*two) == {("spec.addresses[0]", "AddressInUse")}


def test_an_automatic_address_may_not_be_asked_for(world: Any) -> None:
    world.apply(world.endpoint("a"))
    (taken,) = world.status("Endpoint", "a")["addresses"]
    found = world.refused(world.endpoint("b", addresses=[taken]))
    assert found == {("spec.addresses[0]", "AddressInUse")}


def test_mac_faults(world: Any) -> None:
    gateway = world.status("Network", "web")["gatewayMac"]
    world.apply(world.endpoint("a", mac="02:00:00:00:00:0A"))
    for mac, reason in (
        ("01:00:5e:00:00:01", "NotUnicast"),
        ("00:00:00:00:00:00", "NotUnicast"),
        ("02:00:00:00:00:0a", "MacInUse"),
        (gateway, "MacInUse"),
    ):
        assert world.refused(world.endpoint("b", mac=mac)) == {("spec.mac", reason)}
    world.apply(world.tenant("blue"), world.network("web", "blue"))
    world.apply(world.endpoint("b", tenant="blue", mac="02:00:00:00:00:0a"))


def test_interface_ids_are_unique_fleet_wide(world: Any) -> None:
    world.apply(world.endpoint("a"))
    found = world.refused(world.endpoint("b", interfaceId="red/a"))
    assert found == {("spec.interfaceId", "InterfaceInUse")}


def test_hosts_and_links(world: Any) -> None:
    world.apply(world.host("h1", tunnelAddresses=["192.0.2.1"]), world.host("h2"))
    assert world.refused(world.host("h3", ovsdb="unix:/run/h1.sock")) == {
        ("spec.ovsdb", "OvsdbInUse")
    }
    assert world.refused(world.host("h3", tunnelAddresses=["192.0.2.1"])) == {
        ("spec.tunnelAddresses[0]", "AddressInUse")
    }
    assert world.refused(world.host("h3", tunnelAddresses=["224.0.0.1", "x"])) == {
        ("spec.tunnelAddresses[0]", "UnusableAddress"),
        ("spec.tunnelAddresses[1]", "BadAddress"),
    }
    world.apply(world.edit("Link", "l", source="h1", target="h2"))
    assert world.refused(world.edit("Link", "m", source="h1", target="h2")) == {("", "LinkExists")}
    assert world.refused(world.edit("Link", "m", source="h1", target="h1")) == {
        ("spec.target", "SameEnds")
    }


def test_one_edit_per_object(world: Any) -> None:
    assert world.refused(world.endpoint("e"), world.endpoint("e")) == {("", "Repeated")}


def test_revisions_and_verbs(world: Any) -> None:
    edit = world.network(mtu=1300)
    edit.manifest["metadata"]["revision"] = 1
    world.apply(edit)
    with pytest.raises(Conflict):
        world.apply(edit)
    with pytest.raises(NotFound):
        world.apply(world.delete("Network", "nope"))
    create = world.network()
    object.__setattr__(create, "verb", "create")
    with pytest.raises(Conflict):
        world.apply(create)


def test_nothing_changed_is_nothing_written(world: Any) -> None:
    admission = world.apply(world.network())
    assert admission.empty
    assert admission.unchanged == (world.key("Network", "web"),)


def test_all_problems_of_all_edits(world: Any) -> None:
    found = world.refused(
        world.network("a", prefixes=["10.5.0.1/24"]),
        world.endpoint("b", network="nope"),
        world.network("c", prefixes=["10.0.0.0/25"]),
    )
    assert found == {
        ("spec.prefixes[0]", "NotCanonical"),
        ("spec.network", "UnknownReference"),
        ("spec.prefixes[0]", "PrefixOverlap"),
    }


BATCH = ("t", "n", "h1", "h2", "l", "a", "b", "c", "bad-vni", "bad-ref", "bad-address")


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(BATCH)), st.randoms())
def test_order_within_a_batch_does_not_matter(chosen: set[str], random: Any) -> None:
    """The same edits in any order are accepted or refused alike, for the same reasons."""
    world = World()
    edits = {
        "t": world.tenant(),
        "n": world.network(vni=5),
        "h1": world.host("h1", tunnelAddresses=["192.0.2.1"]),
        "h2": world.host("h2", tunnelAddresses=["192.0.2.2"]),
        "l": world.edit("Link", "l", source="h1", target="h2"),
        "a": world.endpoint("a", host="h1"),
        "b": world.endpoint("b", addresses=["10.0.0.2"]),
        "c": world.endpoint("c", mac="02:00:00:00:00:01"),
        "bad-vni": world.network("m", prefixes=["10.1.0.0/24"], vni=5),
        "bad-ref": world.endpoint("d", network="nope"),
        "bad-address": world.endpoint("e", addresses=["10.9.0.2"]),
    }
    batch = [edits[name] for name in sorted(chosen)]
    shuffled = random.sample(batch, len(batch))
    assert _outcome(world, batch) == _outcome(world, shuffled)


def _outcome(world: World, batch: list[Any]) -> Any:
    try:
        admission = admit(world.snapshot, batch, world.now)
    except IntentError as error:
        return {(problem.object, problem.field, problem.reason) for problem in error.problems}
    return {key for key, stored in admission.objects.items() if stored}


# Hosts that OpenFlow alone drives


def test_a_host_without_a_database_says_which_datapath_it_is(empty: Any) -> None:
    assert empty.refused(empty.host("s1", ovsdb=None)) == {("spec.datapathId", "Missing")}
    empty.apply(empty.host("s1", ovsdb=None, datapathId="0000000000000001"))
    assert empty.status("Host", "s1")["datapathId"] == "0000000000000001"
    empty.apply(empty.host("s2", ovsdb=None, datapathId="0000000000000002"))
    empty.apply(empty.host("h1"))
    assert empty.status("Host", "h1")["datapathId"] == "7600000000000003"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"datapathId": "0" * 16}, ("spec.datapathId", "BadDatapathId")),
        ({"datapathId": "7600000000000001"}, ("spec.datapathId", "ReservedDatapathId")),
        ({"datapathId": "1"}, ("spec.datapathId", "InvalidValue")),
        ({"datapathId": "000000000000000A"}, ("spec.datapathId", "InvalidValue")),
        (
            {"datapathId": "0" * 15 + "1", "tunnelAddresses": ["192.0.2.1"]},
            ("spec.tunnelAddresses", "NoTunnels"),
        ),
    ],
)
def test_datapath_faults(empty: Any, spec: dict[str, Any], problem: tuple[str, str]) -> None:
    assert problem in empty.refused(empty.host("s1", ovsdb=None, **spec))


def test_datapath_ids_are_unique(empty: Any) -> None:
    one = "0000000000000001"
    twins = empty.host("s1", datapathId=one), empty.host("s2", ovsdb=None, datapathId=one)
    assert empty.refused(*twins) == {("spec.datapathId", "DatapathIdInUse")}
    empty.apply(twins[0])
    assert empty.refused(twins[1]) == {("spec.datapathId", "DatapathIdInUse")}
    empty.apply(empty.host("s1"), twins[1])


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_has_not_are_refused(empty: Any, number: float) -> None:
    found = empty.refused(empty.edit("PathPolicy", "p", constraints={"maxLatencyMs": number}))
    assert found == {("spec.constraints.maxLatencyMs", "BadNumber")}


def test_every_problem_of_a_nested_object_is_told(empty: Any) -> None:
    constraints = {"maxHops": 0, "minMtu": "x", "regoins": []}
    found = empty.refused(empty.edit("PathPolicy", "p", constraints=constraints))
    assert found == {
        ("spec.constraints.maxHops", "InvalidValue"),
        ("spec.constraints.minMtu", "WrongType"),
        ("spec.constraints.regoins", "UnknownField"),
    }


def test_one_network_learns_at_most(world: Any) -> None:
    world.apply(world.network("lab", prefixes=["10.9.0.0/16"], learning=True))
    second = world.network("more", prefixes=["10.8.0.0/16"], learning=True)
    assert world.refused(second) == {("spec.learning", "LearningInUse")}
    world.apply(world.network("lab", prefixes=["10.9.0.0/16"], learning=False), second)
