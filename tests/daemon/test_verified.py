# SPDX-License-Identifier: Apache-2.0
"""The setting verify_applies: what breaks an assertion is refused, or remarked on."""

import pytest
import yaml

from vneter_sdn.daemon.verified import VerifiedStore
from vneter_sdn.errors import IntentError
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.northbound.resources import edit_of
from vneter_sdn.store.memory import MemoryStore

NETWORK = """\
- {kind: Host, metadata: {name: h1}, spec: {ovsdb: "unix:/run/h1", tunnelAddresses: [192.0.2.1]}}
- {kind: Host, metadata: {name: h2}, spec: {ovsdb: "unix:/run/h2", tunnelAddresses: [192.0.2.2]}}
- {kind: Tenant, metadata: {name: red}, spec: {}}
- {kind: Network, metadata: {name: web, tenant: red}, spec: {prefixes: [10.0.0.0/24]}}
- {kind: Endpoint, metadata: {name: a, tenant: red, labels: {app: a}}, spec: {network: web}}
- {kind: Endpoint, metadata: {name: b, tenant: red, labels: {app: b}}, spec: {network: web}}
- kind: Assertion
  metadata: {name: talk}
  spec:
    source: {endpoints: {matchLabels: {app: a}}}
    target: {endpoints: {matchLabels: {app: b}}}
    ports: [{port: 80}]
"""
DENY = """\
- kind: Policy
  metadata: {name: deny, tenant: red}
  spec:
    tier: application
    appliesTo: [{endpoints: {matchLabels: {app: b}}}]
    ingress: [{action: drop, ports: [{port: PORT}]}]
"""


def edits(text):
    return [edit_of({"apiVersion": "vneter.io/v1", **one}) for one in yaml.safe_load(text)]


@pytest.fixture
def store():
    made = MemoryStore()
    made.apply(edits(NETWORK), author="test")
    ends = enumerate((("a", "h1"), ("b", "h2")), 1)
    made.bind([Binding(Key("Endpoint", "red", e), h, "port1", 1, n) for n, (e, h) in ends])
    return made


def test_what_breaks_an_assertion_is_refused_with_a_packet(store):
    proven = VerifiedStore(store, enforce=True)
    before = store.snapshot()
    with pytest.raises(IntentError) as refused:
        proven.apply(edits(DENY.replace("PORT", "80")), author="test")
    (problem,) = refused.value.problems
    assert problem.object == "Assertion talk"
    assert problem.reason == "BreaksAssertion"
    assert "tcp/80 from Endpoint red/a on h1 to Endpoint red/b" in problem.message
    assert "over h1 > h2" in problem.message
    assert "by Policy red/deny ingress[0]: drop" in problem.message
    assert store.snapshot() is before


def test_after_a_refusal_others_are_judged_by_what_is_written(store):
    proven = VerifiedStore(store, enforce=True)
    with pytest.raises(IntentError):
        proven.apply(edits(DENY.replace("PORT", "80")), author="test")
    done = proven.apply(edits(DENY.replace("PORT", "81")), author="test")
    assert done.created == (Key("Policy", "red", "deny"),)
    assert done.notes == ()
    with pytest.raises(IntentError):
        proven.apply(edits(DENY.replace("PORT", "80")), author="test")


def test_it_may_be_remarked_on_instead(store):
    proven = VerifiedStore(store, enforce=False)
    done = proven.apply(edits(DENY.replace("PORT", "80")), author="test")
    assert done.created
    assert len(done.notes) == 1
    assert done.notes[0].startswith("Assertion talk: Endpoint red/a cannot open tcp/80")


def test_what_is_written_beside_it_is_followed(store):
    proven = VerifiedStore(store, enforce=True)
    proven.apply(edits(DENY.replace("PORT", "81")), author="test")
    store.apply(edits(DENY.replace("PORT", "80")), author="somebody else")
    wider = edits("- {kind: Tenant, metadata: {name: blue}, spec: {}}")
    assert proven.apply(wider, author="test").created == (Key("Tenant", "", "blue"),)


def test_what_is_not_acceptable_is_the_stores_to_refuse(store):
    proven = VerifiedStore(store, enforce=True)
    with pytest.raises(IntentError) as refused:
        proven.apply(edits(DENY.replace("PORT", "80").replace("red", "green")), author="test")
    assert "Breaks" not in {one.reason for one in refused.value.problems}


def test_a_proof_that_fails_is_no_proof(store, monkeypatch):
    proven = VerifiedStore(store, enforce=True)
    monkeypatch.setattr(proven, "_followed", lambda _: 1 / 0)
    with pytest.raises(IntentError) as refused:
        proven.apply(edits(DENY.replace("PORT", "81")), author="test")
    assert [one.reason for one in refused.value.problems] == ["NotProven"]
    with pytest.raises(IntentError):
        proven.apply(edits(DENY.replace("PORT", "81")), author="test", dry_run=True)
