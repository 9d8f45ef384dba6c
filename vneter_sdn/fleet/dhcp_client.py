# SPDX-License-Identifier: Apache-2.0
"""A client of DHCP in a workload, which goes on renewing its lease: busybox's ``udhcpc``."""

from __future__ import annotations

from vneter_sdn.fleet.layout import Layout
from vneter_sdn.fleet.records import WorkloadRecord
from vneter_sdn.fleet.system import processes_in, run_daemon

_SCRIPT = """#!/bin/sh
# Does what udhcpc was told, in the workload's namespace.
case $1 in
bound|renew)
    ip -4 address replace "$ip/$mask" brd + dev "$interface"
    [ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
    if [ -n "$staticroutes" ]; then
        set -- $staticroutes
        while [ $# -ge 2 ]; do
            ip -4 route replace "$1" via "$2" dev "$interface"
            shift 2
        done
    else
        for gateway in $router; do
            ip -4 route replace default via "$gateway" dev "$interface"
        done
    fi ;;
esac
"""
_OPTIONS = ("mtu", "staticroutes", "ntpsrv", "search")


def start_client(layout: Layout, record: WorkloadRecord) -> None:
    """Have a workload ask for its IPv4 configuration, unless something in it does already.

    Returns once it has been told, or goes on asking in the background.

    Raises:
        SouthboundError: the client is not installed, or would not start.
    """
    if processes_in([record.netns]):
        return
    script = layout.workload_dir / "udhcpc.script"
    script.write_text(_SCRIPT, encoding="utf-8")
    script.chmod(0o755)
    asked = [word for option in _OPTIONS for word in ("-O", option)]
    words = ["udhcpc", "-b", "-t", "5", "-T", "1", "-i", "eth0", "-s", script, *asked]
    run_daemon(words, netns=record.netns, env={})
