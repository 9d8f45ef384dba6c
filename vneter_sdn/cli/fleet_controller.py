# SPDX-License-Identifier: Apache-2.0
"""The controller that ``vneterctl fleet`` talks to, when there is one."""

from __future__ import annotations

import sys
import time
from typing import Any

from vneter_sdn.cli.targets import address, connect
from vneter_sdn.errors import NotFound

_PATIENCE = 20.0
"""Seconds that `enrol` waits for a controller that may be starting."""


def progress(line: str) -> None:
    """Tell people, and nobody who reads standard output."""
    print(line, file=sys.stderr, flush=True)


def client(server: str) -> Any:
    """A client of a REST server."""
    return connect(server, author="fleet")


def answering(server: str) -> Any:
    """A client of the controller, or None when nobody answers there."""
    return client(server) if connect(server, timeout=2.0).ready() else None


def enrol(server: str, made: list[Any]) -> None:
    """Register hosts, or say how to when no controller answers."""
    from vneter_sdn.fleet.controller import register

    at = address(server)
    controller = answering(server) or _awaited(server, at)
    if controller is None:
        progress(f"no controller is ready at {at}; `vneterctl up` starts one, and then")
        progress("  vneterctl fleet manifests | vneterctl apply -f -")
        progress("or a repeated `vneterctl fleet up` registers the hosts")
        return
    register(controller, made)
    progress(f"registered {len(made)} hosts at {at}")


def _awaited(server: str, at: str) -> Any:
    """A client of the controller, which may just be starting, or None."""
    progress(f"waiting {_PATIENCE:.0f} s for a controller at {at} (--no-register does not)")
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if controller := answering(server):
            return controller
    return None


def forget(controller: Any, tenant: str, name: str) -> None:
    """Delete an Endpoint, if it is there."""
    try:
        controller.delete("Endpoint", tenant, name)
    except NotFound:
        return
