# SPDX-License-Identifier: Apache-2.0
"""Flows, groups and meters as ``ovs-ofctl`` text, written and read.

Two spellings: *named* (tables by name, as ``ovs-ofctl --names`` prints) and *numeric* (tables by
number, which ``ovs-ofctl add-flows`` takes on any bridge). Fields are spelt as ``dump-flows`` does:
``dl_dst``, ``nw_src``, ``icmp6``; see ovs-fields(7) and ovs-actions(7). Reading gives back what was
written (``parse_flow(flow_text(f)) == f``); it understands no other text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.addresses import mac_number, mac_text
from vneter_sdn.model.fields import ETH_ARP, ETH_IP, ETH_IPV6, FIELDS, TRACKED
from vneter_sdn.model.flow import (
    ANY,
    CONTROLLER,
    IN_PORT,
    LOCAL,
    ZONE_BITS,
    Action,
    Bucket,
    CheckLength,
    Conjunction,
    Conntrack,
    Copy,
    DecTtl,
    Flow,
    Group,
    GroupAction,
    Match,
    Meter,
    MeterAction,
    Output,
    OutputField,
    Punt,
    Resubmit,
    SetField,
    match,
)
from vneter_sdn.pipeline.tables import BY_ID, table

_MAC = frozenset({"eth_src", "eth_dst", "arp_sha", "arp_tha", "nd_sll", "nd_tll"})
_IPV4 = frozenset({"ip_src", "ip_dst", "arp_spa", "arp_tpa"})
_IPV6 = frozenset({"ipv6_src", "ipv6_dst", "nd_target"})
_SHORT = {
    (ETH_IP, None): "ip",
    (ETH_IPV6, None): "ipv6",
    (ETH_ARP, None): "arp",
    (ETH_IP, 1): "icmp",
    (ETH_IPV6, 58): "icmp6",
    (ETH_IP, 6): "tcp",
    (ETH_IPV6, 6): "tcp6",
    (ETH_IP, 17): "udp",
    (ETH_IPV6, 17): "udp6",
    (ETH_IP, 132): "sctp",
    (ETH_IPV6, 132): "sctp6",
}
_LONG = {short: pair for pair, short in _SHORT.items()}
_SPELT = {
    "eth_src": "dl_src",
    "eth_dst": "dl_dst",
    "eth_type": "dl_type",
    "ip_src": "nw_src",
    "ip_dst": "nw_dst",
    "ip_proto": "nw_proto",
    "ip_ttl": "nw_ttl",
}
_MEANT = {spelt: name for name, spelt in _SPELT.items()}
_PORTS = {IN_PORT: "IN_PORT", CONTROLLER: "CONTROLLER", LOCAL: "LOCAL"}
_PORT_NUMBERS = {name: number for number, name in _PORTS.items()}
_SUBFIELD = re.compile(r"(\w+)\[(?:(\d+)(?:\.\.(\d+))?)?\]\Z")
_STATE_BIT = re.compile(r"([+-])([a-z]+)")


def flow_text(flow: Flow, *, named: bool = False) -> str:
    """One flow: ``cookie=0x76…, table=switch, priority=200, dl_dst=…, actions=…``."""
    where = BY_ID[flow.table].name if named and flow.table in BY_ID else str(flow.table)
    words = [f"cookie={flow.cookie:#x}", f"table={where}", f"priority={flow.priority}"]
    words += match_words(flow.match)
    return f"{','.join(words)} actions={actions_text(flow.actions, flow.goto, named=named)}"


def match_words(matched: Match) -> list[str]:
    """The terms of a match, prerequisites first."""
    exact = {term.field: term.value for term in matched}
    ethertype, protocol = exact.get("eth_type"), exact.get("ip_proto")
    words: list[str] = []
    spent: set[str] = set()
    for pair, used in (
        ((ethertype, protocol), {"eth_type", "ip_proto"}),
        ((ethertype, None), {"eth_type"}),
    ):
        if not words and ethertype is not None and pair in _SHORT:
            words, spent = [_SHORT[pair]], used
    rest = sorted(matched, key=lambda term: (_rank(term.field), term.field))
    return words + [_term(*term) for term in rest if term.field not in spent]


def _rank(field: str) -> int:
    """Ports and registers go first, as in dump-flows; then prerequisites before what needs them."""
    if field.startswith("reg"):
        return 0
    first = ("in_port", "tun_id", "vlan_vid", "eth_type", "ip_proto", "icmpv6_type", "icmpv6_code")
    return first.index(field) + 1 if field in first else len(first) + 1


def _term(field: str, value: int, mask: int) -> str:
    spelt = _SPELT.get(field, field)
    if field in ("icmpv6_type", "icmpv6_code"):
        spelt = f"icmp{field[6:]}"
    if field == "ct_state" and mask < 1 << len(TRACKED):
        return f"{spelt}={_state_text(value, mask)}"
    if mask == FIELDS[field].full:
        return f"{spelt}={value_text(field, value)}"
    if field in _IPV4 | _IPV6:
        length = mask.bit_count()
        if mask == FIELDS[field].full >> length ^ FIELDS[field].full:
            return f"{spelt}={value_text(field, value)}/{length}"
    return f"{spelt}={value_text(field, value)}/{value_text(field, mask)}"


def _state_text(value: int, mask: int) -> str:
    """``+trk-rpl``, in the order of the bits."""
    return "".join(
        f"{'+' if value & bit else '-'}{name}" for name, bit in TRACKED.items() if mask & bit
    )


def value_text(field: str, value: int) -> str:
    """A value of a field, as its kind is written."""
    if field in _MAC:
        return mac_text(value)
    if field in _IPV4:
        return str(IPv4Address(value))
    if field in _IPV6:
        return str(IPv6Address(value))
    if field in ("in_port", "nd_reserved"):
        return str(value)
    if FIELDS[field].bits <= 16 and field not in ("eth_type", "tcp_flags"):
        return str(value) if field != "vlan_vid" else f"{value:#06x}"
    return hex(value)


def actions_text(actions: Iterable[Action], goto: int | None = None, *, named: bool = False) -> str:
    """Actions as a list; ``drop`` when there are none."""
    words = [_action(action, named=named) for action in actions]
    if goto is not None:
        words.append(f"goto_table:{_table(goto, named=named)}")
    return ",".join(words) or "drop"


def _table(number: int, *, named: bool) -> str:
    return BY_ID[number].name if named and number in BY_ID else str(number)


def _action(action: Action, *, named: bool) -> str:
    match action:
        case Output(port=port):
            return _PORTS.get(port, f"output:{port}")
        case OutputField(field=field, offset=offset, bits=bits):
            return f"output:{_subfield(field, offset, bits)}"
        case GroupAction(group=group):
            return f"group:{group}"
        case SetField():
            return _set_field(action)
        case Copy():
            source = _subfield(action.source, action.source_offset, action.bits)
            return f"move:{source}->{_subfield(action.target, action.target_offset, action.bits)}"
        case DecTtl():
            return "dec_ttl"
        case MeterAction(meter=meter):
            return f"meter:{meter}"
        case Punt():
            return _punt(action)
        case Resubmit() | Conntrack() | Conjunction() | CheckLength():
            return _call(action, named=named)


def _set_field(action: SetField) -> str:
    field = FIELDS[action.field]
    value = value_text(action.field, action.value)
    mask = "" if action.mask == field.full else f"/{value_text(action.field, action.mask)}"
    return f"set_field:{value}{mask}->{_SPELT.get(action.field, action.field)}"


def _call(action: Resubmit | Conntrack | Conjunction | CheckLength, *, named: bool) -> str:
    """What is written with parentheses; some name another table."""
    if isinstance(action, CheckLength):
        return f"check_pkt_larger({action.octets})->{_subfield(action.field, action.offset, 1)}"
    if isinstance(action, Conjunction):
        return f"conjunction({action.id},{action.clause}/{action.of})"
    if isinstance(action, Resubmit):
        return f"resubmit(,{_table(action.table, named=named)})"
    words = ["commit"] if action.commit else []
    if action.table is not None:
        words.append(f"table={_table(action.table, named=named)}")
    if action.zone_field:
        words.append(f"zone={_subfield(action.zone_field, action.zone_offset, ZONE_BITS)}")
    elif action.zone:
        words.append(f"zone={action.zone}")
    if action.actions:
        words.append(f"exec({actions_text(action.actions)})")
    return f"ct({','.join(words)})" if words else "ct"


def _punt(action: Punt) -> str:
    userdata = ".".join(f"{octet:02x}" for octet in action.userdata)
    meter = f",meter_id={action.meter}" if action.meter else ""
    return f"controller(max_len={action.max_len},userdata={userdata}{meter})"


def _subfield(field: str, offset: int, bits: int) -> str:
    if offset == 0 and bits == FIELDS[field].bits:
        return f"{field}[]"
    last = offset + bits - 1
    return f"{field}[{offset}]" if bits == 1 else f"{field}[{offset}..{last}]"


def group_text(group: Group) -> str:
    """One group, as ``add-groups`` takes it."""
    words = [f"group_id={group.group}", f"type={group.kind}"]
    if group.method:
        words.append(f"selection_method={group.method}")
        if group.method_parameter:
            words.append(f"selection_method_param={group.method_parameter}")
    for number, bucket in enumerate(group.buckets):
        words.append(_bucket(number, bucket, group.kind))
    return ",".join(words)


def _bucket(number: int, bucket: Bucket, kind: str) -> str:
    words = [f"bucket_id:{number}"]
    if kind == "select":
        words.append(f"weight:{bucket.weight}")
    if bucket.watch_port != ANY:
        words.append(f"watch_port:{bucket.watch_port}")
    if bucket.watch_group != ANY:
        words.append(f"watch_group:{bucket.watch_group}")
    return f"bucket={','.join(words)},actions={actions_text(bucket.actions)}"


def meter_text(meter: Meter) -> str:
    """One meter, as ``add-meter`` takes it."""
    return (
        f"meter={meter.meter},{meter.unit},burst,"
        f"band=type=drop,rate={meter.rate},burst_size={meter.burst}"
    )


def parse_flow(text: str) -> Flow:
    """Read a flow that `flow_text` wrote, in either spelling.

    Raises:
        PipelineError: it is not such a text.
    """
    head, found, tail = text.strip().partition(" actions=")
    if not found:
        raise PipelineError(f"no actions in {text!r}")
    numbers: dict[str, int] = {}
    where = 0
    terms: dict[str, int | tuple[int, int]] = {}
    try:
        for word in head.split(","):
            name, _, value = word.strip().partition("=")
            if name in ("cookie", "priority"):
                numbers[name] = int(value, 0)
            elif name == "table":
                where = _table_number(value)
            else:
                terms.update(_read_term(name, value))
        actions, goto = _read_actions(tail)
        matched = match(**_icmp(terms))
    except (ValueError, KeyError) as error:
        raise PipelineError(f"not a flow: {text!r} ({error})") from None
    return Flow(where, numbers["priority"], matched, actions, goto, numbers["cookie"])


def _table_number(text: str) -> int:
    return int(text) if text.isdigit() else table(text).id


def _read_term(name: str, text: str) -> dict[str, int | tuple[int, int]]:
    if name in _LONG:
        ethertype, protocol = _LONG[name]
        known = {"eth_type": ethertype, "ip_proto": protocol}
        return {field: value for field, value in known.items() if value is not None}
    field = _MEANT.get(name, name)
    if field == "ct_state" and text[:1] in ("+", "-"):
        bits = [(sign == "+", TRACKED[bit]) for sign, bit in _STATE_BIT.findall(text)]
        return {field: (sum(b for held, b in bits if held), sum(b for _, b in bits))}
    value, slash, mask = text.partition("/")
    if not slash:
        return {field: _number(field, value)}
    if mask.isdigit() and field in _IPV4 | _IPV6:
        full = FIELDS[field].full
        return {field: (_number(field, value), full ^ full >> int(mask))}
    return {field: (_number(field, value), _number(field, mask))}


def _icmp(terms: dict[str, int | tuple[int, int]]) -> dict[str, int | tuple[int, int]]:
    """``icmp_type`` serves both versions in dump-flows."""
    if terms.get("eth_type") != ETH_IPV6:
        return terms
    return {n.replace("icmp_", "icmpv6_") if "icmp_" in n else n: v for n, v in terms.items()}


def _number(field: str, text: str) -> int:
    if field in _MAC:
        return mac_number(text)
    if field in _IPV4:
        return int(IPv4Address(text))
    if field in _IPV6:
        return int(IPv6Address(text))
    return int(text, 0)


def _read_actions(text: str) -> tuple[tuple[Action, ...], int | None]:
    if text == "drop":
        return (), None
    words = list(outermost(text))
    goto = None
    if words[-1].startswith("goto_table:"):
        goto = _table_number(words.pop().partition(":")[2])
    return tuple(_read_action(word) for word in words), goto


def outermost(text: str) -> Iterator[str]:
    """Parts between the commas that stand in no parentheses: ``move(a,b),2`` is two."""
    depth, start = 0, 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _read_action(word: str) -> Action:
    verb, _, rest = word.partition(":")
    if word in _PORT_NUMBERS:
        return Output(_PORT_NUMBERS[word])
    if word.startswith("check_pkt_larger("):
        octets, _, bit = word.removeprefix("check_pkt_larger(").partition(")->")
        field, offset, _ = _read_subfield(bit)
        return CheckLength(int(octets), field, offset)
    if word == "ct" or word.endswith(")"):
        return _read_call(*word.removesuffix(")").partition("(")[::2])
    match verb:
        case "output":
            return Output(int(rest)) if rest.isdigit() else OutputField(*_read_subfield(rest))
        case "group":
            return GroupAction(int(rest))
        case "meter":
            return MeterAction(int(rest))
        case "dec_ttl":
            return DecTtl()
        case "set_field":
            return _read_set_field(rest)
        case "move":
            source, _, target = rest.partition("->")
            (one, offset, bits), (other, at, _) = _read_subfield(source), _read_subfield(target)
            return Copy(one, other, bits, offset, at)
    raise PipelineError(f"no such action: {word!r}")


def _read_call(name: str, inside: str) -> Action:
    match name:
        case "resubmit":
            return Resubmit(_table_number(inside.removeprefix(",")))
        case "ct":
            return _read_conntrack(inside)
        case "conjunction":
            number, _, clause = inside.partition(",")
            place, _, of = clause.partition("/")
            return Conjunction(int(number, 0), int(place), int(of))
        case "controller":
            return _read_punt(dict(item.split("=") for item in inside.split(",")))
    raise PipelineError(f"no such action: {name!r}")


def _read_conntrack(text: str) -> Conntrack:
    options: dict[str, str] = {}
    actions: tuple[Action, ...] = ()
    for word in outermost(text):
        name, _, value = word.partition("=")
        if word.startswith("exec("):
            actions, _ = _read_actions(word[5:-1])
        else:
            options[name] = value
    zone, part = options.get("zone", "0"), ("", 0, 0)
    if not zone.isdigit():
        zone, part = "0", _read_subfield(zone)
    return Conntrack(
        commit="commit" in options,
        zone=int(zone),
        zone_field=part[0],
        zone_offset=part[1],
        table=_table_number(options["table"]) if "table" in options else None,
        actions=tuple(action for action in actions if isinstance(action, SetField | Copy)),
    )


def _read_set_field(text: str) -> SetField:
    given, _, spelt = text.partition("->")
    field = _MEANT.get(spelt, spelt)
    value, slash, mask = given.partition("/")
    full = FIELDS[field].full
    return SetField(field, _number(field, value), _number(field, mask) if slash else full)


def _read_punt(options: dict[str, str]) -> Punt:
    userdata = bytes.fromhex(options["userdata"].replace(".", ""))
    return Punt(userdata, int(options.get("meter_id", "0")), int(options["max_len"]))


def _read_subfield(text: str) -> tuple[str, int, int]:
    found = _SUBFIELD.match(text)
    if not found:
        raise PipelineError(f"not a part of a field: {text!r}")
    field, first, last = found.groups()
    if first is None:
        return field, 0, FIELDS[field].bits
    return field, int(first), int(last or first) - int(first) + 1
