# SPDX-License-Identifier: Apache-2.0
"""A topology as its file has it: the graph, what its nodes are called, and who sends how much."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from vneter_sdn.errors import IntentError, NotFound, Problem
from vneter_sdn.graph.atlas.form import DEFAULT_MTU, Demand, Link, Node
from vneter_sdn.graph.topology import Topology

__all__ = ["Atlas", "Demand", "slug"]

_GAP = re.compile(r"[^a-z0-9]+")
_LONGEST = 63


@dataclass(frozen=True, slots=True)
class Atlas:
    """A topology and what goes with it."""

    name: str
    """What the file calls it, or the file's own name without its ending."""
    topology: Topology
    """Switches and hosts are vertices alike; links are edges, of which paths may use any."""
    description: str = ""
    end_hosts: tuple[str, ...] = ()
    """In the order of the file."""
    switches: tuple[str, ...] = ()
    """In the order of the file."""
    links: tuple[Link, ...] = ()
    """In the order of the file; those from a node to itself are left out."""
    demands: tuple[Demand, ...] = ()
    idle: int = field(default=0, compare=False)
    """Demands of the file that are left out: of nothing, or of a node to itself."""
    nodes: Mapping[str, Node] = field(default_factory=dict)
    """What is said of nodes, by name; not of those of which nothing is."""
    prefixes: Mapping[str, str] = field(default_factory=dict)
    """Prefixes of underlay segments, by the name of a switch."""
    mtu: int = DEFAULT_MTU
    """Largest IP packet on links that name none, in bytes."""
    foreign: bool = field(default=False, compare=False)
    """Whether the file is not in our own form, so that its nodes were named by us."""
    warnings: tuple[str, ...] = ()
    """What was left out or is odd; sentences for people."""

    @property
    def aside(self) -> frozenset[str]:
        """Ends that carry nobody else's traffic: hosts, unless the file has no switches at all."""
        return frozenset(self.end_hosts if self.switches else ())

    def label(self, name: str) -> str:
        """What people call a node."""
        node = self.nodes.get(name)
        return node.label if node and node.label else name

    def known_as(self, name: str) -> str:
        """What a node is called in answers: as its file calls it.

        In our own form that is the name, in any other the label, where no other node has it.
        """
        if not self.foreign:
            return name
        label = self.label(name)
        everyone = (*self.end_hosts, *self.switches)
        alike = [node for node in everyone if label in (node, self.label(node))]
        return label if alike == [name] else name

    def find(self, text: str) -> str:
        """The name of the node that a person means: by name, label, id, or a label's slug.

        Raises:
            NotFound: none is called so; the message names those that nearly are.
            IntentError: several are.
        """
        everyone = (*self.end_hosts, *self.switches)
        if text in everyone:
            return text
        said = text.strip().casefold()
        for called in (
            [name for name in everyone if self.label(name) == text],
            [name for name in everyone if name in self.nodes and self.nodes[name].id == text],
            [name for name in everyone if self.label(name).casefold() == said],
            [name for name in everyone if slug(text) in {name, slug(self.label(name))} - {""}],
        ):
            if len(called) > 1:
                message = f"is the label of {', '.join(called)}: use one of these names"
                raise IntentError(Problem(f"node {text!r}", "", "Ambiguous", message))
            if called:
                return called[0]
        near = get_close_matches(said, [*everyone, *map(self.label, everyone)], 3)
        hint = f"; near it are {', '.join(map(repr, near))}" if near else ""
        raise NotFound(f"{self.name} has no node {text!r}{hint}")


def slug(label: str) -> str:
    """A label as a name: ``São Paulo`` is ``sao-paulo``; empty when no letter or digit is left."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
    return _GAP.sub("-", plain.lower()).strip("-")[:_LONGEST].strip("-")
