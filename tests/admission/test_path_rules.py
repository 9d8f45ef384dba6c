# SPDX-License-Identifier: Apache-2.0
"""What path policies and reservations may say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.admission.allocation import RANGES
from vneter_sdn.model.instants import posix
from vneter_sdn.model.snapshot import Pools

C = "spec.constraints"


@pytest.fixture
def lab(world: Any) -> Any:
    """Tenants red (with web, e1, e2) and blue; hosts h1 and h2."""
    world.apply(
        world.tenant("blue"),
        world.host("h1"),
        world.host("h2"),
        world.endpoint("e1"),
        world.endpoint("e2"),
    )
    return world


def policy(world: Any, name: str = "p", **spec: Any) -> Any:
    return world.edit("PathPolicy", name, **spec)


def reservation(world: Any, **spec: Any) -> Any:
    edit = world.edit("Reservation", "r")
    ends = {"tenant": "red", "source": "e1", "target": "e2", "rateMbps": 10}
    edit.manifest["spec"].update(ends | spec)
    return edit


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"objective": {}}, ("spec.objective", "NoObjective")),
        ({"objective": {"cost": 0, "hops": 0.0}}, ("spec.objective", "NoObjective")),
        ({"objective": "speed"}, ("spec.objective", "InvalidValue")),
        ({"objective": {"cost": -1}}, ("spec.objective.cost", "InvalidValue")),
        ({"objective": {"speed": 1}}, ("spec.objective.speed", "UnknownField")),
        ({"ports": ["tcp/443-80"]}, ("spec.ports[0]", "BadRange")),
        ({"ports": ["tcp", "udp/65536"]}, ("spec.ports[1]", "BadPort")),
        ({"ports": ["tcp/0"]}, ("spec.ports[0]", "BadPort")),
        ({"ports": ["tcp/1-99999"]}, ("spec.ports[0]", "BadPort")),
        ({"ports": ["sctp/1"]}, ("spec.ports[0]", "InvalidValue")),
        ({"ports": ["tcp", "tcp"]}, ("spec.ports[1]", "Duplicate")),
        ({"networks": ["web"]}, ("spec.networks[0]", "BadNetwork")),
        ({"networks": ["red/web/x"]}, ("spec.networks[0]", "BadNetwork")),
        ({"networks": ["red/db"]}, ("spec.networks[0]", "UnknownReference")),
        ({"tenants": ["blue"], "networks": ["red/web"]}, ("spec.networks[0]", "Contradiction")),
        ({"tenants": ["green"]}, ("spec.tenants[0]", "UnknownReference")),
        ({"sourceLabels": {"a b": "c"}}, ("spec.sourceLabels.a b", "InvalidValue")),
        ({"targetLabels": {"a": "b c"}}, ("spec.targetLabels.a", "InvalidValue")),
        (
            {"constraints": {"avoidTags": ["a", "b"], "requireTags": ["b"]}},
            (f"{C}.requireTags", "Contradiction"),
        ),
        ({"constraints": {"regions": ["eu", " "]}}, (f"{C}.regions[1]", "EmptyRegion")),
        ({"constraints": {"waypoints": ["h1", "h1"]}}, (f"{C}.waypoints[1]", "Duplicate")),
        ({"constraints": {"waypoints": ["h9"]}}, (f"{C}.waypoints[0]", "UnknownReference")),
        ({"constraints": {"maxHops": 0}}, (f"{C}.maxHops", "InvalidValue")),
        ({"constraints": {"maxLatencyMs": -1}}, (f"{C}.maxLatencyMs", "InvalidValue")),
        ({"constraints": {"minMtu": 100}}, (f"{C}.minMtu", "InvalidValue")),
        ({"paths": 0}, ("spec.paths", "InvalidValue")),
        ({"paths": 17}, ("spec.paths", "InvalidValue")),
    ],
)
def test_policy_faults(lab: Any, spec: dict[str, Any], problem: tuple[str, str]) -> None:
    assert lab.refused(policy(lab, **spec)) == {problem}


def test_more_waypoints_than_hops_lead_to(lab: Any) -> None:
    hosts = [lab.host(f"w{number}") for number in range(4)]
    names = [edit.key.name for edit in hosts]
    far = {"waypoints": names, "maxHops": 2}
    assert lab.refused(*hosts, policy(lab, constraints=far)) == {(f"{C}.maxHops", "Contradiction")}
    lab.apply(*hosts, policy(lab, constraints={**far, "maxHops": 3}))


def test_what_a_policy_names_is_kept(lab: Any) -> None:
    lab.apply(
        policy(lab, networks=["red/web"], tenants=["red"], constraints={"waypoints": ["h1"]}),
        reservation(lab, policy="p"),
    )
    for kind, name in (("Host", "h1"), ("PathPolicy", "p"), ("Endpoint", "e1")):
        assert lab.refused(lab.delete(kind, name)) == {("", "InUse")}
    lab.apply(lab.delete("Reservation", "r"), lab.delete("PathPolicy", "p"))
    lab.apply(lab.delete("Host", "h1"), lab.delete("Endpoint", "e1"))


def test_policies_without_a_number_say_so(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert RANGES[Pools.POLICY] == (1, 4095)
    monkeypatch.setitem(RANGES, Pools.POLICY, (1, 2))
    lab.apply(*(policy(lab, name) for name in "abc"))
    assert [lab.status("PathPolicy", name)["policyId"] for name in "abc"] == [1, 2, None]
    assert lab.condition("PathPolicy", "c", "Ready") == ("False", "PoolExhausted")
    lab.apply(lab.delete("PathPolicy", "a"))
    lab.now += 61
    lab.sweep()
    assert lab.status("PathPolicy", "c")["policyId"] == 1


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"target": "e1"}, ("spec.target", "SameEnds")),
        ({"tenant": "green"}, ("spec.tenant", "UnknownReference")),
        ({"source": "e9"}, ("spec.source", "UnknownReference")),
        ({"between": "hosts", "source": "h1"}, ("spec.target", "UnknownReference")),
        ({"policy": "p"}, ("spec.policy", "UnknownReference")),
        ({"rateMbps": 0}, ("spec.rateMbps", "InvalidValue")),
        ({"rateMbps": float("inf")}, ("spec.rateMbps", "BadNumber")),
        ({"start": "tomorrow"}, ("spec.start", "BadTime")),
        ({"start": "2026-01-01T00:00:00"}, ("spec.start", "BadTime")),
        ({"start": "2026-01-01"}, ("spec.start", "BadTime")),
        ({"end": "2026-02-30T00:00:00Z"}, ("spec.end", "BadTime")),
        ({"end": "2026-01-01T00:00:60Z"}, ("spec.end", "BadTime")),
        (
            {"start": "2026-01-01T01:00:00+01:00", "end": "2026-01-01T00:00:00Z"},
            ("spec.end", "EndsBeforeStart"),
        ),
    ],
)
def test_reservation_faults(lab: Any, spec: dict[str, Any], problem: tuple[str, str]) -> None:
    assert problem in lab.refused(reservation(lab, **spec))


def test_reservations_between_hosts(lab: Any) -> None:
    window = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T02:00:00.5+01:00"}
    lab.apply(reservation(lab, between="hosts", source="h1", target="h2", **window))
    assert lab.refused(lab.delete("Host", "h1")) == {("", "InUse")}


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_instants_are_read_as_they_are_written(instant: datetime) -> None:
    assert posix(instant.isoformat()) == instant.timestamp()
    assert posix(instant.isoformat().replace("+00:00", "z")) == instant.timestamp()


@given(st.text(max_size=30))
def test_other_text_is_no_instant(text: str) -> None:
    try:
        posix(text)
    except ValueError:
        return
    assert "T" in text.upper()
