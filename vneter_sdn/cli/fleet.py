# SPDX-License-Identifier: Apache-2.0
"""``vneterctl fleet``: real Open vSwitch hosts on this machine, each in a network namespace."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from vneter_sdn.cli import fleet_controller as controllers
from vneter_sdn.cli.fleet_controller import progress
from vneter_sdn.cli.fleet_examples import EXAMPLES
from vneter_sdn.cli.options import SERVER, Named, Server, Values, epilog
from vneter_sdn.errors import IntentError, NotFound, VneterError

if TYPE_CHECKING:
    from vneter_sdn.cli.output import Form

app = typer.Typer(
    name="fleet",
    help="A fleet of real Open vSwitch hosts on this machine, each in a network namespace.",
    epilog="\b\nExamples:\n"
    "  vneterctl fleet up --hosts 3\n"
    "  vneterctl fleet attach h1 a --tenant red --network web\n"
    "  vneterctl fleet exec red/a -- ip address\n"
    "  vneterctl fleet exec h1 -- ovs-vsctl show\n"
    "  vneterctl fleet probe --tcp 80 --udp 53\n"
    "  vneterctl fleet link h1-u0 --silent\n"
    "\n\b\n"
    "Several fleets: VNETER_RUN_DIR (/run/vneter) is where one keeps its files,\n"
    "VNETER_FLEET_PREFIX (vn) begins the names of its namespaces.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Tenant of the workload.")]
Register = Annotated[bool, typer.Option(help="Tell the controller, if it answers.")]
Ports = Annotated[
    list[int] | None, typer.Option(min=1, max=65535, help="Port; may be repeated.", metavar="PORT")
]


@app.command()
def up(
    *,
    hosts: Annotated[int, typer.Option(help="How many hosts, h1 to hN.")] = 3,
    nics: Annotated[int, typer.Option(help="NICs per host, each on its own switch.")] = 1,
    topology: Annotated[
        Path | None, typer.Option(help="Topology file, instead of --hosts and --nics.")
    ] = None,
    wires: Annotated[
        bool, typer.Option("--wires", help="Links between two hosts join their bridges.")
    ] = False,
    datapath: Annotated[str, typer.Option(help="netdev, or dummy: no packets.")] = "netdev",
    server: Server = SERVER,
    register: Register = True,
) -> None:
    """Make the fleet, or finish and mend it, and register its hosts."""
    from vneter_sdn.fleet import topology as underlay
    from vneter_sdn.fleet.lifecycle import bring_up

    with _told():
        started = time.monotonic()
        plan = underlay.read_topology(topology) if topology else underlay.star(hosts, nics)
        if wires:
            plan = underlay.as_wires(plan)
        try:
            made = bring_up(_layout(), plan, datapath, progress)
        except KeyboardInterrupt:
            progress("interrupted: repeat it to finish, or `vneterctl fleet down` to remove it")
            raise
        progress(f"{len(made)} hosts are up after {time.monotonic() - started:.1f} s")
        if register:
            controllers.enrol(server, made)


@app.command()
def down(server: Server = SERVER, register: Register = True) -> None:
    """Remove the fleet, whole or half made."""
    from vneter_sdn.fleet.controller import deregister
    from vneter_sdn.fleet.lifecycle import tear_down
    from vneter_sdn.fleet.records import read_hosts, read_workloads

    layout = _layout()
    with _told():
        known, workloads = read_hosts(layout), read_workloads(layout)
        tear_down(layout, progress)
        controller = controllers.answering(server) if register and known else None
        if controller:
            try:
                for record in (workload for workload in workloads if workload.declared):
                    controllers.forget(controller, record.tenant, record.name)
                deregister(controller, known)
            except IntentError as refused:
                progress("the controller still has some of its hosts:")
                for problem in refused.problems:
                    progress(f"  {problem.object} {problem.message}")
            except VneterError as error:
                progress(f"the controller still has some of its objects: {error}")
        progress("the fleet is down")


@app.command()
def status(output: Named = "table", server: Server = SERVER) -> None:
    """Show hosts, workloads and odd links; exit code 1 when a daemon lacks."""
    from vneter_sdn.cli.output import NAMED, form
    from vneter_sdn.fleet.lifecycle import links
    from vneter_sdn.fleet.lifecycle import status as look
    from vneter_sdn.fleet.report import link_table, status_table
    from vneter_sdn.fleet.strands import link_status

    how = form(output, NAMED)
    with _told():
        found = look(_layout())
        if how.for_people and not found:
            progress("no fleet is up; `vneterctl fleet up` makes one")
            return
        odd = [
            link
            for link in link_status(_layout(), links(_layout()))
            if link.kind == "wire" or link.impairment or link.state != "up"
        ]
        controller = controllers.answering(server) if how.for_people else None
        told = controller.status()["hosts"] if controller else ()
        seen = {host["name"]: host for host in told}
        _show(how, found, lambda: status_table(found, seen))
        if how.for_people and odd:
            _show(how, odd, lambda: link_table(odd))
        if how.for_people and not controller:
            progress(f"no controller is ready at {controllers.address(server)}")
        broken = any(link.state == "broken" for link in odd)
        if broken or not all(host.ready for host in found):
            progress("`vneterctl fleet up` repairs what is missing")
            raise typer.Exit(1)


@app.command()
def link(
    first: Annotated[str, typer.Argument(help="Name of a link, host or switch.")] = "",
    second: Annotated[str, typer.Argument(help="Host or switch at the other end.")] = "",
    *,
    down: Annotated[bool, typer.Option("--down", help="Cut it: both ends see that.")] = False,
    silent: Annotated[
        bool, typer.Option("--silent", help="Lose everything: no end sees that.")
    ] = False,
    up: Annotated[bool, typer.Option("--up", help="Mend it.")] = False,
    output: Named = "table",
) -> None:
    """Show links, or cut or mend those between two places."""
    from vneter_sdn.cli.output import NAMED, form
    from vneter_sdn.fleet.lifecycle import links
    from vneter_sdn.fleet.report import link_table
    from vneter_sdn.fleet.strands import between, link_status, set_state

    wished = [name for name, on in (("down", down), ("silent", silent), ("up", up)) if on]
    if len(wished) > 1 or (wished and not first):
        raise typer.BadParameter("one of --down, --silent and --up, and which link")
    how = form(output, NAMED)
    with _told():
        layout = _layout()
        chosen = between(links(layout), first, second) if first else links(layout)
        if wished:
            set_state(chosen, wished[0])
        found = link_status(layout, chosen)
        _show(how, found, lambda: link_table(found))


@app.command()
def manifests(
    links: Annotated[
        bool, typer.Option("--links", help="Declare the wires too, instead of having them found.")
    ] = False,
) -> None:
    """Print the Host objects, for `vneterctl apply -f -`."""
    import yaml

    from vneter_sdn.fleet.controller import host_manifest, link_manifest
    from vneter_sdn.fleet.records import read_fleet, read_hosts
    from vneter_sdn.fleet.topology import work_out

    with _told():
        found = [host_manifest(record) for record in read_hosts(_layout())]
        fleet = read_fleet(_layout())
        if links and fleet:
            found += [link_manifest(wire) for wire in work_out(fleet.topology).wires]
        print(yaml.safe_dump_all(found, sort_keys=False), end="")


@app.command()
def attach(
    host: Annotated[str, typer.Argument(help="Host to be on.")],
    name: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    *,
    network: Annotated[str, typer.Option(help="Network of the tenant.")],
    tenant: Tenant = "default",
    address: Annotated[
        list[str] | None, typer.Option(help="Requested address; may be repeated.")
    ] = None,
    mac: Annotated[str, typer.Option(help="Requested Ethernet address.")] = "",
    dhcp: Annotated[bool, typer.Option(help="Let it ask for its IPv4 configuration.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the endpoint is Ready.")] = True,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for it.")] = 30,
    server: Server = SERVER,
) -> None:
    """Add a workload: a namespace with a port in br-int."""
    from vneter_sdn.fleet.workload import Wish
    from vneter_sdn.fleet.workload import attach as join

    wish = Wish(tenant, name, network, host, tuple(address or ()), mac, dhcp)
    with _told():
        made = join(_layout(), controllers.client(server), wish, timeout if wait else None)
        progress(f"{made.identity} on {made.host}: {', '.join(made.addresses)} ({made.mac})")


@app.command()
def detach(
    name: Annotated[str, typer.Argument(help="NAME or TENANT/NAME.")],
    tenant: Tenant = "",
    keep: Annotated[bool, typer.Option(help="Leave the Endpoint object.")] = False,
    server: Server = SERVER,
) -> None:
    """Remove a workload, and the Endpoint that attach made."""
    from vneter_sdn.fleet.records import read_workload
    from vneter_sdn.fleet.workload import detach as part

    with _told():
        layout = _layout()
        record = read_workload(layout, name, tenant)
        part(layout, record, controllers.answering(server), keep)
        progress(f"{record.identity} is gone")


@app.command()
def move(
    name: Annotated[str, typer.Argument(help="NAME or TENANT/NAME.")],
    host: Annotated[str, typer.Argument(help="Host to move to.")],
    tenant: Tenant = "",
    wait: Annotated[bool, typer.Option(help="Wait until the endpoint is Ready there.")] = True,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for it.")] = 30,
    server: Server = SERVER,
) -> None:
    """Move a workload to another host, as live migration does."""
    from vneter_sdn.fleet.records import read_workload
    from vneter_sdn.fleet.workload import move as shift

    with _told():
        layout = _layout()
        record = read_workload(layout, name, tenant)
        controller = controllers.client(server) if wait else None
        moved = shift(layout, record, host, controller, timeout if wait else None)
        progress(f"{moved.identity}: {record.host} -> {moved.host}")


@app.command(
    name="exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def execute(
    where: Annotated[str, typer.Argument(help="Host, workload, or TENANT/WORKLOAD.")],
    command: Annotated[list[str], typer.Argument(help="Command and its arguments, after --.")],
) -> None:
    """Run a command in a host (ovs-vsctl works) or workload."""
    with _told():
        netns, variables = _place(where)
        if command[:1] == ["--"]:
            command = command[1:]
        words = ["nsenter", f"--net=/run/netns/{netns}", "--", *command]
        done = subprocess.run(words, env=os.environ | variables, check=False)
        raise typer.Exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)


@app.command()
def probe(
    *,
    tcp: Ports = None,
    udp: Ports = None,
    icmp: Annotated[bool, typer.Option(help="Ping.")] = True,
    only4: Annotated[bool, typer.Option("-4", help="IPv4 only.")] = False,
    only6: Annotated[bool, typer.Option("-6", help="IPv6 only.")] = False,
    timeout: Annotated[float, typer.Option(min=0.01, help="Seconds an answer may take.")] = 3.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Probes in flight at once.")] = 512,
    output: Values = "table",
) -> None:
    """Probe every pair with real packets, seen versus expected."""
    from rich.console import Group

    from vneter_sdn.cli.output import VALUES, form
    from vneter_sdn.fleet.probe import Method
    from vneter_sdn.fleet.probe import probe as ask
    from vneter_sdn.fleet.records import read_workloads
    from vneter_sdn.fleet.report import matrix, probe_document, verdict

    families = (4,) if only4 and not only6 else (6,) if only6 and not only4 else (4, 6)
    method = Method(icmp, tuple(tcp or ()), tuple(udp or ()), families, timeout, concurrency)
    how = form(output, VALUES)
    with _told():
        report = ask(read_workloads(_layout()), method)
        _show(how, probe_document(report), lambda: Group(matrix(report), verdict(report)))
        raise typer.Exit(0 if report.good else 1)


@app.command()
def stream(
    source: Annotated[str, typer.Argument(help="Workload that sends.")],
    target: Annotated[str, typer.Argument(help="Workload that answers.")],
    *,
    rate: Annotated[float, typer.Option(min=0.1, help="Packets per second.")] = 100,
    seconds: Annotated[float, typer.Option(help="How long; 0 until Ctrl-C.")] = 10,
    protocol: Annotated[str, typer.Option(help="icmp or udp.")] = "icmp",
    ipv6: Annotated[bool, typer.Option("-6", help="By IPv6.")] = False,
    output: Values = "table",
) -> None:
    """Send packets at a rate; exit code 1 when one is lost."""
    from vneter_sdn.cli.output import VALUES, form
    from vneter_sdn.fleet.records import read_workload
    from vneter_sdn.fleet.report import stream_line
    from vneter_sdn.fleet.stream import Stream

    how = form(output, VALUES)
    with _told():
        ends = [read_workload(_layout(), name) for name in (source, target)]
        sending = Stream(*ends, rate=rate, protocol=protocol, family=6 if ipv6 else 4).start()
        try:
            time.sleep(seconds or float(1 << 30))
        except KeyboardInterrupt:
            progress("stopping")
        report = sending.stop()
        document = msgspec.to_builtins(report) | {"lost": report.lost}
        _show(how, document, lambda: stream_line(report))
        raise typer.Exit(1 if report.lost else 0)


@app.command()
def demo(
    manifest_dir: Annotated[
        Path, typer.Option("--manifests", help="Tenants, networks and endpoints.")
    ] = Path("topologies/demo"),
    hosts: Annotated[int, typer.Option(help="How many hosts.")] = 3,
    keep: Annotated[bool, typer.Option(help="Leave it running.")] = False,
) -> None:
    """Show it all, from nothing and back: what scripts/demo runs."""
    from vneter_sdn.fleet.demo import Demo

    with _told():
        shown = Demo(_demo_layout(keep), controllers.client, manifest_dir, hosts=hosts, keep=keep)
        raise typer.Exit(0 if shown.play() else 1)


def _layout() -> Any:
    from vneter_sdn.fleet.layout import Layout

    return Layout.from_environment()


def _demo_layout(keep: bool) -> Any:
    """A place of its own, beside whatever fleet an operator has up, unless it is to be kept."""
    from vneter_sdn.fleet.layout import Layout

    own = {} if keep else {"VNETER_RUN_DIR": "/run/vneter-demo", "VNETER_FLEET_PREFIX": "vndemo"}
    return Layout.from_environment(own | dict(os.environ))


def _place(where: str) -> tuple[str, dict[str, str]]:
    """The namespace of a host or workload, and the variables its commands want."""
    from vneter_sdn.fleet.host import environment
    from vneter_sdn.fleet.records import read_host, read_hosts, read_workload

    layout = _layout()
    if where == "underlay":
        return layout.underlay, {}
    if any(record.name == where for record in read_hosts(layout)):
        record = read_host(layout, where)
        return record.netns, environment(Path(record.run_dir))
    return read_workload(layout, where).netns, {}


def _show(how: Form, found: Any, table: Callable[[], Any]) -> None:
    """What was found, or its names; for people the table of it."""
    if how.name == "name":
        print("".join(f"{one.name}\n" for one in found), end="")
        return
    if not how.for_people:
        from vneter_sdn.cli.output import structured

        print(structured(msgspec.to_builtins(found), how))
        return
    from rich.console import Console

    # What is piped somewhere must not be cut at the 80 columns that a pipe does not have.
    Console(width=None if sys.stdout.isatty() else 200).print(table())


@contextmanager
def _told() -> Iterator[None]:
    """Errors of ours as lines with the exit code of `vneterctl`, not as a trace."""
    from vneter_sdn.cli.terminal import outcome, report

    try:
        yield
    except VneterError as error:
        code, lines, hint = outcome(error)
        if isinstance(error, NotFound):
            hint = "`vneterctl fleet status` lists hosts and workloads, `vneterctl get` the rest"
        report(lines, hint)
        raise typer.Exit(code) from error


for _one in app.registered_commands:
    _one.epilog = epilog(EXAMPLES[_one.name or getattr(_one.callback, "__name__", "")])
