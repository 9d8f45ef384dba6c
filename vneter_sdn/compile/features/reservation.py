# SPDX-License-Identifier: Apache-2.0
"""What an active reservation's packets are, and that they get no more than its rate, each way.

They are found in `steer`, before any policy: by the pair of endpoints, or by tenant and the bridge
they are for. A meter where they start drops what is beyond the rate; then they go by the paths that
were booked (`path`). Others' packets are kept off a link's capacity by admission alone: those
nobody reserved for may still fill it, for want of queues.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import ceil

from vneter_sdn.compile.bookings import Lane, lane
from vneter_sdn.compile.features.pin import FAMILIES, tracked
from vneter_sdn.compile.features.unit import Feature, Matched, Part, Writer
from vneter_sdn.compile.links import bridges
from vneter_sdn.compile.policies import policy_number
from vneter_sdn.compile.queries import Station, station, tenant_of
from vneter_sdn.compile.query import View
from vneter_sdn.model.fields import ETH_IP, ETH_IPV6
from vneter_sdn.model.flow import Flow, Meter, MeterAction
from vneter_sdn.model.path_kinds import ReservationSpec
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import priorities
from vneter_sdn.pipeline.locator import BRIDGE_MASK, DEFAULT, Locator
from vneter_sdn.pipeline.registers import POLICY, TENANT
from vneter_sdn.pipeline.reserved import rate_meter

BURST, LEAST_BURST = 0.1, 512
"""Seconds' worth of the rate that may pass at once, and kbit that may at least."""
_MOST = (1 << 32) - 1


def reservation(view: View, key: Key, write: Writer) -> Iterator[Part]:
    """One reservation, at both its ends."""
    number, used = view.ask(policy_number, key), view.ask(lane, key)
    spec: ReservationSpec | None = view.get("Reservation", key)
    tenant = view.ask(tenant_of, spec.tenant) if spec else None
    if number is None or used is None or spec is None or tenant is None:
        return
    limit = meter(number, spec.rate_mbps)
    for source, target, matches in _directions(view, spec, used):
        flows = tuple(
            _flow(write, number, spec, {"reg2": TENANT.match(tenant), **matched})
            for matched in matches
        )
        if flows and source != target:
            yield Part(frozenset([source]), flows, (), (limit,))


def meter(number: int, mbps: float) -> Meter:
    """The meter of a reservation, in kbit/s."""
    rate = min(_MOST, max(1, ceil(mbps * 1000)))
    return Meter(rate_meter(number), rate, max(LEAST_BURST, ceil(rate * BURST)), "kbps")


def _flow(write: Writer, number: int, spec: ReservationSpec, matched: Matched) -> Flow:
    ip = matched.get("eth_type") in FAMILIES
    priority = priorities.reserve(number, pair=spec.between == "endpoints", ip=ip)
    limited, under = MeterAction(rate_meter(number)), POLICY.load(number)
    if ip:
        return write("steer", priority, matched, limited, under, tracked("path"))
    return write("steer", priority, matched, limited, under, goto="path")


def _directions(
    view: View, spec: ReservationSpec, used: Lane
) -> Iterator[tuple[str, str, list[Matched]]]:
    """From where, to where, and what its packets look like there."""
    if spec.between == "hosts":
        known = view.ask(bridges, None)
        for source, target in ((used.source, used.target), (used.target, used.source)):
            there: Matched = {"eth_dst": (Locator(DEFAULT, known[target], 0).mac, BRIDGE_MASK)}
            families: list[Matched] = [{**there, "eth_type": family} for family in FAMILIES]
            yield source, target, [*families, there]
        return
    near = view.ask(station, Key("Endpoint", spec.tenant, spec.source))
    far = view.ask(station, Key("Endpoint", spec.tenant, spec.target))
    if near and far:
        yield used.source, used.target, list(_between(near, far))
        yield used.target, used.source, list(_between(far, near))


def _between(one: Station, other: Station) -> Iterator[Matched]:
    for source, target in product(one.addresses, other.addresses):
        if source.version == target.version == 4:
            yield {"eth_type": ETH_IP, "ip_src": int(source), "ip_dst": int(target)}
        elif source.version == target.version:
            yield {"eth_type": ETH_IPV6, "ipv6_src": int(source), "ipv6_dst": int(target)}


FEATURE = Feature(
    "reservation",
    16,
    "what is under a reservation, and no more of it than that",
    {"Reservation": reservation},
)
