# SPDX-License-Identifier: Apache-2.0
"""What ``ofproto/trace`` of Open vSwitch says of a packet, as values, to hold `bridge.run` to.

The text is that of ``ovs-appctl ofproto/trace`` (``ovs-vswitchd(8)``), of one bridge and without
recirculation. Packets that are traced have no length: of ``check_pkt_larger``, whose two outcomes
are both followed, the first one indented, what happens to those that are not larger counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vneter_sdn.errors import DecodeError
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.simulate.text import parse_packet

_LOOKUP = re.compile(r"^\s*(\d+)\. (?:.*\bpriority (\d+)\b|No match)", re.MULTILINE)
_ASKS = re.compile(r"^\s*check_pkt_larger\(")
_REASON = re.compile(r"\bcontroller\(reason=(\d+)")
_REASON_TTL = 2
"""OFPR_INVALID_TTL (OpenFlow 1.5.1 §7.4.1); every other reason is an action's."""


class Traced(NamedTuple):
    """One trace."""

    first: Packet
    """The packet as Open vSwitch read it."""
    last: Packet
    """The packet after the last action; it does not print ND's option type and reserved bits."""
    lookups: tuple[tuple[int, int | None], ...]
    """Table and priority of each flow met; None for a miss."""
    ports: tuple[int, ...]
    """Datapath (not OpenFlow) ports it is sent to, in order."""
    punts: int
    """Copies sent to the controller by an action."""
    expired: int
    """Copies that stopped at ``dec_ttl``."""
    actions: tuple[str, ...]
    """All datapath actions, as printed."""


def parse_trace(text: str) -> Traced:
    """Read the answer to ``ofproto/trace``.

    Raises:
        DecodeError: it is not one, for instance an error message.
    """
    text = "\n".join(_fitting(text.splitlines()))
    lines = dict(line.partition(": ")[::2] for line in text.splitlines())
    missing = {"Flow", "Final flow", "Datapath actions"} - lines.keys()
    if missing:
        raise DecodeError(f"a trace without {', '.join(sorted(missing))}: {text.strip()[:200]}")
    first = parse_packet(lines["Flow"])
    final = lines["Final flow"]
    actions = tuple(_flat(lines["Datapath actions"]))
    reasons = [int(found[1]) for action in actions if (found := _REASON.search(action))]
    return Traced(
        first,
        first if final == "unchanged" else parse_packet(final),
        tuple(
            (int(found[1]), int(found[2]) if found[2] else None) for found in _LOOKUP.finditer(text)
        ),
        tuple(int(action) for action in actions if action.isdigit()),
        sum(reason != _REASON_TTL for reason in reasons),
        sum(reason == _REASON_TTL for reason in reasons),
        actions,
    )


def _fitting(lines: Iterable[str]) -> Iterator[str]:
    """Lines of a trace, but for what happens to packets that are larger than a flow asks about.

    Those are followed first: from what the flow does next to where it does the same again.
    """
    again: str | None = None
    skipping = asked = False
    for line in lines:
        if asked:
            again, skipping, asked = line, True, False
        elif skipping and line == again:
            skipping = False
        if not skipping:
            yield line
            asked = _ASKS.match(line) is not None


def _flat(text: str) -> Iterator[str]:
    """Actions, with those for packets that are not larger where lengths are asked about."""
    for action in _split(text):
        if action.startswith("check_pkt_len("):
            fitting = next(one for one in _split(action[14:-1]) if one.startswith("le("))
            yield from _flat(fitting[3:-1])
        else:
            yield action


def _split(text: str) -> Iterator[str]:
    """Actions at the outermost level: ``set(eth(a,b)),2`` is two."""
    depth, start = 0, 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


_IN_PORT = re.compile(r"^Flow: .*\bin_port=(\d+)")
_BRIDGE = re.compile(r'^(\s*)bridge\("([^"]*)"\)')
_MET = re.compile(r"^(\s*)(\d+)\. (?:.*\bpriority (\d+)(?:, cookie (0x[0-9a-f]+))?|No match)")
_SENT = re.compile(r"^\s*(?:output:(\d+)|-> output port is (\d+))\s*$")
_BACK = re.compile(r"^\s*(?:output:|-> output port is )IN_PORT\s*$")
_DEAD = re.compile(r"-> bucket \d+: not live due to port (\d+)")
_HASHED = re.compile(r"^Datapath actions: .*\bhash\(.*\brecirc\(", re.MULTILINE)
_BUCKET = re.compile(r"-> using bucket (\d+)")


class Passed(NamedTuple):
    """What one bridge of a trace did, recirculations included."""

    lookups: tuple[tuple[int, int | None, int], ...]
    """Table, priority (None for a miss) and cookie of every flow met."""
    ports: tuple[int, ...]
    """OpenFlow ports it is sent to, in order."""
    dead: frozenset[int]
    """Ports that groups were found to watch in vain."""
    buckets: tuple[int, ...]
    """Which bucket each group took that chose one, in order."""
    hashed: bool = False
    """Whether it ends where a select group has the datapath hash the packet."""


def passed(text: str, bridge: str) -> Passed:
    """Read what a bridge did from ``ofproto/trace``: a tunnel's packets pass others too.

    Raises:
        DecodeError: it is not a trace, for instance an error message.
    """
    if "Datapath actions:" not in text:
        raise DecodeError(f"a trace without Datapath actions: {text.strip()[:200]}")
    lookups: list[tuple[int, int | None, int]] = []
    ports: list[int] = []
    within: list[tuple[int, str]] = []
    lines = list(_fitting(text.splitlines()))
    text = "\n".join(lines)
    entered = next((found[1] for line in lines if (found := _IN_PORT.search(line))), "0")
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        indent = len(line) - len(line.lstrip())
        if header := _BRIDGE.match(line):
            within = [one for one in within if one[0] < indent] + [(indent, header[2])]
            continue
        while line.strip() and len(within) > 1 and indent < within[-1][0]:
            within.pop()
        if not within or within[-1][1] != bridge:
            continue
        if found := _MET.match(line):
            priority = int(found[3]) if found[3] else None
            lookups.append((int(found[2]), priority, int(found[4] or "0", 16)))
        elif not after.strip().startswith(">>"):
            if found := _SENT.match(line):
                ports.append(int(found[1] or found[2]))
            elif _BACK.match(line):
                ports.append(int(entered))
    return Passed(
        tuple(lookups),
        tuple(ports),
        frozenset(int(found[1]) for found in _DEAD.finditer(text)),
        tuple(int(found[1]) for found in _BUCKET.finditer(text)),
        _HASHED.search(text) is not None,
    )
