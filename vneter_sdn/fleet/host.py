# SPDX-License-Identifier: Apache-2.0
"""One host: an ovsdb-server and an ovs-vswitchd in a namespace, and the bridges of its NICs.

The bridge to program, ``br-int``, is the controller's to make, except on hosts that have wires:
these are ports of it, whether a controller knows the host or not.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vneter_sdn.errors import SouthboundError
from vneter_sdn.fleet.layout import Layout
from vneter_sdn.fleet.records import HostRecord, host_file, write_record
from vneter_sdn.fleet.system import (
    ip_batch,
    pid_in,
    remove_tree,
    run,
    run_daemon,
    set_sysctls,
)
from vneter_sdn.fleet.topology import Nic, Underlay

_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_BEFORE_OTHERS = ("nice", "-n", "-10")
"""As ovs-ctl(8) starts both daemons, so that BFD is not late where others keep the CPUs busy."""
OVSDB_PID, VSWITCHD_PID = "ovsdb-server.pid", "ovs-vswitchd.pid"
BRIDGE = "br-int"
"""The bridge that a controller programs."""
_DUMMY = ("--enable-dummy=override", "--disable-system")


def bring_up_host(layout: Layout, underlay: Underlay, name: str, datapath: str) -> HostRecord:
    """Finish whatever is missing of a host, and record it.

    Args:
        layout: Where the fleet lives.
        underlay: The wires, which are laid already.
        name: The host.
        datapath: ``netdev`` (packets flow) or ``dummy`` (they do not; for scale).

    Raises:
        SouthboundError: a command or daemon failed.
    """
    nics = underlay.nics_of(name)
    netns = layout.host_netns(name)
    directory = layout.host_dir(name)
    directory.mkdir(parents=True, exist_ok=True)
    ip_batch(["link set lo up", *_nic_lines(nics, underlay.mtu)], netns)
    for nic in nics:
        with suppress(SouthboundError):
            # Not every kernel lets a veth change this; the checksum is then right all the same.
            run(["ethtool", "-K", nic.interface, "tx", "off"], netns=netns)
    _ensure_ovsdb(layout, name)
    ports = [wire.port_of(name) for wire in underlay.wires_of(name)]
    _vsctl(directory, "--no-wait", *_configuration(name, nics, ports, datapath))
    _ensure_vswitchd(layout, name, datapath)
    if datapath == "netdev" and nics:
        _give_addresses(netns, directory, nics, underlay)
    record = HostRecord(
        name=name,
        netns=netns,
        run_dir=str(directory),
        addresses=tuple(nic.address.partition("/")[0] for nic in nics),
        mtu=underlay.mtu,
        datapath=datapath,
        wires=tuple(ports),
    )
    write_record(host_file(layout, name), record)
    return record


def write_template(layout: Layout) -> None:
    """Write the empty database that each host starts from: copying is cheaper than converting.

    Raises:
        SouthboundError: Open vSwitch is not installed.
    """
    template, draft = _template(layout), layout.fleet_dir / ".template.new"
    if not template.exists():
        if not _SCHEMA.exists():
            raise SouthboundError("Open vSwitch is not installed; run scripts/setup")
        draft.unlink(missing_ok=True)
        run(["ovsdb-tool", "create", draft, _SCHEMA])
        draft.replace(template)


def daemon_pids(layout: Layout, host: str) -> tuple[int | None, int | None]:
    """Process ids of a host's ovsdb-server and ovs-vswitchd, None where it does not run."""
    directory = layout.host_dir(host)
    mark = f"{directory}/"
    return pid_in(directory / OVSDB_PID, mark), pid_in(directory / VSWITCHD_PID, mark)


def environment(directory: Path) -> dict[str, str]:
    """Variables that point Open vSwitch's programs at a host."""
    return {name: str(directory) for name in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR")} | {
        "OVS_SYSCONFDIR": str(directory)
    }


def vsctl(record: HostRecord, *words: str, seconds: int = 10) -> str:
    """What ``ovs-vsctl`` says on a host; changes are in force when it returns.

    Raises:
        SouthboundError: it refused, or took longer than the seconds given.
    """
    return _vsctl(Path(record.run_dir), *words, seconds=seconds)


def _vsctl(directory: Path, *words: str, seconds: int = 30) -> str:
    remote = f"--db=unix:{directory}/db.sock"
    argv = ["ovs-vsctl", f"--timeout={seconds}", remote, *words]
    return run(argv, env=environment(directory), seconds=seconds + 5)


