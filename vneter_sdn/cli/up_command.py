# SPDX-License-Identifier: Apache-2.0
"""``vneterctl up``, its options; what it does is in `vneter_sdn.cli.up`.

Options are settings: of one name, type and default (`vneter_sdn.config.Settings`). Here is only
what people are told of them.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, get_type_hints

import typer

from vneter_sdn.cli.options import epilog
from vneter_sdn.config import LAB_LISTEN, Settings

_DEFAULTS = Settings()
EPILOG = epilog(
    (
        ("vneterctl up", "until Ctrl-C; REST on 127.0.0.1:8181"),
        ("vneterctl up --lab", "takes in what Mininet connects"),
        ("vneterctl up --state-dir ./state --run-dir ./run", "without root's directories"),
        ("vneterctl up --api-listen 0.0.0.0:8181 \\", "open to the network:"),
        ("  --api-tls-certificate c.pem --api-tls-key k.pem \\", ""),
        ("  --api-first-token admin.token", "an administrator's"),
        ("vneterctl up --verify-applies enforce", "refuses what breaks an Assertion"),
    )
)


class _Told(NamedTuple):
    """An option, besides what its setting says of it."""

    help: str
    least: float | None = None
    most: float | None = None
    metavar: str | None = None
    variable: bool = True
    """Whether the environment may say it: ``VNETER_NAME``."""

    def option(self, name: str, default: Any) -> Any:
        """As typer takes it."""
        word = name.replace("_", "-")
        flag = f"--{word}/--no-{word}" if default is True else f"--{word}"
        names = (flag,) if isinstance(default, bool) else ()
        variable = f"VNETER_{name.upper()}" if self.variable else None
        return typer.Option(
            *names,
            envvar=variable,
            help=self.help,
            metavar=self.metavar,
            min=self.least,
            max=self.most,
        )


_PEM = "PEM file."
_TOLD: Mapping[str, _Told] = {
    "state_dir": _Told("Database and backups."),
    "run_dir": _Told("Sockets and pid files."),
    "db": _Told("OVSDB remotes; embedded when empty."),
    "api_listen": _Told("REST server: ADDRESS:PORT, unix:PATH."),
    "api_tls_certificate": _Told("Of the REST server, PEM.", metavar="FILE"),
    "api_tls_key": _Told("Its private key, PEM.", metavar="FILE"),
    "api_client_ca": _Told("Authorities of clients, PEM.", metavar="FILE"),
    "api_require_certificate": _Told("Speak with no client without one."),
    "api_first_token": _Told("Write one there if there is none.", metavar="FILE"),
    "api_require_credential": _Told("Also on loopback."),
    "api_threads": _Told("Requests served at once.", 2, 1000),
    "api_watchers": _Told("Watches among them; at most half.", 1),
    "api_read_rate": _Told("Reads of one client a second; 0: any.", 0),
    "api_write_rate": _Told("Writes of one client a second; 0: any.", 0),
    "api_limit_local": _Told("Limit who needs no credential, too."),
    "api_watch_seconds": _Told("Of one watch, before it is resumed.", 1),
    "cluster_tenant": _Told("Tenant of Kubernetes namespaces."),
    "metrics_listen": _Told("Metrics of the core."),
    "openflow_listen": _Told("pssl:6653:0.0.0.0; repeatable.", metavar="TARGET"),
    "openflow_advertise": _Told("Target for remote hosts: ssl:192.0.2.1:6653."),
    "lab": _Told("For Mininet: take in what connects here."),
    "lab_prefix": _Told("Where a lab's hosts have addresses."),
    "echo_interval": _Told("Seconds before silent bridges are asked.", 0.1),
    "readback_interval": _Told("Seconds between audits of bridges.", 1),
    "discovery": _Told("Look for wires, and measure links."),
    "probe_interval": _Told("Seconds between probes of a port.", 0.1),
    "count_interval": _Told("Seconds between readings of ports.", 0.5),
    "bfd_interval_ms": _Told("Between BFD packets on links.", 5, 10_000),
    "damping_half_life": _Told("Seconds; how long flapping is remembered.", 1),
    "te_interval": _Told("Seconds between plans of traffic.", 5),
    "te_measure_interval": _Told("Seconds; 0 measures no traffic.", 0),
    "te_max_moves": _Told("Paths that a plan may reweight.", 0),
    "te_change_share": _Told("Of traffic, for a new plan.", 0, 1),
    "te_change_mbps": _Told("At least, for a new plan.", 0),
    "policy_count_interval": _Told("Seconds; 0 counts no decisions.", 0),
    "audit_file": _Told("Of audit lines.", metavar="FILE"),
    "audit_syslog": _Told("unix:/dev/log or udp:HOST:PORT."),
    "audit_rate": _Told("Audit lines a second.", 1),
    "dns_upstreams": _Told("Servers for others' names; repeatable.", metavar="ADDRESS"),
    "verify_applies": _Told("Prove changes first: off, warn or enforce."),
    "verify_limit": _Told("Seconds that such a proof may take.", 0.1),
    "assertion_limit": _Told("Seconds to find out what Assertions hold; 0 never.", 0),
    "history_revisions": _Told("Kept with their diffs; 0: all.", 0),
    "history_days": _Told("Revisions kept for; 0: ever.", 0),
    "history_audit": _Told("Entries about access kept; 0: all.", 0),
    "idempotency_hours": _Told("Requests known again for; 0: ever.", 0),
    "admission_sweep": _Told("Seconds between retries of allocations.", 0.1),
    "insecure_lab": _Told("Permit plain TCP off loopback.", variable=False),
    "private_key": _Told(_PEM, metavar="FILE"),
    "certificate": _Told(_PEM, metavar="FILE"),
    "ca_certificate": _Told(_PEM, metavar="FILE"),
    "accept_older_intent": _Told("Delete what a restored database lacks.", variable=False),
}
_PATHS = (
    "state_dir", "run_dir", "audit_file", "api_tls_certificate", "api_tls_key", "api_client_ca",
    "api_first_token",
)  # fmt: skip
"""Settings that children, which may be elsewhere, have to find."""
_VERBOSE = typer.Option("-v", "--verbose", help="Log details.")


def up(**given: Any) -> None:
    """Run the controller until interrupted."""
    from vneter_sdn.cli import up as running

    verbose = given.pop("verbose")
    values = given | {name: given[name] and os.path.abspath(given[name]) for name in _PATHS}
    listen = tuple(given["openflow_listen"])
    values["openflow_listen"] = listen or ((LAB_LISTEN,) if given["lab"] else ())
    values["dns_upstreams"] = tuple(given["dns_upstreams"])
    running.up(Settings(**values, log_level="DEBUG" if verbose else _DEFAULTS.log_level))


def _parameters() -> list[inspect.Parameter]:
    """What typer reads in place of a signature that names everything once more."""
    types = get_type_hints(Settings)
    found = []
    for name, told in _TOLD.items():
        default = getattr(_DEFAULTS, name)
        kind: Any = list[str] if isinstance(default, tuple) else types[name]
        annotation = Annotated[kind, told.option(name, default)]
        default = list(default) if isinstance(default, tuple) else default
        found.append(_parameter(name, annotation, default))
    return [*found, _parameter("verbose", Annotated[bool, _VERBOSE], False)]


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


up.__signature__ = inspect.Signature(_parameters())  # type: ignore[attr-defined]
up.__annotations__ = {one.name: one.annotation for one in _parameters()}
