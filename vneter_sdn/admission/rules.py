# SPDX-License-Identifier: Apache-2.0
"""The table of rules: which rule holds for which kinds. A new kind adds rows, not branches.

A rule is a function from (object, draft) to the problems it finds. *Local* rules look at the
object alone and run first; the others see the batch as it will be, so order within it is free,
and only objects without local problems reach them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from vneter_sdn.admission import (
    edge_rules,
    endpoint_rules,
    host_rules,
    link_rules,
    network_rules,
    path_rules,
    policy_rules,
    reference_rules,
    reservation_rules,
    router_rules,
)
from vneter_sdn.admission.draft import Draft
from vneter_sdn.errors import Problem
from vneter_sdn.model.snapshot import Object

Check = Callable[[Object, Draft], Iterator[Problem]]


class Rule(NamedTuple):
    """One rule, and the kinds it holds for."""

    check: Check
    kinds: frozenset[str]
    local: bool = False


def _rule(check: Check, *kinds: str, local: bool = False) -> Rule:
    return Rule(check, frozenset(kinds), local)


RULES: tuple[Rule, ...] = (
    _rule(network_rules.prefixes_well_formed, "Network", local=True),
    _rule(network_rules.gateways_well_formed, "Network", local=True),
    _rule(router_rules.advertisements_possible, "Network", local=True),
    _rule(edge_rules.servers_well_formed, "Network", local=True),
    _rule(edge_rules.routes_well_formed, "Network", local=True),
    _rule(endpoint_rules.addresses_well_formed, "Endpoint", local=True),
    _rule(endpoint_rules.mac_unicast, "Endpoint", local=True),
    _rule(host_rules.tunnel_addresses_well_formed, "Host", local=True),
    _rule(host_rules.datapath_named, "Host", local=True),
    _rule(link_rules.ends_differ, "Link", local=True),
    _rule(link_rules.fields_fit_medium, "Link", local=True),
    _rule(link_rules.addresses_well_formed, "Link", local=True),
    _rule(path_rules.objective_weighs, "PathPolicy", local=True),
    _rule(path_rules.ports_in_range, "PathPolicy", local=True),
    _rule(path_rules.networks_well_formed, "PathPolicy", local=True),
    _rule(path_rules.constraints_possible, "PathPolicy", local=True),
    _rule(path_rules.engineering_fits, "PathPolicy", local=True),
    _rule(reservation_rules.ends_differ, "Reservation", "Demand", local=True),
    _rule(reservation_rules.window_well_formed, "Reservation", local=True),
    _rule(
        reference_rules.references_exist,
        *("Network", "Endpoint", "Link", "PathPolicy", "Reservation", "Demand"),
        *("Namespace", "Group", "Policy", "ClusterPolicy", "Assertion"),
    ),
    _rule(network_rules.prefixes_disjoint, "Network"),
    _rule(network_rules.prefixes_unused_when_changed, "Network"),
    _rule(network_rules.gateways_free, "Network"),
    _rule(network_rules.vni_unique, "Network"),
    _rule(network_rules.learning_alone, "Network"),
    _rule(edge_rules.dhcp_has_addresses, "Network", local=True),
    _rule(router_rules.forming_unused_when_changed, "Network"),
    _rule(host_rules.network_fits_underlays, "Network"),
    _rule(host_rules.host_fits_networks, "Host"),
    _rule(link_rules.fits_networks, "Link"),
    _rule(link_rules.fits_underlay, "Link"),
    _rule(host_rules.ovsdb_unique, "Host"),
    _rule(host_rules.datapath_unique, "Host"),
    _rule(host_rules.tunnel_addresses_unique, "Host"),
    _rule(host_rules.host_keeps_addresses, "Host"),
    _rule(link_rules.unique, "Link"),
    _rule(link_rules.ports_free, "Link"),
    _rule(link_rules.addresses_of_hosts, "Link"),
    _rule(link_rules.directions_agree, "Link"),
    _rule(endpoint_rules.addresses_in_network, "Endpoint"),
    _rule(router_rules.formed_addresses_asked, "Endpoint"),
    _rule(endpoint_rules.addresses_free, "Endpoint"),
    _rule(endpoint_rules.mac_free, "Endpoint"),
    _rule(endpoint_rules.interface_unique, "Endpoint"),
    _rule(endpoint_rules.port_names_unique, "Endpoint", local=True),
    _rule(policy_rules.assertion_well_formed, "Assertion", local=True),
    _rule(policy_rules.tier_has_a_place, "Tier"),
    _rule(policy_rules.group_well_formed, "Group"),
    _rule(policy_rules.policy_makes_rules, "Policy", "ClusterPolicy"),
    _rule(policy_rules.rules_have_places, "Policy", "ClusterPolicy"),
)


def check(stored: Object, draft: Draft, *, local: bool) -> Iterator[Problem]:
    """Every problem that the rules of one sort find with an object."""
    for rule in RULES:
        if rule.local == local and stored.key.kind in rule.kinds:
            yield from rule.check(stored, draft)
