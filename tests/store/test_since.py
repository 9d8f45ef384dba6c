# SPDX-License-Identifier: Apache-2.0
"""What changed since a recent snapshot is told without going through all there is."""

from __future__ import annotations

from vneter_sdn.admission.trie import PersistentMap
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.snapshot import Key
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit


def tenant(name):
    value = {"apiVersion": API_VERSION, "kind": "Tenant", "metadata": {"name": name}, "spec": {}}
    return Edit("apply", Key("Tenant", "", name), value)


def test_what_changed_of_late_is_found_without_a_look_at_the_rest(monkeypatch):
    store = MemoryStore()
    store.apply([tenant(f"t{n}") for n in range(100)], author="me")
    before = store.snapshot()
    for name in ("red", "blue"):
        store.apply([tenant(name)], author="me")
    looked = []
    whole = PersistentMap.__iter__
    monkeypatch.setattr(PersistentMap, "__iter__", lambda m: looked.append(len(m)) or whole(m))
    _, delta = store.wait(before, 0)
    assert delta.objects == {Key("Tenant", "", "red"), Key("Tenant", "", "blue")}
    assert not [size for size in looked if size >= 100]
