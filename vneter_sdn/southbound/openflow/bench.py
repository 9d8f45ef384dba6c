# SPDX-License-Identifier: Apache-2.0
"""``scripts/bench codec``: this codec against ``ovs-ofctl`` and os-ken, on the same flows."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TypedDict

from vneter_sdn.errors import SouthboundError
from vneter_sdn.model.addresses import mac_text
from vneter_sdn.model.flow import DecTtl, Flow, Output, SetField, match
from vneter_sdn.southbound.openflow import decode, encode, rare
from vneter_sdn.southbound.openflow.sandbox import Link, Sandbox
from vneter_sdn.southbound.openflow.wire import V15

_MAC = (1 << 48) - 1
_COOKIE = 0x76 << 56


class Row(TypedDict):
    """One line of the result; ``ratio`` is ours over peer's, larger is better."""

    measure: str
    unit: str
    ours: float
    peer: float | None
    ratio: float | None
    target: float
    met: bool


def flows(count: int) -> list[Flow]:
    """Routing entries: every one with its own address, MAC and cookie."""
    return [
        Flow(
            10,
            100,
            match(eth_type=0x0800, ip_dst=0x0A000000 + number, reg3=number % 50),
            (SetField("eth_dst", 0x020000000000 + number, _MAC), DecTtl(), Output(number % 4 + 1)),
            None,
            _COOKIE | number,
        )
        for number in range(count)
    ]


def _text(flow: Flow) -> str:
    fields = {term.field: term.value for term in flow.match}
    first, _, last = flow.actions
    assert isinstance(first, SetField)
    assert isinstance(last, Output)
    address = ".".join(str(octet) for octet in fields["ip_dst"].to_bytes(4, "big"))
    return (
        f"add cookie={flow.cookie:#x},table={flow.table},priority={flow.priority},ip,"
        f"nw_dst={address},reg3={fields['reg3']:#x},actions="
        f"set_field:{mac_text(first.value)}->eth_dst,dec_ttl,output:{last.port}"
    )


def _batches(messages: Iterator[bytes], size: int = 2000) -> Iterator[bytes]:
    while batch := b"".join(islice(messages, size)):
        yield batch


def install(link: Link, wanted: Iterable[Flow]) -> None:
    """One atomic bundle, from values to barrier reply.

    Open vSwitch drops what it cannot read as it is added, and would commit the rest: so the
    first barrier, before the commit.

    Raises:
        SouthboundError: the switch refused anything.
    """
    changes = ((encode.ADD, flow) for flow in wanted)
    link.send(encode.bundle_open(1, V15, 1))
    for batch in _batches(encode.bundled_flow_mods(changes, V15, 1, 1000)):
        link.send(batch)
    _refuse_errors(link.barrier(2))
    link.send(encode.bundle_commit(1, V15, 3))
    _refuse_errors(link.barrier(4))


def _refuse_errors(replies: list[decode.Message]) -> None:
    for reply in replies:
        if isinstance(reply, decode.Error):
            raise SouthboundError(f"refused with {reply.kind}/{reply.code}")


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _end_to_end(count: int, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds per round: ours, ofctl's, and reading all flows back."""
    wanted = flows(count)
    ours, peers, reads = [], [], []
    with Sandbox() as switch:
        file = Path(switch.directory, "flows.txt")
        file.write_text("\n".join(map(_text, wanted)))
        bridge = f"unix:{switch.management}"
        for _ in range(rounds):
            switch.ofctl("del-flows", bridge)
            with Link(switch.management) as link:
                ours.append(_timed(lambda link=link: install(link, wanted)))  # type: ignore[misc]
                back: list[decode.Item] = []
                request = encode.flows_request(V15, 4, _COOKIE, 0xFF << 56)
                reads.append(_timed(lambda: back.extend(link.ask(request))))  # noqa: B023
            if set(back) != set(wanted):
                raise SouthboundError("flows read back differ from those written")
            switch.ofctl("del-flows", bridge)
            words = ("--bundle", "add-flows", bridge, str(file))
            peers.append(_timed(lambda words=words: switch.ofctl(*words)))  # type: ignore[misc]
    return ours, peers, reads


def _osken(wanted: list[Flow]) -> None:
    """The same flow modifications, built and serialised by os-ken."""
    datapath = rare.datapath(V15)
    parser, ofproto = datapath.ofproto_parser, datapath.ofproto
    for flow in wanted:
        fields = {term.field: term.value for term in flow.match}
        first, _, last = flow.actions
        fields["ipv4_dst"] = fields.pop("ip_dst")
        actions = [
            parser.OFPActionSetField(eth_dst=mac_text(first.value)),  # type: ignore[union-attr]
            parser.OFPActionDecNwTtl(),
            parser.OFPActionOutput(last.port),  # type: ignore[union-attr]
        ]
        apply = parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, actions)
        message = parser.OFPFlowMod(
            datapath,
            cookie=flow.cookie,
            table_id=flow.table,
            priority=flow.priority,
            match=parser.OFPMatch(**fields),
            instructions=[apply],
        )
        rare.serialize(message, 1)


def _row(measure: str, unit: str, ours: float, peer: float | None, target: float) -> Row:
    ratio = ours / peer if peer else None
    met = (ours if ratio is None else ratio) >= target
    shown = None if ratio is None else round(ratio, 2)
    rest = None if peer is None else round(peer)
    return Row(
        measure=measure, unit=unit, ours=round(ours), peer=rest, ratio=shown, target=target, met=met
    )


def codec(count: int = 100_000, rounds: int = 5) -> list[Row]:
    """Measure; medians over alternating rounds in one run."""
    ours, peers, reads = _end_to_end(count, rounds)
    wanted = flows(count)
    changes = [(encode.ADD, flow) for flow in wanted]
    encoded = [
        _timed(lambda: sum(map(len, encode.bundled_flow_mods(changes, V15, 1, 1))))
        for _ in range(rounds)
    ]
    sample = wanted[: max(1, count // 50)]
    slow = [_timed(lambda: _osken(sample)) for _ in range(3)]
    rate = count / median(encoded)
    return [
        _row("codec/end-to-end", "flows/s", count / median(ours), count / median(peers), 1.0),
        _row("codec/encode", "flows/s", rate, len(sample) / median(slow), 10.0),
        _row("codec/read-back", "flows/s", count / median(reads), None, 100_000),
    ]


def table(rows: list[Row]) -> str:
    """The rows for people."""
    wide = max(18, *(len(row["measure"]) + 2 for row in rows))
    lines = [
        f"{'measure':<{wide}}{'unit':<12}{'ours':>10}{'peer':>10}{'ratio':>8}{'target':>9}  met"
    ]
    for row in rows:
        peer, ratio = ("-" if row[key] is None else row[key] for key in ("peer", "ratio"))
        lines.append(
            f"{row['measure']:<{wide}}{row['unit']:<12}{row['ours']:>10}{peer:>10}{ratio:>8}"
            f"{row['target']:>9}  {'yes' if row['met'] else 'NO'}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run a bench and print what it found; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("bench", choices=["codec"], help="which bench")
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    parser.add_argument("--flows", type=int, default=100_000, help="how many flows")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds")
    options = parser.parse_args(arguments)
    rows = codec(options.flows, options.rounds)
    sys.stdout.write((json.dumps(rows, indent=1) if options.json else table(rows)) + "\n")
    return 0 if all(row["met"] for row in rows) else 1
