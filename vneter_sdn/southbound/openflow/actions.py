# SPDX-License-Identifier: Apache-2.0
"""Actions and instructions as bytes (OpenFlow 1.5.1 §7.2.5, §7.2.6; ovs-actions(7)).

Each action has the form in which Open vSwitch gives it back, so what was written compares
equal to what is read. Where the versions differ: a meter is an instruction in 1.4 and an action
in 1.5; Copy and masked SetField are Nicira's actions in 1.4 and OpenFlow's own in 1.5.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from vneter_sdn.errors import PipelineError
from vneter_sdn.model.fields import FIELDS
from vneter_sdn.model.flow import (
    NO_TABLE,
    ZONE_BITS,
    Action,
    CheckLength,
    Conjunction,
    Conntrack,
    Copy,
    DecTtl,
    GroupAction,
    MeterAction,
    Output,
    OutputField,
    Punt,
    Resubmit,
    SetField,
    Term,
)
from vneter_sdn.southbound.openflow import oxm
from vneter_sdn.southbound.openflow.wire import NICIRA, TLV, U16, U32, V14, V15, need, pad8, tlvs

OUTPUT, GROUP, DEC_TTL, SET_FIELD, COPY_FIELD, METER, EXPERIMENTER = 0, 22, 24, 25, 28, 29, 0xFFFF
"""Action types (OpenFlow 1.5.1 §7.2.6)."""
GOTO, APPLY, METER_INSTRUCTION = 1, 4, 6
"""Instruction types; the meter's is 1.4's only."""
REG_MOVE, RESUBMIT_TABLE, OUTPUT_REG, REG_LOAD2, CONJUNCTION, CT, CONTROLLER2, CHECK_LENGTH = (
    6, 14, 15, 33, 34, 35, 37, 49
)  # fmt: skip
"""Subtypes of Nicira's actions."""
_IN_PORT_16 = 0xFFF8
_NO_LIMIT = 0xFFFF

_OUTPUT = Struct("!HHIH6x")
_PAIR = Struct("!HHI")
_NX = Struct("!HHIH")
_COPY = Struct("!HHHHH2x")
_MOVE = Struct("!HHIHHHH")
_OUTPUT_REG = Struct("!HHIHH4sH6x")
_RESUBMIT = Struct("!HHIHHB3x")
_DEC_TTL = Struct("!HH4x").pack(DEC_TTL, 8)
_CT = Struct("!HHIHHIHB3xH")
_CT_COMMIT = 1
_CHECK_LENGTH = Struct("!HHIHHH4s6x")
_CONJUNCTION = Struct("!HHIHBBI")
_IN_PORT_NXM = b"\0\0\0\2"
"""Open vSwitch lets the port a packet came in by be set under the older name only, 16 bits wide."""


def _output(action: Output, _version: int) -> bytes:
    return _OUTPUT.pack(OUTPUT, 16, action.port, _NO_LIMIT)


def _group(action: GroupAction, _version: int) -> bytes:
    return _PAIR.pack(GROUP, 8, action.group)


def _meter(action: MeterAction, version: int) -> bytes:
    if version == V14:
        raise PipelineError("OpenFlow 1.4 has a meter only as a flow's first action")
    return _PAIR.pack(METER, 8, action.meter)


def _dec_ttl(_action: DecTtl, _version: int) -> bytes:
    return _DEC_TTL


def _whole(name: str) -> tuple[int, bytes, int, int]:
    """Of setting a whole field: its mask, the bytes before it, and size and shift of the rest."""
    field = FIELDS[name]
    length = 8 + field.octets + 7 & ~7
    head = TLV.pack(SET_FIELD, length) + oxm.header(name)
    return field.full, head, length - 8, (length - 8 - field.octets) * 8


_NOTHING = (-1, b"", 0, 0)
_WHOLE = {name: _whole(name) for name in FIELDS}


def _set_field(action: SetField, version: int) -> bytes:
    value, mask = action.value, action.mask
    if action.field == "in_port":
        return _set_in_port(action)
    full, head, size, shift = _WHOLE.get(action.field, _NOTHING)
    if mask == full and 0 <= value <= mask:
        return head + (value << shift).to_bytes(size)
    entry = oxm.encode_term(action.field, action.value, action.mask)
    if version == V14 and entry[2] & 1:
        name = oxm.header(action.field, nxm=True)
        entry = name[:2] + bytes((name[2] | 1, name[3] * 2)) + entry[4:]
        length = 10 + len(entry) + 7 & ~7
        return pad8(_NX.pack(EXPERIMENTER, length, NICIRA, REG_LOAD2) + entry)
    length = 4 + len(entry) + 7 & ~7
    return pad8(TLV.pack(SET_FIELD, length) + entry)


