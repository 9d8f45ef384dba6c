# SPDX-License-Identifier: Apache-2.0
"""Links as they are on the machine: two interfaces, joined directly or by a relay, and their state.

A strand is down when one of its ends was set down, which Open vSwitch sees at once, and silent
when its ends swallow every frame though both are up, which only BFD or missing packets tell.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from vneter_sdn.errors import NotFound, SouthboundError
from vneter_sdn.fleet import relay
from vneter_sdn.fleet.layout import Layout, digest_of
from vneter_sdn.fleet.system import (
    command_line,
    end_processes,
    ip_batch,
    pid_in,
    run,
    set_sysctls,
)
from vneter_sdn.fleet.topology import Impairment, Nic, Underlay

State = Literal["up", "down", "silent", "broken"]
_INTERFACE_MAX = 15
_PATIENCE = 10.0
_AT_ONCE = 8
"""Ends of links that are turned at the same time."""


@dataclass(frozen=True, slots=True)
class Strand:
    """One link on the machine."""

    name: str
    """``h1-h2``; ``h1-h2.2`` for a second one between the same two."""
    kind: Literal["wire", "nic", "cable"]
    ends: tuple[str, str]
    """Hosts or switches."""
    places: tuple[tuple[str, str], tuple[str, str]]
    """Namespace and interface at each end."""
    impairment: Impairment | None = None

    @property
    def inner(self) -> tuple[str, str]:
        """The relay's two interfaces, which are in the underlay's namespace."""
        digest = digest_of(self.name)[:12]
        return f"r{digest}a", f"r{digest}b"


class LinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one link is."""

    name: str
    kind: str
    ends: tuple[str, str]
    interfaces: tuple[str, str]
    state: str
    """``up``, ``down``, ``silent``; ``broken``: an interface or the relay is missing."""
    impairment: Impairment | None
    relay_pid: int | None


def strands(layout: Layout, underlay: Underlay) -> tuple[Strand, ...]:
    """Every link of an underlay."""
    made: list[Strand] = []
    names: dict[str, int] = {}

    def add(kind: Any, ends: tuple[str, str], places: Any, seen: Impairment | None) -> None:
        base = "-".join(ends)
        names[base] = names.get(base, 0) + 1
        name = base if names[base] == 1 else f"{base}.{names[base]}"
        made.append(Strand(name, kind, ends, places, seen))

    below = layout.underlay
    for wire in underlay.wires:
        namespaces = map(layout.host_netns, wire.ends)
        places = tuple(zip(namespaces, wire.ports, strict=True))
        add("wire", wire.ends, places, wire.impairment)
    for nic in underlay.nics:
        inside = (layout.host_netns(nic.host), nic.interface)
        add("nic", (nic.host, nic.peer), (inside, (below, socket_name(nic))), nic.impairment)
    impaired = dict(underlay.impaired)
    for segment in underlay.segments:
        for cable in segment.cables:
            one, two = cable_ends(*cable)
            add("cable", cable, ((below, one), (below, two)), impaired.get(cable))
    return tuple(made)


def socket_name(nic: Nic) -> str:
    """Name of the underlay's end of a NIC's veth."""
    return short(f"{nic.host}-{nic.interface}", "n", nic.host, nic.interface)


def cable_ends(left: str, right: str) -> tuple[str, str]:
    """Names of the interfaces of a cable between two underlay switches."""
    digest = digest_of(left, right)[:10]
    return f"c{digest}a", f"c{digest}b"


def short(name: str, letter: str, *parts: str) -> str:
    """A name if an interface may have it, else a digest of its parts behind a letter."""
    return name if len(name) <= _INTERFACE_MAX else f"{letter}{digest_of(*parts)[:12]}"


def lay(layout: Layout, links: Sequence[Strand], mtu: int) -> None:
    """Make the interfaces that are missing, and bring all up.

    Raises:
        SouthboundError: the machine refused.
    """
    there = _looked_up(links, layout.underlay)
    lines: list[str] = []
    raised: dict[str, list[str]] = {}
    for link in links:
        for one, other in _pairs(link, layout.underlay):
            for where, end in (one, other):
                raised.setdefault(where, []).append(f"link set dev {end} mtu {mtu} up")
            if one not in there:
                # One netlink message makes both ends where they belong: a kill leaves both or none.
                (netns, name), (peer_netns, peer) = one, other
                ends = f"name {name} netns {netns} type veth peer"
                lines.append(f"link add {ends} name {peer} netns {peer_netns}")
    ip_batch(lines)
    for netns, words in raised.items():
        ip_batch(words, netns)
    relayed = [name for link in links if link.impairment for name in link.inner]
    set_sysctls({f"ipv6/conf/{name}/disable_ipv6": 1 for name in relayed}, layout.underlay)


def _pairs(link: Strand, below: str) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    if not link.impairment:
        return [link.places]
    return [(place, (below, name)) for place, name in zip(link.places, link.inner, strict=True)]


