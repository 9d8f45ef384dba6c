# SPDX-License-Identifier: Apache-2.0
"""``vneterctl path``: which paths a policy takes, edge by edge, and why the others lost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as evolve
from functools import cached_property
from math import isnan
from pathlib import Path as File
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from vneter_sdn.cli.output import TEXT, form, structured
from vneter_sdn.cli.path_report import Names, document, told
from vneter_sdn.cli.terminal import NOT_FOUND, REFUSED, Answer, Usage
from vneter_sdn.errors import NotFound
from vneter_sdn.graph.atlas import Atlas, read_atlas
from vneter_sdn.graph.atlas.exchange import topology_of
from vneter_sdn.graph.explain import runners_up
from vneter_sdn.graph.network import Graph
from vneter_sdn.graph.objective import QUANTITIES
from vneter_sdn.graph.selection import select
from vneter_sdn.graph.topology import Topology
from vneter_sdn.model.path_kinds import Objective, PathPolicySpec


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    source: str
    target: str
    policy: str = ""
    """Name of a PathPolicy, or a file with one; none when empty."""
    choices: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the policy that the command line sets."""
    constraints: Mapping[str, Any] = field(default_factory=dict)
    """Fields of its constraints that the command line sets."""
    most: int = 5
    """Runners-up."""


class Place(Protocol):
    """Where the graph is from."""

    def graph(self, source: str, target: str) -> Graph:
        """What paths between two hosts may use."""

    def host(self, name: str) -> str:
        """The host that a person means.

        Raises:
            NotFound: there is none.
        """

    @property
    def names(self) -> Names:
        """What hosts are called."""


class Offline:
    """A topology file."""

    def __init__(self, file: str) -> None:
        """Of a file in any form that `atlas.read_atlas` reads."""
        self._file = file

    @cached_property
    def _atlas(self) -> Atlas:
        return read_atlas(File(self._file))

    def graph(self, source: str, target: str) -> Graph:
        """The topology; end hosts carry nobody else's traffic.

        In a file that gives links a latency, those without one have none, as in Mininet.
        """
        whole = self._atlas.topology
        aside = self._atlas.aside - {source, target}
        edges = [e for e in whole.edges if aside.isdisjoint((e.source, e.target))]
        if any(edge.latency is not None for edge in whole.edges):
            edges = [e if e.latency is not None else evolve(e, latency=0.0) for e in edges]
        vertices = (vertex for vertex in whole.vertices if vertex.host not in aside)
        return Graph(Topology(tuple(vertices), tuple(edges)))

    def host(self, name: str) -> str:
        """By name, label or id."""
        try:
            return self._atlas.find(name)
        except NotFound as error:
            raise absent(error, self._file) from None

    @property
    def names(self) -> Names:
        """As the file calls them."""
        return Names(self._atlas.known_as, self._atlas.label)


class Online:
    """The graph of a running controller."""

    def __init__(self, server: str) -> None:
        """Behind a REST server."""
        from vneter_sdn.cli.targets import connect

        self._client = connect(server)

    @cached_property
    def _graph(self) -> Graph:
        return Graph(topology_of(self._client.topology()))

    def graph(self, source: str, target: str) -> Graph:
        """As the controller sees it now."""
        return self._graph

    def host(self, name: str) -> str:
        """A host, or where an endpoint is."""
        tenant, slash, endpoint = name.partition("/")
        if not slash:
            if name not in self._graph.vertices:
                raise NotFound(f"there is no host {name} in the graph")
            return name
        found = self._client.get("Endpoint", tenant, endpoint)
        host = found.get("status", {}).get("host") or found["spec"].get("host")
        if not host:
            raise NotFound(f"endpoint {name} is on no host yet")
        return str(host)

    @property
    def names(self) -> Names:
        """Their own."""
        return Names()


def absent(error: NotFound, file: str) -> Answer:
    """What to say when a file has no such node."""
    return Answer(NOT_FOUND, str(error), f"`vneterctl topology --topology {file}` lists its nodes")


def choices(objective: str, paths: int | None, disjoint: str, sharing: str) -> dict[str, Any]:
    """Fields of a policy from the words of a command line.

    Raises:
        Usage: a word is none of those there are.
    """
    found: dict[str, Any] = {}
    if objective:
        found["objective"] = objective_of(objective)
    if paths is not None:
        found["paths"] = paths
    for name, word in (("disjoint", disjoint), ("sharing", sharing)):
        if word:
            known = _words(name)
            if word not in known:
                raise Usage(f"no --{name} {word!r}", f"one of {', '.join(known)}")
            found[name] = word
    return found