def _template(layout: Layout) -> Path:
    return layout.fleet_dir / ".template.db"


def _nic_lines(nics: Sequence[Nic], mtu: int) -> list[str]:
    return [f"link set {nic.interface} mtu {mtu} up" for nic in nics]


def _ensure_ovsdb(layout: Layout, name: str) -> None:
    if daemon_pids(layout, name)[0]:
        return
    directory = layout.host_dir(name)
    database = directory / "conf.db"
    if not database.exists():
        draft = directory / "conf.db.new"
        shutil.copyfile(_template(layout), draft)
        draft.replace(database)
    _start(layout, name, "ovsdb-server", f"--remote=punix:{directory}/db.sock", str(database))


def _ensure_vswitchd(layout: Layout, name: str, datapath: str) -> None:
    if daemon_pids(layout, name)[1]:
        # It may be alive and yet have missed what was just configured: wait until it has not.
        _vsctl(layout.host_dir(name), "set", "Open_vSwitch", ".", "external_ids:hostname=" + name)
        return
    remote = f"unix:{layout.host_dir(name)}/db.sock"
    extra = _DUMMY if datapath == "dummy" else ()
    _start(layout, name, "ovs-vswitchd", *extra, remote)


def _start(layout: Layout, name: str, daemon: str, *words: str) -> None:
    directory = layout.host_dir(name)
    run_daemon(
        [
            *_BEFORE_OTHERS,
            daemon,
            "--detach",
            "--no-chdir",
            f"--pidfile={directory}/{daemon}.pid",
            f"--log-file={directory}/{daemon}.log",
            "-vconsole:off",
            "-vsyslog:off",
            *words,
        ],
        netns=layout.host_netns(name),
        env=environment(directory),
    )


def _configuration(
    name: str, nics: Sequence[Nic], wires: Sequence[str], datapath: str
) -> list[str]:
    words = ["init", "--", "set", "Open_vSwitch", "."]
    words += [f"external_ids:system-id={name}", f"external_ids:hostname={name}"]
    for nic in nics:
        words += ["--", "--may-exist", "add-br", nic.bridge]
        words += ["--", "set", "Bridge", nic.bridge, f"datapath_type={datapath}"]
        words += ["fail_mode=standalone"]
        if datapath == "netdev":
            words += ["--", "--may-exist", "add-port", nic.bridge, nic.interface]
    if wires:
        words += ["--", "--may-exist", "add-br", BRIDGE]
        words += ["--", "set", "Bridge", BRIDGE, f"datapath_type={datapath}", "fail_mode=secure"]
    for port in wires:
        words += ["--", "--may-exist", "add-port", BRIDGE, port]
    return words


def _give_addresses(netns: str, directory: Path, nics: Sequence[Nic], underlay: Underlay) -> None:
    # --timeout and no --no-wait: returns once the daemon made the bridges' interfaces.
    _vsctl(directory, "set", "Bridge", nics[0].bridge, "fail_mode=standalone")
    settings = {}
    for nic in nics:
        # These are the kernel's to answer on; between segments the way back may be another.
        settings[f"ipv4/conf/{nic.bridge}/arp_ignore"] = 0
        settings[f"ipv4/conf/{nic.bridge}/rp_filter"] = 0
        if ":" in nic.address:
            settings[f"ipv6/conf/{nic.bridge}/accept_dad"] = 0
            settings[f"ipv6/conf/{nic.bridge}/disable_ipv6"] = 0
    set_sysctls(settings, netns)
    lines = []
    for nic in nics:
        lines.append(f"link set {nic.bridge} mtu {underlay.mtu} up")
        lines.append(f"address replace {nic.address} dev {nic.bridge}")
    lines += _routes(nics, underlay)
    ip_batch(lines, netns)


def _routes(nics: Sequence[Nic], underlay: Underlay) -> list[str]:
    """To every segment the host has no NIC in, through its first NIC's router."""
    first, near = nics[0], {nic.segment for nic in nics}
    router = underlay.segments[first.segment].gateway.partition("/")[0]
    return [
        f"route replace {segment.prefix} via {router} dev {first.bridge}"
        for index, segment in enumerate(underlay.segments)
        if index not in near and segment.prefix.version == (6 if ":" in first.address else 4)
    ]


def discard_host(layout: Layout, name: str) -> None:
    """Delete a host's files; its daemons have ended."""
    remove_tree(layout.host_dir(name))