def _set_in_port(action: SetField) -> bytes:
    if action.mask != FIELDS["in_port"].full or not 0 <= action.value <= 0xFFFF:
        raise PipelineError(f"in_port is set whole and to 16 bits only, not to {action.value:#x}")
    return pad8(TLV.pack(SET_FIELD, 16) + _IN_PORT_NXM + U16.pack(action.value))


def _copy(action: Copy, version: int) -> bytes:
    numbers = (action.bits, action.source_offset, action.target_offset)
    names = oxm.header(action.source, version == V14) + oxm.header(action.target, version == V14)
    if version == V14:
        return _MOVE.pack(EXPERIMENTER, 24, NICIRA, REG_MOVE, *numbers) + names
    return pad8(_COPY.pack(COPY_FIELD, 24, *numbers) + names)


def _output_field(action: OutputField, _version: int) -> bytes:
    part = action.offset << 6 | action.bits - 1
    name = oxm.header(action.field, nxm=True)
    return _OUTPUT_REG.pack(EXPERIMENTER, 24, NICIRA, OUTPUT_REG, part, name, _NO_LIMIT)


def _resubmit(action: Resubmit, _version: int) -> bytes:
    return _RESUBMIT.pack(EXPERIMENTER, 16, NICIRA, RESUBMIT_TABLE, _IN_PORT_16, action.table)


_MAX_LEN, _USERDATA, _METER_ID = 0, 3, 5
"""Properties of the controller action (NXAC2PT_*)."""


def _punt(action: Punt, _version: int) -> bytes:
    body = bytes(6)
    if action.max_len != _NO_LIMIT:
        body += TLV.pack(_MAX_LEN, 8) + U16.pack(action.max_len) + bytes(2)
    if action.userdata:
        body += pad8(TLV.pack(_USERDATA, 4 + len(action.userdata)) + action.userdata)
    if action.meter:
        body += TLV.pack(_METER_ID, 8) + U32.pack(action.meter)
    return _NX.pack(EXPERIMENTER, 10 + len(body), NICIRA, CONTROLLER2) + body


def _conntrack(action: Conntrack, version: int) -> bytes:
    source, zone = bytes(4), action.zone
    if action.zone_field:
        source = oxm.header(action.zone_field, nxm=True)
        zone = action.zone_offset << 6 | ZONE_BITS - 1
    nested = encode_actions(action.actions, version)
    return (
        _CT.pack(
            EXPERIMENTER, _CT.size + len(nested), NICIRA, CT, _CT_COMMIT if action.commit else 0,
            int.from_bytes(source), zone, NO_TABLE if action.table is None else action.table, 0,
        )
        + nested
    )  # fmt: skip


def _conjunction(action: Conjunction, _version: int) -> bytes:
    return _CONJUNCTION.pack(
        EXPERIMENTER, 16, NICIRA, CONJUNCTION, action.clause - 1, action.of, action.id
    )


def _check_length(action: CheckLength, _version: int) -> bytes:
    bit = (action.offset, oxm.header(action.field, nxm=True))
    return _CHECK_LENGTH.pack(EXPERIMENTER, 24, NICIRA, CHECK_LENGTH, action.octets, *bit)


_ENCODERS: dict[type, Callable[..., bytes]] = {
    Output: _output,
    OutputField: _output_field,
    GroupAction: _group,
    SetField: _set_field,
    Copy: _copy,
    DecTtl: _dec_ttl,
    CheckLength: _check_length,
    Resubmit: _resubmit,
    MeterAction: _meter,
    Punt: _punt,
    Conntrack: _conntrack,
    Conjunction: _conjunction,
}


def encode_actions(actions: tuple[Action, ...], version: int) -> bytes:
    """An action list.

    Raises:
        PipelineError: an action that this version cannot say.
    """
    return b"".join([_ENCODERS[type(action)](action, version) for action in actions])


def encode_instructions(actions: tuple[Action, ...], goto: int | None, version: int) -> bytes:
    """Apply these actions, then go on at a table.

    Raises:
        PipelineError: an action that this version cannot say; in 1.4, a meter that is not first.
    """
    meter = b""
    if version == V14 and actions and isinstance(actions[0], MeterAction):
        meter = _PAIR.pack(METER_INSTRUCTION, 8, actions[0].meter)
        actions = actions[1:]
    body = b"".join([_ENCODERS[type(action)](action, version) for action in actions])
    if body:
        body = _APPLY.pack(APPLY, 8 + len(body)) + body
    return meter + body + (_GOTO[goto] if goto is not None else b"")