def constraints(
    bounds: Mapping[str, Any], lists: Mapping[str, Sequence[str] | None]
) -> dict[str, Any]:
    """Fields of a policy's constraints that a command line sets.

    Args:
        bounds: by field; None where none is given.
        lists: by field; each word may be several, with commas between.
    """
    words = {
        name: tuple(word for one in given for word in one.split(",") if word)
        for name, given in lists.items()
        if given
    }
    return {name: bound for name, bound in bounds.items() if bound is not None} | words


def _words(name: str) -> tuple[str, ...]:
    """The words that a field of a policy may be."""
    fields = msgspec.inspect.type_info(PathPolicySpec)
    assert isinstance(fields, msgspec.inspect.StructType)
    (kind,) = (one.type for one in fields.fields if one.name == name)
    plain = kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind
    assert isinstance(plain, msgspec.inspect.LiteralType)
    return tuple(str(value) for value in plain.values)


def objective_of(text: str) -> Objective | str:
    """``latency``, or ``latency=1,price=0.5``.

    Raises:
        Usage: it is neither.
    """
    if text in QUANTITIES:
        return text
    weights: dict[str, float] = {}
    for part in text.split(","):
        word, _, number = part.strip().partition("=")
        try:
            weights[word] = float(number)
        except ValueError:
            weights[word] = -1.0
        if word not in QUANTITIES or not 0 <= weights[word] < float("inf"):
            known = ", ".join(QUANTITIES)
            raise Usage(f"no objective {text!r}", f"one of {known}; or weights: latency=1,price=2")
    return Objective(**weights)


def answer(question: Question, place: Place, output: str, server: str) -> None:
    """Print the paths, or why there are none.

    Raises:
        Answer: exit code 1 when no path satisfies what is asked.
        NotFound: there is no such host, endpoint or policy.
        IntentError: a file is not acceptable.
        Usage: there is no such format.
    """
    how = form(output, TEXT)
    source, target = place.host(question.source), place.host(question.target)
    if source == target:
        raise Usage(f"{question.source} and {question.target} are one host", "name two")
    spec = _spec(question, place, server)
    graph = place.graph(source, target)
    found = select(graph, source, target, spec)
    lost = runners_up(graph, (source, target), spec, found, question.most)
    if how.for_people:
        print("\n".join(told((source, target), spec, found, lost)))
    else:
        print(structured(document((source, target), spec, found, lost, place.names), how))
    if found.refusal is not None:
        hint = "relax what is named, or choose another policy" if found.refusal.nearest else ""
        raise Answer(REFUSED, found.refusal.message, hint)


def _spec(question: Question, place: Place, server: str) -> PathPolicySpec:
    """The policy with what the command line sets."""
    base = _policy(question.policy, server) if question.policy else PathPolicySpec()
    asked = dict(question.constraints)
    unheard = [name for name, bound in asked.items() if isinstance(bound, float) and isnan(bound)]
    if unheard:
        raise Usage(f"{unheard[0].replace('_', ' ')}: nan is no number", "give one")
    if "waypoints" in asked:
        asked["waypoints"] = tuple(place.host(name) for name in asked["waypoints"])
    return replace(base, constraints=replace(base.constraints, **asked), **question.choices)


def _policy(name: str, server: str) -> PathPolicySpec:
    """The spec of a policy in a file, or of the server's of that name."""
    from vneter_sdn.cli.objects import read

    if os.path.exists(name):
        found = [one.value for one in read([name]) if isinstance(one.value, dict)]
        manifest = next((one for one in found if one.get("kind") == "PathPolicy"), None)
        if manifest is None:
            raise NotFound(f"{name} holds no PathPolicy")
    else:
        from vneter_sdn.cli.targets import connect

        manifest = connect(server).get("PathPolicy", "", name)
    try:
        return msgspec.convert(manifest.get("spec") or {}, PathPolicySpec)
    except msgspec.ValidationError as error:
        raise Usage(f"PathPolicy {name}: {error}", "`vneterctl explain pathpolicy`") from None
