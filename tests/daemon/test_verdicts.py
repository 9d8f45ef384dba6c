# SPDX-License-Identifier: Apache-2.0
"""From the counters of bridges to what the engine hears of decisions; bridges are in memory."""

from __future__ import annotations

from vneter_sdn.compile.features.police import TABLES, decided
from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.config import Settings
from vneter_sdn.daemon.verdicts import Verdicts
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.southbound.openflow.memory import MemoryBridges
from vneter_sdn.southbound.openflow.multipart import FlowCounters
from vneter_sdn.southbound.openflow.upkeep import DesiredBridge
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit


def edit(kind, name, within="", **spec):
    metadata = {"name": name} | ({"tenant": within} if within else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, within, name), manifest)


def test_decisions_alone_are_told():
    store, bridges, heard = MemoryStore(), MemoryBridges(), []
    store.apply(
        [
            edit("Host", "a", datapathId=f"{1:016x}"),
            edit("Tenant", "red"),
            edit("Network", "web", "red", prefixes=["10.0.0.0/24"]),
            edit("Endpoint", "e", "red", network="web"),
            edit("Policy", "p", "red", ingress=[{"ports": [{"port": 80}]}, {"action": "drop"}]),
        ],
        author="test",
    )
    store.bind([Binding(Key("Endpoint", "red", "e"), "a", "v1", 1, 1)])
    snapshot = store.snapshot()
    compiled = compile_snapshot(snapshot)
    bridges.desire(1, DesiredBridge(compiled.bridge("a"), snapshot.revision))
    bridges.connect(1)
    verdicts = Verdicts(bridges, Settings(), heard.append)
    verdicts.stored(snapshot, None)
    for key, flow in compiled.bridge("a").flows.items():
        if decided(key):
            counters = FlowCounters(key, flow.cookie, 5.0, 3, 300)
            bridges.bridges[1].matched[key] = counters
    for table in TABLES:
        verdicts.ask(table)
    assert [(one.host, one.table) for one in heard] == [("a", table) for table in TABLES]
    assert not heard[0].readings  # nothing is asked of egress here
    found = heard[1].readings
    rules = compiled.rules("red")
    assert {one.decision.rule for one in found} == set(rules)
    begins = [one for one in found if one.decision.begins]
    assert {rules[one.decision.rule].verdict for one in begins} == {"allow"}
    assert len(begins) == 2
