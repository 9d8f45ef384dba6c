# SPDX-License-Identifier: Apache-2.0
"""The same store on eventlet, unpatched: waiting gives way to other greenthreads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vneter_sdn.store.embedded import EmbeddedDatabase

pytestmark = pytest.mark.ovs

SCRIPT = """
import sys
import eventlet
from eventlet.green import select, socket, threading
from vneter_sdn.model.snapshot import Key
from vneter_sdn.ovsdb.transport import Network
from vneter_sdn.store.ovsdb import Concurrency, OvsdbStore
from vneter_sdn.store.port import Edit

ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        eventlet.sleep(0.01)

eventlet.spawn(tick)
use = Concurrency(threads=threading, network=Network(socket, select.select))
store = OvsdbStore(sys.argv[1], concurrency=use, patience=20.0)
start, seen = store.snapshot(), []
eventlet.spawn(lambda: seen.append(store.wait(start, 20.0)))
eventlet.sleep(0.05)
before = ticks
assert store.wait(start, 0.3) is None
assert ticks > before + 5, (before, ticks)
manifest = {"apiVersion": "vneter.io/v1", "kind": "Tenant", "metadata": {"name": "t"}}
store.apply([Edit("apply", Key("Tenant", "", "t"), manifest)], author="x")
eventlet.sleep(0.05)
assert seen[0][1].objects == {Key("Tenant", "", "t")}
store.close()
print("done", ticks)
"""


def test_store_on_greenthreads(database: EmbeddedDatabase) -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, database.remote]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("done")
