# SPDX-License-Identifier: Apache-2.0
"""Rules about DNS names: what their tenant was told, and nobody else's, is allowed."""

from __future__ import annotations

import pytest

from vneter_sdn.compile.facts import RESOLVED
from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.compile.query import Fact
from vneter_sdn.model.flow import Punt
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.tables import table
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

ADDRESS = int.from_bytes(bytes([192, 0, 2, 1]))


def edit(kind, name, within="", **spec):
    metadata = {"name": name} | ({"tenant": within} if within else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, within, name), manifest)


@pytest.fixture
def compiled():
    store = MemoryStore()
    rules = [{"peers": [{"domain": "*.example"}]}, {"action": "drop"}]
    edits = [edit("Host", "a", datapathId=f"{1:016x}")]
    for tenant in ("red", "blue"):
        edits.append(edit("Tenant", tenant))
        edits.append(edit("Network", "web", tenant, prefixes=["10.0.0.0/24"]))
        edits.append(edit("Endpoint", "e", tenant, network="web"))
        edits.append(edit("Policy", "p", tenant, egress=rules))
    store.apply(edits, author="test")
    keys = [Key("Endpoint", tenant, "e") for tenant in ("red", "blue")]
    store.bind([Binding(key, "a", f"v{n}", n, n) for n, key in enumerate(keys, 1)])
    return compile_snapshot(store.snapshot())


def allowing(compiled):
    """Tenants' numbers in flows that match the address."""
    found = set()
    for flow in compiled.bridge("a").flows.values():
        terms = {term.field: term.value for term in flow.match}
        if terms.get("ip_dst") == ADDRESS and flow.table == table("egress_tiers").id:
            found.add(terms["reg2"])
    return found


def test_only_the_tenant_that_was_told_goes_by_it(compiled):
    assert not allowing(compiled)
    compiled.update({Fact(RESOLVED, "red/www.example"): ("192.0.2.1",)})
    assert len(allowing(compiled)) == 1
    compiled.update({Fact(RESOLVED, "red/www.example"): None})
    assert not allowing(compiled)
    compiled.update({Fact(RESOLVED, "blue/other"): ("192.0.2.1",)})
    assert not allowing(compiled)


def test_answers_to_endpoints_under_such_rules_are_copied(compiled):
    found = [
        punts.decode(action.userdata)
        for flow in compiled.bridge("a").flows.values()
        if flow.table == table("output").id
        for action in flow.actions
        if isinstance(action, Punt)
    ]
    assert len(found) == 8  # two endpoints, two families, UDP and TCP
    assert len({one.tenant for one in found}) == 2
