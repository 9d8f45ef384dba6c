# SPDX-License-Identifier: Apache-2.0
"""What 10,000 objects cost by way of REST, with a whole controller: the figures of decision 0018.

``python tests/northbound/measure_listing.py [OBJECTS]``. Hosts are declared and not there.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vneter_sdn.client import Client
from vneter_sdn.fleet.controller import answers
from vneter_sdn.model.kinds import API_VERSION
from vneter_sdn.northbound.manifests import write

_FORMS = ("table", "wide", "name", "json", "yaml", "jsonpath={.items[*].metadata.name}")


def say(what: str, told: str) -> None:
    """One line of figures."""
    sys.stdout.write(f"{what:<64}{told:>24}\n")
    sys.stdout.flush()


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Do it, and print how long it took."""
    began = time.perf_counter()
    result = work()
    say(what, f"{(time.perf_counter() - began) * 1000:.0f} ms")
    return result


def manifest(kind: str, name: str, tenant: str = "", **spec: Any) -> dict[str, Any]:
    """A manifest to apply."""
    metadata = {"name": name} | ({"tenant": tenant} if tenant else {})
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


@contextmanager
def controller(scratch: Path) -> Iterator[tuple[str, Callable[[str], None]]]:
    """One that runs: its address, and what says how much its processes take."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    words = [sys.executable, "-m", "vneter_sdn", "up", "--api-listen", listen]
    words += ["--state-dir", str(scratch / "s"), "--run-dir", str(scratch / "r")]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet)

    def memory(when: str) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii")
        for pid in children.split():
            command = Path(f"/proc/{pid}/cmdline").read_text("utf-8")
            name = next(word for word in ("daemon.core", "daemon.api", "ovsdb") if word in command)
            status = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
            (line,) = (line for line in status if line.startswith("VmRSS"))
            say(f"{when}: memory of {name}", f"{int(line.split()[1]) / 1024:.0f} MiB")

    try:
        while not answers(f"http://{listen}"):
            time.sleep(0.1)
        yield f"http://{listen}", memory
    finally:
        process.terminate()
        process.wait(30)


def main(count: int) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="vl") as path:
        scratch = Path(path)
        with controller(scratch) as (server, memory):
            client = Client(server, timeout=120)
            world = [manifest("Tenant", "red")]
            world += [manifest("Network", "web", "red", prefixes=["10.0.0.0/16", "fd00::/64"])]
            client.apply(world)
            memory("empty")
            many = [manifest("Endpoint", f"e{n}", "red", network="web") for n in range(count)]
            file = scratch / "many.yaml"
            file.write_text("---\n".join(map(write, many)), encoding="utf-8")
            by_hand(server, ["apply", "-f", str(file), "--dry-run"])
            by_hand(server, ["apply", "-f", str(file)])
            memory("applied")
            ask(client, server)
            for form in _FORMS:
                by_hand(server, ["get", "endpoints", "-o", form])
            by_hand(server, ["status"], codes=(0, 1))
            by_hand(server, ["diff", "-f", str(file)])
            by_hand(server, ["label", "ep", "--all", "a=b"])
            watch(client)
            memory("at the end")


def by_hand(server: str, words: list[str], codes: tuple[int, ...] = (0,)) -> None:
    """Time what people type."""
    command = [sys.executable, "-m", "vneter_sdn", *words, "--server", server]
    told = " ".join(word if "/" not in word else "many.yaml" for word in words)
    done = timed(
        f"vneterctl {told}", lambda: subprocess.run(command, check=False, capture_output=True)
    )
    assert done.returncode in codes, done.stderr


def ask(client: Client, server: str) -> None:
    """Time lists, page by page and whole."""
    took: list[float] = []
    began = time.perf_counter()
    for _ in client.pages("Endpoint"):
        took.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
    told = f"{took[0]:.0f}, {took[len(took) // 2]:.0f}, {took[-1]:.0f} ms"
    say("pages of 500: the first, the middle one, the last", told)
    timed("all pages", lambda: client.list("Endpoint"))
    whole = f"{server}/v1/endpoints"
    timed("in one page, unread", lambda: urllib.request.urlopen(whole).read())
    for fields in ("metadata.name=e77", "status.conditions[Ready]=False"):
        timed(f"those with {fields}", lambda: client.list("Endpoint", fields=fields))  # noqa: B023


def watch(client: Client) -> None:
    """Time a watch, and how soon it tells of a change."""
    watching = client.watch(["Endpoint"])
    timed("a watch: until all there is was told", lambda: until(watching, "synced"))
    began = time.perf_counter()
    client.apply([manifest("Endpoint", "one-more", "red", network="web")])
    until(watching, "added")
    say("a change: applied, and told", f"{(time.perf_counter() - began) * 1000:.0f} ms")


def until(watching: Iterator[Any], event: str) -> None:
    """Read on until something happens."""
    next(change for change in watching if change.sort == event)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 10_000)
