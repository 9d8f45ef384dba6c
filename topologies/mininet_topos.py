# SPDX-License-Identifier: Apache-2.0
"""Every topology file as a Mininet topology.

::

    mn --custom topologies/mininet_topos.py --topo leaf-spine --controller remote
    mn --custom topologies/mininet_topos.py --topo abilene,delay=off,scale=0.01
    mn --custom topologies/mininet_topos.py --topo file,Geant.gml

or from Python::

    from mininet_topos import build
    net = Mininet(topo=build("topologies/ring.yaml"), switch=OVSSwitch)

Names are those of the files here; ``file`` takes any file that `vneterctl topology` reads. With
``--custom`` they stand before Mininet's own ``single`` and ``linear``. Options, after commas:

* ``bw=off``: no HTB. Else links with a capacity have it, Mininet's HTB ending at 1000 Mbit/s:
* ``scale=F``: capacities times F. Else they are scaled so that the largest is 1000, if it is more.
* ``delay=off``: no relays. Else links with latency, jitter or loss have one (`mininet_links`).

Switches are OpenFlow switches whose datapath ids count from 1 in the order of the file; hosts are
hosts, and where a file has none, every switch has one, ``h1`` and so on. Names too long for
``NAME-ethN`` become ``s1``…; what the file calls a node stays in its parameters ``original`` and
``label``.
"""

from __future__ import annotations

import functools
import os
import sys
from collections import Counter
from collections.abc import Iterator

from mininet.link import TCLink
from mininet.node import Host
from mininet.topo import Topo

# `mn` executes this file without importing it: it has no __file__ then.
_FOLDER = os.path.dirname(os.path.realpath(sys._getframe().f_code.co_filename))  # noqa: SLF001
_CHECKOUT = os.path.dirname(_FOLDER)
_INTERFACE_MAX = 15
_HTB_MAX = 1000.0


def _find_package() -> None:
    """Make this checkout and what it needs importable, if they are not.

    Raises:
        SystemExit: what it needs is nowhere; says what to do.
    """
    for folder in (_FOLDER, _CHECKOUT):
        if folder not in sys.path:
            sys.path.append(folder)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    places = [os.path.join(_CHECKOUT, ".venv"), os.environ.get("VIRTUAL_ENV", "")]
    for place in ["", *filter(None, places)]:
        if place:
            sys.path.append(os.path.join(place, "lib", version, "site-packages"))
        try:
            import msgspec  # noqa: F401
            import yaml  # noqa: F401
        except ImportError:
            continue
        return
    raise SystemExit(
        f"mininet_topos: msgspec and PyYAML are neither installed for {sys.executable} nor in"
        f" {' or '.join(filter(None, places))} for {version}.\n"
        f"Run scripts/setup in {_CHECKOUT}, or set VIRTUAL_ENV."
    )


class SeveralHomes(Host):
    """A host with several interfaces, each of which answers ARP for its own address only.

    Linux would answer by all of them for each, and so be in several places at once.
    """

    def config(self, **params):
        """Configure it as any host."""
        configured = super().config(**params)
        self.cmd("sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2")
        return configured


class FileTopo(Topo):
    """A topology file as Mininet sees it."""

    def build(self, path, bw="on", scale=None, delay="on"):
        """Add the nodes and links of a file.

        Raises:
            IntentError: the file or an option is not acceptable.
        """
        from vneter_sdn.graph.atlas import read_atlas

        atlas = read_atlas(_path(path))
        hosts = dict(_hosts(atlas))
        links = list(_links(atlas, hosts))
        names = _names(atlas, hosts, links)
        for number, switch in enumerate(atlas.switches, 1):
            about = {"original": switch, "label": atlas.label(switch)}
            self.addSwitch(names[switch], dpid=f"{number:016x}", **about)
        for host, at in hosts.items():
            about = {"original": host, "label": atlas.label(at or host)}
            several = sum(host in forth.ends for forth, _ in links) > 1
            self.addHost(names[host], **about, **({"cls": SeveralHomes} if several else {}))
        factor = _factor(links, _scale(scale))
        shape = _on("bw", bw), factor, _on("delay", delay)
        for forth, back in links:
            ends = [names[end] for end in forth.ends]
            self.addLink(*ends, **_options(forth, back, shape, hosts))