_APPLY = Struct("!HH4x")
_GOTO = [Struct("!HHB3x").pack(GOTO, 8, table) for table in range(256)]


# Decoding: offsets are those of the action's header; `Unknown` says "not a word of ours".


def _read_output(data: bytes) -> Action:
    need(len(data) == 16, "output action length")
    _, _, port, limit = _OUTPUT.unpack(data)
    if limit != _NO_LIMIT and port == 0xFFFFFFFD:
        raise oxm.Unknown("truncating output")
    return Output(port)


def _read_pair(data: bytes) -> int:
    need(len(data) == 8, "action length")
    return int(U32.unpack_from(data, 4)[0])


def _read_set_field(data: bytes, start: int = 4) -> Action:
    end = oxm.entry_end(data, start, len(data))
    need(not any(data[end:]) and len(data) - end < 8, "set-field padding", end)
    if data[start : start + 4] == _IN_PORT_NXM:
        return SetField("in_port", U16.unpack_from(data, start + 4)[0], FIELDS["in_port"].full)
    terms = oxm.decode_entry(data[start:end])
    if not isinstance(terms, Term):
        raise oxm.Unknown("set-field of a packet register")
    return SetField(*terms)


def _read_name(data: bytes, offset: int) -> str:
    field = oxm.field_of(data, offset)
    if field is None:
        raise oxm.Unknown("field of another")
    need(data[offset + 2] & 1 == 0, "mask in a field's name", offset)
    return field.name


def _read_copy(data: bytes) -> Action:
    need(len(data) == 24, "copy-field length")
    _, _, bits, source, target = _COPY.unpack_from(data)
    return Copy(_read_name(data, 12), _read_name(data, 16), bits, source, target)


def _read_move(data: bytes) -> Action:
    need(len(data) == 24, "reg-move length")
    bits, source, target = (U16.unpack_from(data, at)[0] for at in (10, 12, 14))
    return Copy(_read_name(data, 16), _read_name(data, 20), bits, source, target)


def _read_output_reg(data: bytes) -> Action:
    need(len(data) == 24, "output-reg length")
    part, limit = U16.unpack_from(data, 10)[0], U16.unpack_from(data, 16)[0]
    if limit != _NO_LIMIT:
        raise oxm.Unknown("truncating output")
    return OutputField(_read_name(data, 12), part >> 6, (part & 0x3F) + 1)


def _read_resubmit(data: bytes) -> Action:
    need(len(data) == 16, "resubmit length")
    if U16.unpack_from(data, 10)[0] != _IN_PORT_16:
        raise oxm.Unknown("resubmit with another port")
    return Resubmit(data[12])


def _read_punt(data: bytes) -> Action:
    need(len(data) >= 16, "controller action length")
    userdata, meter, max_len = b"", 0, _NO_LIMIT
    for kind, at, end in tlvs(data, 16, len(data)):
        if kind == _USERDATA:
            userdata = data[at + 4 : end]
        elif kind == _METER_ID:
            need(end - at == 8, "meter property", at)
            meter = U32.unpack_from(data, at + 4)[0]
        elif kind == _MAX_LEN:
            need(end - at in (6, 8), "max-len property", at)
            max_len = U16.unpack_from(data, at + 4)[0]
        else:
            raise oxm.Unknown(f"controller property {kind}")
    return Punt(userdata, meter, max_len)


def _read_conntrack(data: bytes) -> Action:
    need(len(data) >= _CT.size, "conntrack action length")
    *_, flags, source, zone, table, helper = _CT.unpack_from(data)
    if flags & ~_CT_COMMIT or helper:
        raise oxm.Unknown(f"conntrack flags {flags}, helper {helper}")
    field, offset = "", 0
    if source:
        if zone & 0x3F != ZONE_BITS - 1:
            raise oxm.Unknown("a zone of other than 16 bits")
        field, offset, zone = _read_name(data, 12), zone >> 6, 0
    nested = _read_written(data)
    goes_on = None if table == NO_TABLE else table
    try:
        return Conntrack(bool(flags), zone, field, offset, goes_on, nested)
    except PipelineError as other:
        raise oxm.Unknown(str(other)) from None


def _read_conjunction(data: bytes) -> Action:
    need(len(data) == 16, "conjunction length")
    *_, clause, of, number = _CONJUNCTION.unpack(data)
    try:
        return Conjunction(number, clause + 1, of)
    except PipelineError as other:
        raise oxm.Unknown(str(other)) from None


def _read_check_length(data: bytes) -> Action:
    need(len(data) == 24, "check-length action length")
    octets, offset = U16.unpack_from(data, 10)[0], U16.unpack_from(data, 12)[0]
    try:
        return CheckLength(octets, _read_name(data, 14), offset)
    except PipelineError as other:
        raise oxm.Unknown(str(other)) from None


