# SPDX-License-Identifier: Apache-2.0
"""The cases of ``cases/*.yaml``: manifests, and who reaches whom by them.

They say nothing about how an answer is come by, so the same files hold for the plain evaluator,
for compiled flows and for packets on a fleet. A file is a list; a case is::

    - name: default-deny-ingress            # unique in all files
      about: one sentence                   # optional
      also: [manifests]                     # into the world; in place of the same object there
      without: [x/a, Namespace z]           # out of the world: pods, or other kinds by name
      apply: [manifests]                    # the policies
      domains: {example.com: [192.0.2.80]}  # what DNS names stand for
      ports: [tcp/80, udp/53]               # what is tried; tcp/80, tcp/81, udp/53 when absent
      outside: [198.51.100.7]               # addresses that are tried from and to, as ends
      expect:                               # in order, the last line that fits decides
        - deny  *        x/*
        - allow y/a,z/a  x/b  tcp/80,tcp/81

A line is ``allow`` or ``deny`` (or ``reject``, a deny that is answered), from whom, to whom, and by
which ports (any when absent). Whom: ``x/a``, ``x/*``, ``*/a``, an address, ``*`` for every pod,
``**`` for every pod and address; several joined by commas. Pairs on which no line fits are allowed,
and so is everything from a pod to itself, whatever lines say. Between two addresses outside nothing
is tried. Ports: ``tcp/80``, ``udp/53``, ``sctp/80``, ``icmp/8`` (type), ``icmp/3/1`` (and code),
``icmpv6/128``; ``6:tcp/80`` goes by IPv6.

The world is ``cases/world.yaml``: namespaces x, y, z with label ``ns``; in each pods a, b, c with
label ``pod``, pod a on node1, b on node2, c on node3; x/a is 10.244.1.11 and fd00:10:244:1::11,
y/b 10.244.2.12; node1 is 192.0.2.1. Ports are called serve-80-tcp and so on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from vneter_sdn.model.documents import read_bytes
from vneter_sdn.policy.evaluate import Connection
from vneter_sdn.policy.rules import PROTOCOLS

HERE = Path(__file__).parent / "cases"
PORTS = ("tcp/80", "tcp/81", "udp/53")


@dataclass(frozen=True)
class Row:
    """One cell of a matrix."""

    source: str
    """``x/a``, or an address."""
    target: str
    port: str
    verdict: str
    """``allow``, ``deny`` or ``reject``."""


@dataclass(frozen=True)
class Case:
    """One case."""

    name: str
    manifests: tuple[Mapping[str, Any], ...]
    """The world, and what is applied to it."""
    ports: tuple[str, ...]
    outside: tuple[str, ...]
    domains: Mapping[str, tuple[str, ...]]
    lines: tuple[str, ...]

    @property
    def pods(self) -> list[str]:
        """``x/a`` of every pod."""
        return [
            f"{one['metadata'].get('namespace', 'default')}/{one['metadata']['name']}"
            for one in self.manifests
            if one["kind"] == "Pod"
        ]

    def rows(self) -> Iterator[Row]:
        """The whole matrix."""
        pods = self.pods
        for source in (*pods, *self.outside):
            for target in (*pods, *self.outside):
                if source in self.outside and target in self.outside:
                    continue
                for port in self.ports:
                    yield Row(source, target, port, self._expected(source, target, port))

    def _expected(self, source: str, target: str, port: str) -> str:
        found = "allow"
        for line in self.lines:
            verdict, sources, targets, *ports = line.split()
            by = not ports or port in ports[0].split(",")
            if by and _fits(source, sources) and _fits(target, targets):
                found = verdict
        return "allow" if source == target else found


def _fits(end: str, patterns: str) -> bool:
    for pattern in patterns.split(","):
        if pattern == "*" and "/" not in end:
            continue
        if fnmatchcase(end, pattern):
            return True
    return False


def connection(port: str) -> Connection:
    """``tcp/80`` as the evaluator takes it."""
    version, colon, rest = port.partition(":")
    protocol, *numbers = (rest if colon else port).split("/")
    first, second, *_ = (*map(int, numbers), 0, 0)
    kind = int(version) if colon else None
    if protocol.startswith("icmp"):
        return Connection(PROTOCOLS[protocol], icmp_type=first, icmp_code=second, version=kind)
    return Connection(PROTOCOLS[protocol], first, version=kind)


@cache
def world() -> list[Mapping[str, Any]]:
    """The manifests of ``cases/world.yaml``."""
    path = HERE / "world.yaml"
    return [document.value for document in read_bytes(path.read_bytes(), path.name)]


def load() -> list[Case]:
    """Every case, in order of file and place."""
    found = []
    for path in sorted(HERE.glob("*.yaml")):
        if path.name == "world.yaml":
            continue
        (document,) = read_bytes(path.read_bytes(), path.name)
        found += [_case(given, path.name) for given in document.value]
    names = [case.name for case in found]
    assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})
    return found


def _identity(manifest: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _case(given: Mapping[str, Any], file: str) -> Case:
    unknown = set(given) - {
        *("name", "about", "also", "without", "apply", "domains", "ports", "outside", "expect")
    }
    assert not unknown, f"{file}: {given.get('name')}: {unknown}"
    every = {_identity(manifest): manifest for manifest in (*world(), *given.get("also", ()))}
    for text in given.get("without", ()):
        kind, _, name = text.rpartition(" ")
        namespace, _, pod = name.rpartition("/")
        del every[kind or "Pod", namespace, pod]
    lines = tuple(given["expect"])
    for line in lines:
        assert line.split()[0] in {"allow", "deny", "reject"}, f"{file}: {line}"
        assert len(line.split()) in {3, 4}, f"{file}: {line}"
    return Case(
        name=given["name"],
        manifests=(*every.values(), *given.get("apply", ())),
        ports=tuple(given.get("ports", PORTS)),
        outside=tuple(given.get("outside", ())),
        domains={name: tuple(found) for name, found in given.get("domains", {}).items()},
        lines=lines,
    )
