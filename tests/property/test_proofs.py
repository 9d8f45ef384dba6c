# SPDX-License-Identifier: Apache-2.0
"""Proofs of sound fleets raise no alarm, whatever the intent."""

from dataclasses import replace

from fleet_intents import compiled, histories, plans, snapshot_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.simulate.meaning import meaning_of
from vneter_sdn.verify.checks import black_holes, isolation, loops
from vneter_sdn.verify.expected import Directory
from vneter_sdn.verify.fleet import CUTS, Fabric, Wiring
from vneter_sdn.verify.tracking import NEW
from vneter_sdn.verify.walk import Around, all_up

LENGTHS = st.sampled_from((1280, 1300, 1400))


def alarms(snapshot):
    states, rows = compiled(snapshot)
    fabric = Fabric.of(states, Wiring.of(rows), Around(NEW, all_up, CUTS))
    known = Directory.of(meaning_of(snapshot))
    for check in (black_holes, isolation, loops):
        yield from check(fabric, known)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans(), lengths=st.tuples(LENGTHS, LENGTHS), told=st.booleans())
def test_no_alarm(plan, lengths, told):
    more = {name: {"mtu": mtu} for name, mtu in zip(("n0", "n1"), lengths, strict=True)}
    for name, spec in more.items():
        own = [prefixes for key, prefixes in plan.networks.items() if key.name == name]
        if told and own and all(any(":" in p for p in prefixes) for prefixes in own):
            spec["ra"] = {}
    assert list(alarms(snapshot_of(replace(plan, more=tuple(more.items()))))) == []


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories())
def test_no_alarm_after_changes(history):
    assert list(alarms(snapshot_of(*history))) == []