def _read_written(data: bytes) -> tuple[SetField | Copy, ...]:
    """What a conntrack action writes; actions of no other kind, so none that nest."""
    found: list[SetField | Copy] = []
    for kind, at, end in tlvs(data, _CT.size, len(data), 8, 8):
        subtype = U16.unpack_from(data, at + 8)[0] if end - at >= 16 else -1
        if kind == EXPERIMENTER and subtype not in (REG_MOVE, REG_LOAD2):
            raise oxm.Unknown("conntrack with address translation, or more")
        if kind not in (EXPERIMENTER, SET_FIELD, COPY_FIELD):
            raise oxm.Unknown(f"conntrack with action {kind}")
        action = _ACTIONS[data[at:end]]
        if isinstance(action, SetField | Copy):
            found.append(action)
    return tuple(found)


_READERS: dict[int, Callable[[bytes], Action]] = {
    OUTPUT: _read_output,
    GROUP: lambda data: GroupAction(_read_pair(data)),
    DEC_TTL: lambda data: DecTtl(),
    SET_FIELD: _read_set_field,
    COPY_FIELD: _read_copy,
    METER: lambda data: MeterAction(_read_pair(data)),
}
_NX_READERS: dict[int, Callable[[bytes], Action]] = {
    REG_MOVE: _read_move,
    RESUBMIT_TABLE: _read_resubmit,
    OUTPUT_REG: _read_output_reg,
    REG_LOAD2: lambda data: _read_set_field(data, 10),
    CONJUNCTION: _read_conjunction,
    CT: _read_conntrack,
    CONTROLLER2: _read_punt,
    CHECK_LENGTH: _read_check_length,
}


class _Actions(dict[bytes, Action]):
    """Decoded actions, by their bytes; actions that set whole fields are read in place."""

    def __missing__(self, data: bytes) -> Action:
        whole = _WHOLE_BY_HEAD.get(data[:8])
        if whole is not None and len(data) == whole[3]:
            name, mask, shift, _ = whole
            rest = int.from_bytes(data[8:])
            action: Action = SetField(name, rest >> shift & mask, mask)
        else:
            action = _read_action(data)
        if len(self) >= _CACHED:
            self.clear()
        self[data] = action
        return action


_ACTIONS = _Actions()
_CACHED = 1 << 17
_WHOLE_BY_HEAD = {
    head: (name, full, shift, 8 + size) for name, (full, head, size, shift) in _WHOLE.items()
}


def _read_action(data: bytes) -> Action:
    kind = data[0] << 8 | data[1]
    reader = _READERS.get(kind)
    if kind == EXPERIMENTER and len(data) >= 16 and U32.unpack_from(data, 4)[0] == NICIRA:
        reader = _NX_READERS.get(U16.unpack_from(data, 8)[0])
    if reader is None:
        raise oxm.Unknown(f"action {kind}")
    return reader(data)


def decode_actions(data: bytes, start: int, end: int) -> tuple[Action, ...]:
    """An action list between two offsets.

    Raises:
        DecodeError: a length lies.
        Unknown: an action, or a form of one, that this package does not use.
    """
    found, cursor = [], start
    while cursor < end:
        need(end - cursor >= 8, "truncated action", cursor)
        length = data[cursor + 2] << 8 | data[cursor + 3]
        after = cursor + length
        need(length >= 8 and length & 7 == 0 and after <= end, "action length", cursor)
        found.append(_ACTIONS[data[cursor:after]])
        cursor = after
    return tuple(found)


Instructions = tuple[tuple[Action, ...], int | None]


def decode_instructions(data: bytes) -> Instructions:
    """Actions and next table of an instruction list.

    Raises:
        DecodeError: a length lies.
        Unknown: an instruction, an order, or an action that this package does not use.
    """
    actions: tuple[Action, ...] = ()
    goto: int | None = None
    last = 0
    for kind, at, end in tlvs(data, 0, len(data), 8, 8):
        if kind == METER_INSTRUCTION and last == 0:
            need(end - at == 8, "meter instruction", at)
            actions = (MeterAction(U32.unpack_from(data, at + 4)[0]),)
        elif kind == APPLY and last in (0, METER_INSTRUCTION):
            actions += decode_actions(data, at + 8, end)
        elif kind == GOTO and last != GOTO:
            need(end - at == 8, "goto instruction", at)
            goto = data[at + 4]
        else:
            raise oxm.Unknown(f"instruction {kind}")
        last = kind
    return actions, goto


SUPPORTED = (V15, V14)
"""Versions this package speaks, best first."""
