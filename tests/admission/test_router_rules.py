# SPDX-License-Identifier: Apache-2.0
"""Networks that configure IPv6: what is refused, and which addresses endpoints get."""

from __future__ import annotations

from ipaddress import IPv6Network
from typing import Any

import pytest

from vneter_sdn.model.addresses import formed, mac_number
from vneter_sdn.model.snapshot import Pools

SIX = ["10.0.0.0/24", "fd00:0:0:7::/64"]


@pytest.mark.parametrize(
    ("prefixes", "ra", "field", "reason"),
    [
        (["10.0.0.0/24"], {}, "spec.ra", "NoPrefix"),
        (["fd00::/80"], {"mode": "slaac"}, "spec.ra.mode", "PrefixNotFormable"),
        (["fd00::/48"], {"mode": "stateless"}, "spec.ra.mode", "PrefixNotFormable"),
        (
            ["fd00::/64"],
            {"lifetimeSeconds": 599},
            "spec.ra.lifetimeSeconds",
            "LifetimeTooShort",
        ),
        (
            ["fd00::/64"],
            {"validSeconds": 7200, "preferredSeconds": 7201},
            "spec.ra.preferredSeconds",
            "PreferredTooLong",
        ),
        (["fd00::/64"], {"dnsServers": ["10.0.0.1"]}, "spec.ra.dnsServers[0]", "BadAddress"),
        (["fd00::/64"], {"ntpServers": ["ff02::1"]}, "spec.ra.ntpServers[0]", "BadAddress"),
        (["fd00::/64"], {"dnsServers": ["::"]}, "spec.ra.dnsServers[0]", "BadAddress"),
        (["fd00::/64"], {"routes": ["2001:db8::1/48"]}, "spec.ra.routes[0]", "BadPrefix"),
        (["fd00::/64"], {"routes": ["2001:DB8::/48"]}, "spec.ra.routes[0]", "NotCanonical"),
    ],
)
def test_faults(empty: Any, prefixes: Any, ra: Any, field: str, reason: str) -> None:
    edits = (empty.tenant(), empty.network(prefixes=prefixes, ra=ra))
    assert empty.refused(*edits) == {(field, reason)}


def test_what_is_off_needs_nothing(empty: Any) -> None:
    empty.apply(empty.tenant(), empty.network(ra={"enabled": False}))
    empty.apply(empty.network("six", prefixes=["fd00::/64"], ra={"lifetimeSeconds": 0}))
    empty.apply(empty.network("wide", prefixes=["fd01::/48"], ra={"mode": "off"}))


def held(world: Any, name: str) -> dict[str, str]:
    owner = str(world.key("Endpoint", name))
    return {
        pool: one.value
        for (pool, _), one in world.snapshot.allocations.items()
        if one.owner == owner and one.released is None
    }


@pytest.mark.parametrize("mode", ["slaac", "stateless"])
def test_an_endpoint_has_the_address_that_its_mac_leads_to(empty: Any, mode: str) -> None:
    empty.apply(empty.tenant(), empty.network(prefixes=SIX, ra={"mode": mode}))
    empty.apply(
        empty.endpoint("chosen"),
        empty.endpoint("asked", mac="02:00:00:00:00:05"),
        empty.endpoint("both", mac="02:00:00:00:00:06", addresses=["fd00::7:0:ff:fe00:6"]),
    )
    network = empty.key("Network", "web")
    for name in ("chosen", "asked", "both"):
        own = held(empty, name)
        mac = mac_number(own[Pools.mac(network)])
        prefix = IPv6Network(SIX[1])
        assert own[Pools.address(network, SIX[1])] == str(formed(prefix, mac))
        assert own[Pools.address(network, SIX[0])].startswith("10.0.0.")
    assert held(empty, "asked")[Pools.address(network, SIX[1])] == "fd00::7:0:ff:fe00:5"


def test_another_mac_is_another_address(empty: Any) -> None:
    empty.apply(empty.tenant(), empty.network(prefixes=SIX, ra={"mode": "slaac"}))
    pool = Pools.address(empty.key("Network", "web"), SIX[1])
    for last in ("5", "6"):
        empty.apply(empty.endpoint("e", mac=f"02:00:00:00:00:0{last}"))
        assert held(empty, "e")[pool] == f"fd00::7:0:ff:fe00:{last}"


def test_no_other_address_is_asked_for(empty: Any) -> None:
    empty.apply(empty.tenant(), empty.network(prefixes=SIX, ra={"mode": "slaac"}))
    fault = {("spec.addresses[0]", "NotFormed")}
    asked = {"addresses": ["fd00:0:0:7::9"]}
    assert empty.refused(empty.endpoint("e", **asked)) == fault
    assert empty.refused(empty.endpoint("e", mac="02:00:00:00:00:05", **asked)) == fault
    empty.apply(empty.endpoint("e", addresses=["10.0.0.9"]))


def test_how_addresses_are_formed_stays_while_there_are_some(empty: Any) -> None:
    plain = empty.network(prefixes=SIX, ra={})
    slaac = empty.network(prefixes=SIX, ra={"mode": "slaac"})
    empty.apply(empty.tenant(), plain)
    empty.apply(empty.endpoint("e"))
    assert empty.refused(slaac) == {("spec.ra.mode", "PrefixInUse")}
    empty.apply(empty.network(prefixes=SIX, ra={"mode": "off"}))
    empty.apply(empty.delete("Endpoint", "e"))
    empty.apply(slaac)
    empty.apply(empty.endpoint("e"))
    quiet = {"mode": "slaac", "enabled": False}
    empty.apply(empty.network(prefixes=SIX, ra=quiet))
    assert "ff:fe" in held(empty, "e")[Pools.address(empty.key("Network", "web"), SIX[1])]
