# SPDX-License-Identifier: Apache-2.0
"""Names of links: one for both directions, one link each, and as objects may have them."""

from __future__ import annotations

import re
from itertools import product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.graph.topology import tunnel_edge, wire_edge
from vneter_sdn.model.kinds import LinkSpec
from vneter_sdn.model.links import found_link, link_name
from vneter_sdn.model.scalars import Name

# Few letters, so that what could be confused meets.
_HOSTS = st.from_regex(r"[a1]([-.a]{0,4}[a1])?", fullmatch=True)
_PORTS = st.from_regex(r"[-a1._A]{1,5}", fullmatch=True)
_RANKS = st.tuples(st.integers(0, 2), st.integers(0, 2))


@st.composite
def _edges(draw):
    """An edge by name, and the name of its reverse."""
    one, other = draw(st.lists(_HOSTS, min_size=2, max_size=2, unique=True))
    if draw(st.booleans()):
        ranks = draw(_RANKS)
        return tunnel_edge(one, other, ranks), tunnel_edge(other, one, ranks[::-1])
    port, there = draw(_PORTS), draw(_PORTS)
    return wire_edge(one, port, other, there), wire_edge(other, there, one, port)


@pytest.mark.parametrize(
    ("edge", "name"),
    [
        ("h1>h2", "h1-h2"),
        ("h2>h1", "h1-h2"),
        ("h1#1>h2#0", "h1-h2.1.0"),
        ("h2#0>h1#1", "h1-h2.1.0"),
        ("s2:s2-eth1>s1:s1-eth2", "s1.s1-eth2-s2.s2-eth1"),
        ("leaf-1>spine-2", "leaf-1--spine-2"),
        ("leaf-1:eth1>spine-2:eth3", "leaf-1.eth1--spine-2.eth3"),
    ],
)
def test_names_can_be_read(edge: str, name: str) -> None:
    assert link_name(edge) == name


@settings(max_examples=300)
@given(st.lists(_edges(), min_size=2, max_size=30))
def test_each_link_has_a_name_of_its_own(edges: list[tuple[str, str]]) -> None:
    names: dict[str, frozenset[str]] = {}
    for edge, reverse in edges:
        name = link_name(edge)
        assert name == link_name(reverse)
        msgspec.convert(name, Name)
        link = frozenset((edge, reverse))
        assert names.setdefault(name, link) == link


def test_what_looks_alike_is_told_apart() -> None:
    hosts = ["a", "b", "a-b", "b-a", "a.b", "a--b", "a-b.0", "b.0.0", "a.a"]
    ports = ["a", "b", "a-b", "a.b", "a--b", "0", "-", "A"]
    edges = [tunnel_edge(*pair, r) for pair in product(hosts, hosts) for r in ((0, 0), (0, 1))]
    edges += [wire_edge(*e) for e in product(hosts, ports, hosts, ports)]
    links = {frozenset((e, turned(e))) for e in edges if e != turned(e)}
    kept = [link for link in links if len({re.split(r"[:#]", end)[0] for end in ends(link)}) == 2]
    assert len({link_name(min(link)) for link in kept}) == len(kept)


def turned(edge: str) -> str:
    return ">".join(reversed(edge.split(">")))


def ends(link: frozenset[str]) -> list[str]:
    return min(link).split(">")


@given(st.text(max_size=200))
def test_any_text_gets_a_name(text: str) -> None:
    assert msgspec.convert(link_name(text), Name) == link_name(text)


def test_long_names_are_cut() -> None:
    one, other = link_name(f"{'a' * 60}>{'b' * 60}"), link_name(f"{'a' * 60}>{'b' * 61}")
    assert len(one) <= 63
    assert one != other


def test_what_was_found_could_be_declared() -> None:
    wire = {"source": "s1", "target": "s2", "medium": "wire", "ports": "eth1:eth2", "loss": 0.1}
    assert found_link(wire) == LinkSpec(
        source="s1", target="s2", medium="wire", source_port="eth1", target_port="eth2"
    )
    assert found_link({"source": "h1", "target": "h2", "ports": "vn1:vn2"}) == LinkSpec(
        source="h1", target="h2"
    )
    assert found_link({"source": "h1"}) is None
    assert found_link({"source": "h1", "target": 3}) is None
