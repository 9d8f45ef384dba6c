# SPDX-License-Identifier: Apache-2.0
"""``vneterctl up``, its options; what it does is in `vneter_sdn.cli.up`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from vneter_sdn.config import LAB_LISTEN, Settings

_DEFAULTS = Settings()


def up(
    *,
    state_dir: Annotated[
        str, typer.Option(envvar="VNETER_STATE_DIR", help="Database and backups.")
    ] = _DEFAULTS.state_dir,
    run_dir: Annotated[
        str, typer.Option(envvar="VNETER_RUN_DIR", help="Sockets and pid files.")
    ] = _DEFAULTS.run_dir,
    db: Annotated[
        str, typer.Option(envvar="VNETER_DB", help="OVSDB remotes; embedded when empty.")
    ] = _DEFAULTS.db,
    api_listen: Annotated[
        str, typer.Option(envvar="VNETER_API_LISTEN", help="REST server: ADDRESS:PORT, unix:PATH.")
    ] = _DEFAULTS.api_listen,
    cluster_tenant: Annotated[
        str, typer.Option(envvar="VNETER_CLUSTER_TENANT", help="Tenant of Kubernetes namespaces.")
    ] = _DEFAULTS.cluster_tenant,
    metrics_listen: Annotated[
        str, typer.Option(envvar="VNETER_METRICS_LISTEN", help="Metrics of the core.")
    ] = _DEFAULTS.metrics_listen,
    openflow_listen: Annotated[
        list[str],
        typer.Option(
            envvar="VNETER_OPENFLOW_LISTEN", help="pssl:6653:0.0.0.0; repeatable.", metavar="TARGET"
        ),
    ] = [],  # noqa: B006 -- typer reads it, nobody writes it
    openflow_advertise: Annotated[
        str,
        typer.Option(
            envvar="VNETER_OPENFLOW_ADVERTISE", help="Target for remote hosts: ssl:192.0.2.1:6653."
        ),
    ] = _DEFAULTS.openflow_advertise,
    lab: Annotated[
        bool,
        typer.Option("--lab", envvar="VNETER_LAB", help="For Mininet: take in what connects here."),
    ] = False,
    lab_prefix: Annotated[
        str, typer.Option(envvar="VNETER_LAB_PREFIX", help="Where a lab's hosts have addresses.")
    ] = _DEFAULTS.lab_prefix,
    bfd_interval_ms: Annotated[
        int,
        typer.Option(
            envvar="VNETER_BFD_INTERVAL_MS", min=5, max=10_000, help="Between BFD packets on links."
        ),
    ] = _DEFAULTS.bfd_interval_ms,
    te_interval: Annotated[
        float,
        typer.Option(envvar="VNETER_TE_INTERVAL", min=5, help="Seconds between plans of traffic."),
    ] = _DEFAULTS.te_interval,
    te_measure_interval: Annotated[
        float,
        typer.Option(
            envvar="VNETER_TE_MEASURE_INTERVAL", min=0, help="Seconds; 0 measures no traffic."
        ),
    ] = _DEFAULTS.te_measure_interval,
    te_max_moves: Annotated[
        int,
        typer.Option(envvar="VNETER_TE_MAX_MOVES", min=0, help="Paths that a plan may reweight."),
    ] = _DEFAULTS.te_max_moves,
    te_change_share: Annotated[
        float,
        typer.Option(
            envvar="VNETER_TE_CHANGE_SHARE", min=0, max=1, help="Of traffic, for a new plan."
        ),
    ] = _DEFAULTS.te_change_share,
    te_change_mbps: Annotated[
        float,
        typer.Option(envvar="VNETER_TE_CHANGE_MBPS", min=0, help="At least, for a new plan."),
    ] = _DEFAULTS.te_change_mbps,
    policy_count_interval: Annotated[
        float,
        typer.Option(
            envvar="VNETER_POLICY_COUNT_INTERVAL", min=0, help="Seconds; 0 counts no decisions."
        ),
    ] = _DEFAULTS.policy_count_interval,
    audit_file: Annotated[
        str, typer.Option(envvar="VNETER_AUDIT_FILE", help="Of audit lines.", metavar="FILE")
    ] = "",
    audit_syslog: Annotated[
        str,
        typer.Option(envvar="VNETER_AUDIT_SYSLOG", help="unix:/dev/log or udp:HOST:PORT."),
    ] = "",
    audit_rate: Annotated[
        float, typer.Option(envvar="VNETER_AUDIT_RATE", min=1, help="Audit lines a second.")
    ] = _DEFAULTS.audit_rate,
    insecure_lab: Annotated[
        bool, typer.Option("--insecure-lab", help="Permit plain TCP off loopback.")
    ] = False,
    private_key: Annotated[
        str, typer.Option(envvar="VNETER_PRIVATE_KEY", help="PEM file.", metavar="FILE")
    ] = "",
    certificate: Annotated[
        str, typer.Option(envvar="VNETER_CERTIFICATE", help="PEM file.", metavar="FILE")
    ] = "",
    ca_certificate: Annotated[
        str, typer.Option(envvar="VNETER_CA_CERTIFICATE", help="PEM file.", metavar="FILE")
    ] = "",
    accept_older_intent: Annotated[
        bool,
        typer.Option("--accept-older-intent", help="Delete what a restored database lacks."),
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Log details.")] = False,
) -> None:
    """Run the controller until interrupted."""
    from vneter_sdn.cli import up as running

    settings = Settings(
        state_dir=os.path.abspath(state_dir),
        run_dir=os.path.abspath(run_dir),
        db=db,
        cluster_tenant=cluster_tenant,
        api_listen=api_listen,
        metrics_listen=metrics_listen,
        openflow_listen=tuple(openflow_listen) or ((LAB_LISTEN,) if lab else ()),
        openflow_advertise=openflow_advertise,
        lab=lab,
        lab_prefix=lab_prefix,
        bfd_interval_ms=bfd_interval_ms,
        te_interval=te_interval,
        te_measure_interval=te_measure_interval,
        te_max_moves=te_max_moves,
        te_change_share=te_change_share,
        te_change_mbps=te_change_mbps,
        policy_count_interval=policy_count_interval,
        audit_file=audit_file and os.path.abspath(audit_file),
        audit_syslog=audit_syslog,
        audit_rate=audit_rate,
        insecure_lab=insecure_lab,
        private_key=private_key,
        certificate=certificate,
        ca_certificate=ca_certificate,
        accept_older_intent=accept_older_intent,
        log_level="DEBUG" if verbose else _DEFAULTS.log_level,
    )
    running.up(settings)