def _looked_up(links: Iterable[Strand], *more: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    """What ``ip`` says of every interface in the namespaces of some links."""
    names = {netns for link in links for netns, _ in link.places} | set(more)
    found = {}
    for netns in sorted(names):
        with suppress(SouthboundError):
            for seen in json.loads(run(["ip", "-json", "link", "show"], netns=netns) or "[]"):
                found[netns, seen["ifname"]] = seen
    return found


def start_relays(layout: Layout, links: Iterable[Strand]) -> None:
    """Start the relays that do not run, and start those anew that do something else.

    Raises:
        SouthboundError: one did not get ready; says where its log is.
    """
    for link in links:
        if link.impairment:
            _start_relay(layout, link)


def _start_relay(layout: Layout, link: Strand) -> None:
    words = _relay_words(layout, link)
    pid = relay_pid(layout, link)
    if pid and command_line(pid).endswith(" ".join(words)):
        return
    if pid:
        end_processes(lambda: [pid] if relay_pid(layout, link) == pid else [])
    ready, log = _relay_file(layout, link, "pid"), _relay_file(layout, link, "log")
    ready.parent.mkdir(parents=True, exist_ok=True)
    ready.unlink(missing_ok=True)
    with log.open("ab") as output:
        # It belongs to the fleet and not to whoever runs `fleet up`.
        subprocess.run(
            ["setsid", "--fork", "nsenter", f"--net=/run/netns/{layout.underlay}", "--", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
        )
    deadline = time.monotonic() + _PATIENCE
    while not relay_pid(layout, link):
        if time.monotonic() > deadline:
            raise SouthboundError(f"the relay of {link.name} does not get ready: see {log}")
        time.sleep(0.005)


def _relay_words(layout: Layout, link: Strand) -> list[str]:
    does = link.impairment or Impairment()
    numbers = {"delay": does.delay, "jitter": does.jitter, "loss": does.loss, "rate": does.rate}
    words = [sys.executable, "-IS", os.path.abspath(relay.__file__), *link.inner]
    words += [f"--{name}={value:g}" for name, value in numbers.items() if value]
    return [*words, f"--pidfile={_relay_file(layout, link, 'pid')}"]


def _relay_file(layout: Layout, link: Strand, kind: str) -> Path:
    return layout.fleet_dir / ".links" / f"{link.name}.{kind}"


def relay_pid(layout: Layout, link: Strand) -> int | None:
    """The process of a link's relay, None when none runs."""
    path = _relay_file(layout, link, "pid")
    return pid_in(path, str(path))


def link_status(layout: Layout, links: Sequence[Strand]) -> list[LinkStatus]:
    """How links are."""
    there = _looked_up(links)
    found = []
    for link in links:
        pid = relay_pid(layout, link)
        seen = [there.get(place) for place in link.places]
        found.append(
            LinkStatus(
                name=link.name,
                kind=link.kind,
                ends=link.ends,
                interfaces=(link.places[0][1], link.places[1][1]),
                state="broken" if link.impairment and not pid else _state(seen),
                impairment=link.impairment,
                relay_pid=pid,
            )
        )
    return found


def _state(ends: Sequence[Mapping[str, Any] | None]) -> State:
    there = [end for end in ends if end is not None]
    if len(there) < len(ends):
        return "broken"
    if not all("UP" in end["flags"] for end in there):
        return "down"
    return "silent" if any(end["qdisc"] == "blackhole" for end in there) else "up"


def between(links: Iterable[Strand], one: str, other: str = "") -> list[Strand]:
    """Links by name, or between two hosts or switches, of which there may be several.

    Raises:
        NotFound: there is none.
    """
    known = list(links)
    found = [link for link in known if link.name == one and not other]
    found = found or [link for link in known if set(link.ends) == {one, other}]
    if not found:
        what = f"between {one} and {other}" if other else f"called {one}"
        raise NotFound(f"no link {what}; there are: {', '.join(link.name for link in known)}")
    return found


def set_state(links: Iterable[Strand], state: Literal["up", "down", "silent"]) -> None:
    """Cut links, have them swallow everything, or mend them: both ends, and all links, at once.

    Raises:
        SouthboundError: the machine refused.
    """

    def turn(place: tuple[str, str]) -> None:
        netns, name = place
        quiet = ["tc", "qdisc", "replace", "dev", name, "root", "blackhole"]
        if state == "silent":
            run(quiet, netns=netns)
        else:
            with suppress(SouthboundError):  # there may be none to delete
                run(["tc", "qdisc", "delete", "dev", name, "root"], netns=netns)
        ip_batch([f"link set dev {name} {'down' if state == 'down' else 'up'}"], netns)

    places = [place for link in links for place in link.places]
    with ThreadPoolExecutor(max(1, min(len(places), _AT_ONCE))) as pool:
        list(pool.map(turn, places))
