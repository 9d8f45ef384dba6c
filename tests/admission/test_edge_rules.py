# SPDX-License-Identifier: Apache-2.0
"""What networks may tell their endpoints by DHCP and DNS."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def red(world: Any) -> Any:
    world.apply(world.tenant())
    return world


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"dhcp": {"leaseSeconds": 59}}, ("spec.dhcp.leaseSeconds", "InvalidValue")),
        ({"dhcp": {"domain": "Example.com"}}, ("spec.dhcp.domain", "InvalidValue")),
        ({"dhcp": {"domain": "example.com."}}, ("spec.dhcp.domain", "InvalidValue")),
        ({"dhcp": {"domain": "a..b"}}, ("spec.dhcp.domain", "InvalidValue")),
        ({"dhcp": {"domain": "a" * 64}}, ("spec.dhcp.domain", "InvalidValue")),
        ({"dhcp": {"search": ["a b"]}}, ("spec.dhcp.search[0]", "InvalidValue")),
        ({"dhcp": {"lease": 5}}, ("spec.dhcp.lease", "UnknownField")),
        ({"dhcp": {"ntpServers": ["time"]}}, ("spec.dhcp.ntpServers[0]", "BadAddress")),
        ({"dhcp": {"ntpServers": ["fd00::5"]}}, ("spec.dhcp.ntpServers[0]", "WrongFamily")),
        ({"dhcp": {"dnsServers": ["0.0.0.0"]}}, ("spec.dhcp.dnsServers[0]", "UnfitAddress")),
        ({"dhcp": {"dnsServers": ["1.1.1.1"] * 2}}, ("spec.dhcp.dnsServers[1]", "Repeated")),
        ({"dns": {"upstreams": ["224.0.0.1"]}}, ("spec.dns.upstreams[0]", "UnfitAddress")),
        ({"dns": {"upstreams": ["1.1.1.1:53"]}}, ("spec.dns.upstreams[0]", "BadAddress")),
        ({"dns": {"upstreams": ["127.0.0.1"]}}, ("spec.dns.upstreams[0]", "UnfitAddress")),
        ({"dns": {"upstreams": ["fe80::1"]}}, ("spec.dns.upstreams[0]", "UnfitAddress")),
        ({"dns": {"ttlSeconds": -1}}, ("spec.dns.ttlSeconds", "InvalidValue")),
        ({"dhcp": {"routes": [{}]}}, ("spec.dhcp.routes[0]", "InvalidValue")),
        ({"dhcp": {"routes": [{"prefix": "x"}]}}, ("spec.dhcp.routes[0].prefix", "BadPrefix")),
        (
            {"dhcp": {"routes": [{"prefix": "10.1.0.1/16"}]}},
            ("spec.dhcp.routes[0].prefix", "NotCanonical"),
        ),
        (
            {"dhcp": {"routes": [{"prefix": "fd01::/64"}]}},
            ("spec.dhcp.routes[0].prefix", "WrongFamily"),
        ),
        (
            {"dhcp": {"routes": [{"prefix": "10.1.0.0/16"}] * 2}},
            ("spec.dhcp.routes[1].prefix", "Repeated"),
        ),
        (
            {"dhcp": {"routes": [{"prefix": "10.1.0.0/16", "via": "gateway"}]}},
            ("spec.dhcp.routes[0].via", "BadAddress"),
        ),
        (
            {"dhcp": {"routes": [{"prefix": "10.1.0.0/16", "via": "10.1.0.1"}]}},
            ("spec.dhcp.routes[0].via", "OutsidePrefix"),
        ),
        ({"dhcp": {}, "prefixes": ["fd00::/64"]}, ("spec.dhcp", "NoPrefix")),
    ],
)
def test_what_is_refused(red: Any, spec: dict[str, Any], problem: tuple[str, str]) -> None:
    assert red.refused(red.network(**spec)) == {problem}


@pytest.mark.parametrize(
    "spec",
    [
        {"dhcp": {}, "dns": {}},
        {"dhcp": {"enabled": False}, "prefixes": ["fd00::/64"]},
        {"dns": {"upstreams": ["192.0.2.53", "2001:db8::53"]}, "prefixes": ["fd00::/64"]},
        {"dhcp": {"routes": [{"prefix": "0.0.0.0/0", "via": "10.0.0.9"}], "domain": "example"}},
    ],
)
def test_what_is_fine(red: Any, spec: dict[str, Any]) -> None:
    red.apply(red.network(**spec))
    assert red.snapshot.objects[red.key("Network", "web")].spec.dhcp is None or "dhcp" in spec


@pytest.mark.parametrize("domain", ["Red.example", "red.example.", "-red", "a" * 200])
def test_domains_of_tenants(world: Any, domain: str) -> None:
    edit = world.edit("Tenant", "red", domain=domain)
    assert world.refused(edit) == {("spec.domain", "InvalidValue")}
