# SPDX-License-Identifier: Apache-2.0
"""Whatever is written in the fields of hosts, links, policies and reservations: it is admitted, or
refused with reasons, and nothing else ever happens."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.admission.status import status_of
from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.kinds import KINDS

from .conftest import Edit, World

_NAMES = st.sampled_from(["h1", "h2", "s1", "red", "blue", "e1", "p1", "x", "", "H", "a b"])
_NUMBERS = st.one_of(
    st.integers(-2, 70000), st.floats(), st.sampled_from([0, 1, 1e9, 2**64, 1280, 1400])
)
_TEXTS = st.one_of(
    _NAMES,
    st.sampled_from(
        [
            *("192.0.2.1", "192.0.2.2", "2001:db8::1", "::", "1.2.3", "eth1", "wire", "hosts"),
            *("red/web", "tcp/80-70", "udp", "tcp/0", "0000000000000001", "f" * 16, "0" * 16),
            *("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+25:00", "9999-12-31T23:59:59-23:59"),
            *("0000-01-01T00:00:00Z", "latency", "risk", "best", "unix:/x"),
        ]
    ),
    st.text(max_size=4),
)
_PLAIN = st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS)
_VALUES = st.one_of(
    _PLAIN, st.lists(_TEXTS, max_size=3), st.dictionaries(_TEXTS, _PLAIN, max_size=2)
)
_CONSTRAINTS = ("maxHops", "maxLatencyMs", "avoidTags", "requireTags", "regions", "waypoints")
_WITHIN = {
    "constraints": st.dictionaries(st.sampled_from(_CONSTRAINTS), _VALUES, max_size=4),
    "objective": st.dictionaries(st.sampled_from(["hops", "cost", "loss"]), _NUMBERS, max_size=3),
}
_SOUND: dict[str, list[dict[str, Any]]] = {
    "Host": [{"ovsdb": "unix:/x"}, {"datapathId": "0000000000000009"}],
    "Link": [
        {"source": "h1", "target": "h2"},
        {"source": "h1", "target": "s1", "medium": "wire", "sourcePort": "a", "targetPort": "b"},
    ],
    "PathPolicy": [{}],
    "Reservation": [
        {"tenant": "red", "source": "e1", "target": "e2", "rateMbps": 1},
        {"tenant": "red", "between": "hosts", "source": "h1", "target": "s1", "rateMbps": 1},
    ],
}


def fields_of(kind: str) -> list[str]:
    return list(KINDS[kind].spec.__struct_encode_fields__)


@st.composite
def _edits(draw: st.DrawFn) -> Edit:
    kind = draw(st.sampled_from(sorted(_SOUND)))
    spec = dict(draw(st.sampled_from(_SOUND[kind])))
    for field in draw(st.lists(st.sampled_from(fields_of(kind)), max_size=3)):
        spec[field] = draw(_WITHIN.get(field, _VALUES) if draw(st.booleans()) else _VALUES)
    key = World().key(kind, draw(st.sampled_from(["h1", "x", "p1"])))
    head = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": {"name": key.name}}
    return Edit("apply", key, {**head, "spec": spec})


def start() -> World:
    world = World()
    world.apply(
        world.tenant(),
        world.tenant("blue"),
        world.network(),
        world.endpoint("e1"),
        world.endpoint("e2"),
        world.host("h1", tunnelAddresses=["192.0.2.1", "2001:db8::1"]),
        world.host("h2", tunnelAddresses=["192.0.2.2"]),
        world.host("s1", ovsdb=None, datapathId="0000000000000001"),
        world.edit("PathPolicy", "p1", constraints={"waypoints": ["h1"]}),
        world.edit("Link", "l", source="h1", target="h2", sourceAddress="192.0.2.1"),
    )
    return world


@settings(max_examples=300, deadline=None)
@given(st.lists(_edits(), min_size=1, max_size=4))
def test_anything_is_admitted_or_refused_with_reasons(edits: list[Edit]) -> None:
    world = start()
    for edit in edits:
        before, found = world.snapshot, problems(world, edit)
        if found is None:
            assert status_of(world.snapshot, edit.key)["conditions"]
        else:
            assert found
            assert all(one.reason and one.message for one in found)
            assert world.snapshot is before


def problems(world: World, edit: Edit) -> tuple[Problem, ...] | None:
    try:
        world.apply(edit)
    except IntentError as refused:
        return refused.problems
    return None
