# SPDX-License-Identifier: Apache-2.0
"""What each kind must be given: one value from each of some pools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv6Network
from types import MappingProxyType
from typing import NamedTuple

from vneter_sdn.admission.facts import addresses_of, network_of, pools_of, prefixes_of
from vneter_sdn.model.addresses import IPAddress, IPNetwork, formed, mac_number
from vneter_sdn.model.kinds import EndpointSpec, HostSpec, NetworkSpec, TenantSpec
from vneter_sdn.model.path_kinds import PathPolicySpec, ReservationSpec
from vneter_sdn.model.snapshot import Key, Object, Pools


class Need(NamedTuple):
    """One value of a pool; ``wanted`` when it must be a certain one."""

    pool: str
    wanted: str | None = None


Read = Callable[[Key], Object | None]


def needs(read: Read, stored: Object) -> tuple[Need, ...]:
    """The needs of an object, in the order in which they are met."""
    key, spec = stored.key, stored.spec
    if isinstance(spec, TenantSpec):
        return (Need(Pools.TENANT),)
    if isinstance(spec, HostSpec):
        return (Need(Pools.BRIDGE),)
    if isinstance(spec, PathPolicySpec | ReservationSpec):
        return (Need(Pools.POLICY),)
    if isinstance(spec, NetworkSpec):
        vni = None if spec.vni is None else str(spec.vni)
        gateways = (
            Need(Pools.address(key, str(prefix)), str(gateway))
            for prefix, gateway in gateways_of(spec).items()
        )
        return (Need(Pools.VNI, vni), Need(Pools.SLOT), Need(Pools.mac(key)), *gateways)
    if isinstance(spec, EndpointSpec):
        return _endpoint_needs(read, key, spec)
    return ()


def _endpoint_needs(read: Read, key: Key, spec: EndpointSpec) -> tuple[Need, ...]:
    at = network_of(key, spec)
    network = read(at)
    pools = pools_of(at, network.spec) if network else {}
    asked = addresses_of(spec.addresses)
    mac = spec.mac.lower() if spec.mac else None
    addresses = (
        Need(pool, _within(prefix, asked) or _formed(network, prefix, mac))
        for prefix, pool in pools.items()
    )
    return (Need(Pools.SLOT), Need(Pools.mac(at), mac), *addresses)


def _within(prefix: IPNetwork, addresses: tuple[IPAddress, ...]) -> str | None:
    return next((str(address) for address in addresses if address in prefix), None)


def _formed(network: Object | None, prefix: IPNetwork, mac: str | None) -> str | None:
    """The address that a requested MAC leads to, where endpoints form theirs."""
    if mac is None or network is None or not autoconfigured(network.spec, prefix):
        return None
    return str(formed(prefix, mac_number(mac))) if isinstance(prefix, IPv6Network) else None


def autoconfigured(spec: NetworkSpec, prefix: IPNetwork) -> bool:
    """Whether endpoints form their addresses in a prefix of their MACs."""
    return prefix.version == 6 and spec.ra is not None and spec.ra.autoconfigured


def gateways_of(spec: NetworkSpec) -> Mapping[IPNetwork, IPAddress]:
    """The gateway of each prefix: the one asked for, or the first usable address.

    The first address of an IPv6 prefix is the subnet-router anycast address (RFC 4291 §2.6.1),
    so the second one serves in both families.
    """
    return _gateways(prefixes_of(spec), spec.gateways)


@lru_cache(maxsize=65536)
def _gateways(
    prefixes: tuple[IPNetwork, ...], gateways: tuple[str, ...]
) -> Mapping[IPNetwork, IPAddress]:
    asked = addresses_of(gateways)
    return MappingProxyType(
        {
            prefix: next((gateway for gateway in asked if gateway in prefix), prefix[1])
            for prefix in prefixes
        }
    )


def usable(prefix: IPNetwork, address: IPAddress) -> bool:
    """Whether an interface in this prefix may have this address."""
    if address not in prefix or address == prefix.network_address:
        return False
    return prefix.version == 6 or address != prefix.broadcast_address
