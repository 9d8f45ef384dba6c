# SPDX-License-Identifier: Apache-2.0
"""Long compilations pause for others, and pausing changes nothing."""

from __future__ import annotations

import pytest

from vneter_sdn.compile.facts import everything, facts
from vneter_sdn.compile.network import Compiler
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.model.pace import STEP, paced
from vneter_sdn.model.snapshot import Binding, Key
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

ENDPOINTS = 120


def edit(kind, name, tenant="", **spec):
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, tenant, name), manifest)


@pytest.fixture(scope="module")
def snapshot():
    store = MemoryStore(lambda: 0.0)
    hosts = [edit("Host", f"h{n}", ovsdb=f"tcp:127.0.0.1:{6640 + n}") for n in range(3)]
    network = edit("Network", "web", "red", prefixes=["10.0.0.0/16"])
    names = [f"e{n}" for n in range(ENDPOINTS)]
    endpoints = [edit("Endpoint", name, "red", network="web") for name in names]
    store.apply([*hosts, edit("Tenant", "red"), network, *endpoints], author="test")
    keys = [Key("Endpoint", "red", name) for name in names]
    store.bind([Binding(key, f"h{n % 3}", f"v{n}", n, n) for n, key in enumerate(keys, 1)])
    return store.snapshot()


def test_it_breathes_every_few_steps(snapshot):
    breaths = []

    def breathe():
        breaths.append(compiler.runs if compiler else 0)

    compiler = None
    compiler = Compiler(breathe=breathe)
    compiler.take(snapshot, everything(snapshot))
    gaps = [later - earlier for earlier, later in zip([0, *breaths], breaths, strict=False)]
    assert max(gaps) <= STEP
    put = len(facts(snapshot, everything(snapshot)))
    assert len(breaths) >= compiler.runs // STEP + put // STEP


def test_breathing_changes_nothing(snapshot):
    hurried, slow = Compiler(), Compiler(breathe=lambda: None)
    assert hurried.take(snapshot, everything(snapshot)) == slow.take(snapshot, everything(snapshot))
    assert [hurried.digest(host) for host in hurried.hosts()] == [
        slow.digest(host) for host in slow.hosts()
    ]


def test_a_query_cut_short_by_a_breath_is_run_again(snapshot):
    fatal = [2 * STEP]

    def breathe():
        if fatal and compiler and compiler.runs >= fatal[0]:
            fatal.clear()
            raise InterruptedError

    compiler = None
    compiler, whole = Compiler(breathe=breathe), Compiler()
    with pytest.raises(InterruptedError):
        compiler.take(snapshot, everything(snapshot))
    assert fatal == []
    whole.take(snapshot, everything(snapshot))
    compiler.take(snapshot, everything(snapshot))
    assert compiler.hosts() == whole.hosts()
    assert all(compiler.digest(host) == whole.digest(host) for host in whole.hosts())


def test_paced_gives_everything_in_order():
    breaths = []
    assert list(paced(range(10), lambda: breaths.append(1), 3)) == list(range(10))
    assert len(breaths) == 3