def build(path, **options):
    """The topology of a file, for ``Mininet(topo=…)``; options are those of the module."""
    return FileTopo(path, **options)


def _path(text):
    from pathlib import Path

    return Path(os.path.expanduser(str(text)))


def _hosts(atlas) -> Iterator[tuple[str, str]]:
    """Names of hosts; those that the file lacks with the switch they are at, others with none."""
    yield from ((host, "") for host in atlas.end_hosts)
    if not atlas.end_hosts:
        for number, switch in enumerate(atlas.switches, 1):
            name = f"h{number}"
            while name in atlas.switches:
                name += "h"
            yield name, switch


def _links(atlas, hosts):
    """Links as they look from both ends: the file's, then those of hosts that it lacks."""
    from vneter_sdn.graph.atlas.build import paired
    from vneter_sdn.graph.atlas.form import Link

    yield from ((one, other) for one, other in paired(atlas.links) if not one.disabled)
    for host, switch in hosts.items():
        if switch:
            yield Link(ends=(host, switch)), Link(ends=(switch, host))


def _names(atlas, hosts, links) -> dict[str, str]:
    """Names that leave room for interfaces; those that do stay."""
    degrees = Counter(end for link, _ in links for end in link.ends)
    names: dict[str, str] = {}
    long = []
    for node in (*atlas.switches, *hosts):
        if len(f"{node}-eth{degrees[node]}") <= _INTERFACE_MAX:
            names[node] = node
        else:
            long.append(node)
    taken = set(names.values())
    for node in long:
        letter, group = ("s", atlas.switches) if node in atlas.switches else ("h", tuple(hosts))
        name = f"{letter}{group.index(node) + 1}"
        while name in taken:
            name = f"{letter}{name}"
        names[node] = name
        taken.add(name)
    return names


def _factor(links, scale) -> float:
    most = max((link.capacity or 0 for pair in links for link in pair), default=0)
    return scale or (_HTB_MAX / most if most > _HTB_MAX else 1.0)


def _options(forth, back, shape, hosts):
    """Arguments of `addLink` for a link that looks so from its ends."""
    bandwidth, factor, relayed = shape
    params = []
    for link in (forth, back):
        said = {}
        if bandwidth and link.capacity:
            said["bw"] = min(_HTB_MAX, max(0.01, round(link.capacity * factor, 3)))
        if link.ends[0] in hosts:
            said["txo"] = False  # a userspace datapath passes checksums on unmade
        params.append(said)
    options = {"cls": TCLink, "params1": params[0], "params2": params[1]}
    words = [*_relay(forth, ""), *_relay(back, "reverse-")] if relayed else []
    if any(not word.startswith("--") and float(word) for word in words):
        from mininet_links import RELAY, RelayLink

        if RELAY.exists():
            return {**options, "cls": RelayLink, "relay": words}
        print(f"*** {RELAY} is missing: links have no delay and no loss", file=sys.stderr)  # noqa: T201
    return options


def _relay(link, prefix) -> list[str]:
    said = {"delay": link.latency or 0, "jitter": link.jitter or 0, "loss": link.loss}
    return [word for name, value in said.items() for word in (f"--{prefix}{name}", f"{value:g}")]


def _on(name, value) -> bool:
    words = {"on": True, "off": False, "1": True, "0": False, "true": True, "false": False}
    text = str(value).lower()
    if text not in words:
        raise SystemExit(f"mininet_topos: {name}={value} is neither on nor off")
    return words[text]


def _scale(value) -> float | None:
    if value is None or (isinstance(value, int | float) and 0 < value <= 1e6):
        return value
    raise SystemExit(f"mininet_topos: scale={value} is no number above 0")


_find_package()
topos = {"file": FileTopo} | {
    name[: -len(".yaml")]: functools.partial(FileTopo, os.path.join(_FOLDER, name))
    for name in sorted(os.listdir(_FOLDER))
    if name.endswith(".yaml")
}
"""What ``--topo`` may name."""
