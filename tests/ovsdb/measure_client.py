# SPDX-License-Identifier: Apache-2.0
"""Time our client and the stock IDL on the same database, each in a process of its own.

Run as ``python tests/ovsdb/measure_client.py [ROWS]``; prints a JSON list of ``{"measure",
"unit", "ours", "peer", "ratio"}``. The figures of decision record 0003 come from here.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ovs
import ovs.db.idl
import ovs.json
import ovs.poller

from vneter_sdn.ovsdb import operations as op
from vneter_sdn.ovsdb.client import Client, Limits
from vneter_sdn.ovsdb.framing import STORE_CAP, Splitter
from vneter_sdn.ovsdb.replica import Replica

LIMITS = Limits(message=STORE_CAP, deadline=120.0)
SCHEMA = {
    "name": "db",
    "version": "1.0.0",
    "tables": {
        "T": {
            "isRoot": True,
            "columns": {
                "name": {"type": "string"},
                "spec": {"type": "string"},
                "revision": {"type": "integer"},
                "labels": {
                    "type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}
                },
                "tags": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
            },
        }
    },
}


def fill(remote: str, rows: int) -> None:
    """Write the rows, a thousand at a time."""
    with Client(remote, limits=LIMITS) as client:
        for start in range(0, rows, 1000):
            client.transact(
                "db",
                [
                    op.insert(
                        "T",
                        {
                            "name": f"tenant/endpoint-{number}",
                            "spec": json.dumps({"network": "n", "addresses": [f"10.0.0.{number}"]}),
                            "revision": number,
                            "labels": {"app": "web", "zone": f"z{number % 7}"},
                            "tags": {"a", "b"},
                        },
                    )
                    for number in range(start, min(start + 1000, rows))
                ],
            )


def load_ours(remote: str) -> int:
    """Rows in a replica that monitored everything."""
    with Client(remote, limits=LIMITS) as client:
        first = client.monitor("db", {"T": None})
        replica = Replica(client.watched("db"))
        replica.apply(first)
        return len(replica.table("T"))


def load_stock(remote: str) -> int:
    """Rows in the stock IDL."""
    helper = ovs.db.idl.SchemaHelper(schema_json=SCHEMA)
    helper.register_all()
    idl = ovs.db.idl.Idl(remote, helper)
    while not idl.has_ever_connected():
        if not idl.run():
            poller = ovs.poller.Poller()
            idl.wait(poller)
            poller.block()
    return len(idl.tables["T"].rows)


def string_ours(size: int) -> int:
    """Take one long string, cut as a socket cuts it."""
    splitter, data = Splitter(), json.dumps({"id": 1, "result": "x" * size}).encode()
    seen = 0
    for start in range(0, len(data), 65536):
        seen += sum(1 for _ in splitter.feed(data[start : start + 65536]))
    return seen


def string_stock(size: int) -> int:
    """The same through the stock parser."""
    parser, text = ovs.json.Parser(), json.dumps({"id": 1, "result": "x" * size})
    for start in range(0, len(text), 4096):
        parser.feed(text[start : start + 4096])
    return len(parser.finish())


def child(work: str, argument: str) -> None:
    """One piece of work; prints seconds and mebibytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    globals()[work](int(argument) if argument.isdigit() else argument)
    seconds = time.monotonic() - begun
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sys.stdout.write(json.dumps([seconds, grown / 1024]) + "\n")


def measured(work: str, argument: object) -> list[float]:
    """Seconds and mebibytes of one piece of work in a fresh process."""
    command = [sys.executable, __file__, "--child", work, str(argument)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    return json.loads(done.stdout)


def compare(name: str, work: str, argument: object) -> list[dict]:
    """Both clients on the same thing."""
    ours, peer = measured(f"{work}_ours", argument), measured(f"{work}_stock", argument)
    return [
        {
            "measure": f"{name}, {what}",
            "unit": unit,
            "ours": round(ours[index], 3),
            "peer": round(peer[index], 3),
            "ratio": round(peer[index] / ours[index], 1) if ours[index] else None,
        }
        for index, (what, unit) in enumerate([("time", "s"), ("memory", "MiB")])
    ]


def main(rows: int) -> None:
    """Make a database, compare, print."""
    with tempfile.TemporaryDirectory() as directory:
        schema, database = Path(directory, "db.ovsschema"), Path(directory, "db")
        schema.write_text(json.dumps(SCHEMA))
        subprocess.run(["ovsdb-tool", "create", database, schema], check=True)
        socket = Path(directory, "s")
        command = ["ovsdb-server", str(database), f"--remote=punix:{socket}", "--unixctl=none"]
        server = subprocess.Popen([*command, "-vconsole:off"])
        try:
            while not socket.exists():
                time.sleep(0.01)
            fill(f"unix:{socket}", rows)
            report = compare(f"load {rows} rows", "load", f"unix:{socket}")
        finally:
            server.terminate()
            server.wait(10)
    for size in (100_000, 1_000_000):
        report += compare(f"one string of {size} bytes", "string", size)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 50_000)
