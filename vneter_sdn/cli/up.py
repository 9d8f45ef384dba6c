# SPDX-License-Identifier: Apache-2.0
"""``vneterctl up``: the controller in one command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import vneter_sdn
from vneter_sdn.cli.terminal import UNREACHABLE, Answer, columns, paint
from vneter_sdn.config import Settings
from vneter_sdn.errors import StoreUnavailable

_log = logging.getLogger(__name__)
_DEFAULT_SERVER = "http://127.0.0.1:8181"


def up(settings: Settings) -> None:
    """Run until interrupted.

    Raises:
        IntentError: the REST server may not listen where it should, for want of TLS.
        VneterError: the controller cannot start.
        Answer: its database cannot.
    """
    from vneter_sdn.daemon.preflight import check
    from vneter_sdn.daemon.supervisor import run
    from vneter_sdn.northbound.server import check_settings
    from vneter_sdn.telemetry import logs

    check_settings(settings)  # the server's own process would only fail again and again
    check(settings)
    logs.set_up(settings.log_level, file=logs.log_file(settings.state_dir, "supervisor"))
    try:
        run(settings, greeting(settings))
    except StoreUnavailable as unusable:
        raise Answer(UNREACHABLE, str(unusable)) from None
    _log.info("stopped; bridges keep what they hold")


def server_of(settings: Settings) -> str:
    """What ``--server`` has to be to reach this controller."""
    if settings.api_listen.startswith("unix:"):
        return settings.api_listen
    return f"http{'s' if settings.api_tls_certificate else ''}://{settings.api_listen}"


def _own_door(settings: Settings) -> str:
    """The administrator's, where there is one besides."""
    from vneter_sdn.northbound.server import local_socket

    beside = local_socket(settings)
    return beside.url(secured=False) if beside else ""


def greeting(settings: Settings) -> Callable[[], bool]:
    """A function that says once that the controller is ready: as a banner, or as a log record."""
    from vneter_sdn.client import Client

    client = Client(_own_door(settings) or server_of(settings), timeout=1.0)

    def greet() -> bool:
        if not client.ready():
            return False
        if sys.stderr.isatty():
            print("\n".join(banner(settings)), file=sys.stderr, flush=True)
        else:
            _log.info("ready at %s", server_of(settings))
        return True

    return greet


def banner(settings: Settings) -> list[str]:
    """Where everything is, and what to do next."""
    server = server_of(settings)
    door = "" if settings.api_require_credential else _own_door(settings)
    stored = f"kept in {settings.state_dir}"
    curl = f"curl -s {server}" if server.startswith("http") else "openapi.json healthz metrics"
    where = [
        ["REST", server, f"{curl}/openapi.json" if curl.startswith("curl") else curl],
        *([["administrator", door, "no credential needed"]] if door else []),
        ["core metrics", f"http://{settings.metrics_listen}/metrics", "for Prometheus"],
        ["database", settings.db or f"unix:{settings.run_dir}/db.sock", settings.db or stored],
        *(["OpenFlow", target, "for remote hosts"] for target in settings.openflow_listen),
    ]
    reach = door or server
    elsewhere = [] if reach == _DEFAULT_SERVER else [f"  export VNETER_SERVER={reach}"]
    lab = "mn --controller remote,port=6653 --switch ovs,datapath=user --topo linear,4"
    steps = [
        *([[lab, "a lab; its hosts are learned"]] if settings.lab else []),
        ["vneterctl fleet up --hosts 3", "real Open vSwitch hosts, on this machine"],
        ["vneterctl apply -f FILE", "tenants, networks, endpoints; `vneterctl explain network`"],
        ["vneterctl status", "everything on one screen"],
    ]
    return [
        paint(f"vneter {vneter_sdn.__version__} is ready; Ctrl-C stops it", "bold", sys.stderr),
        *(f"  {line}" for line in columns(where)),
        "Next, in another terminal:",
        *elsewhere,
        *(f"  {line}" for line in columns(steps)),
        "",
    ]
