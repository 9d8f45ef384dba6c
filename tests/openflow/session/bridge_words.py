# SPDX-License-Identifier: Apache-2.0
"""What a bridge says to a session, octet by octet, and sessions that got as far as a phase."""

from __future__ import annotations

import struct

from vneter_sdn.model.flow import BridgeState, Bucket, Flow, Group, Meter, Output, match
from vneter_sdn.pipeline import reserved
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.reconcile.diff import diff
from vneter_sdn.reconcile.plan import BridgePlan, Observed
from vneter_sdn.southbound.openflow.events import Reason
from vneter_sdn.southbound.openflow.session import Phase, Session, Terms

V = 6
TERMS = Terms(echo_interval=2.0)


def msg(kind: int, xid: int = 0, body: bytes = b"", version: int = V) -> bytes:
    return struct.pack("!BBHI", version, kind, 8 + len(body), xid) + body


def hello(bits: int = 0x60, version: int = V) -> bytes:
    return msg(0, 1, struct.pack("!HHI", 1, 8, bits), version)


def features(xid: int, dpid: int = 7) -> bytes:
    return msg(6, xid, struct.pack("!QIBB2xII", dpid, 0, 254, 0, 0, 0))


def role(xid: int, which: int = 2) -> bytes:
    return msg(25, xid, struct.pack("!IIQ", which, 0, 0))


def part(xid: int, kind: int, body: bytes = b"", more: bool = False) -> bytes:
    return msg(19, xid, struct.pack("!HH4x", kind, int(more)) + body)


def error(xid: int, kind: int = 1, code: int = 0) -> bytes:
    return msg(1, xid, struct.pack("!HH", kind, code) + bytes(8))


def sent(session: Session) -> list[tuple[int, int, bytes]]:
    """(type, xid, body) of everything the session has to say now."""
    found = []
    while data := session.outgoing():
        at = 0
        while at < len(data):
            _, kind, length, xid = struct.unpack_from("!BBHI", data, at)
            found.append((kind, xid, data[at + 8 : at + length]))
            at += length
    return found


def xid_of(session: Session, kind: int) -> int:
    return next(xid for known, xid, _ in sent(session) if known == kind)


def answer_read_back(session: Session, now: float = 0.0, flows: bytes = b"") -> list:
    requests = [(xid, body) for kind, xid, body in sent(session) if kind == 18]
    events = []
    for xid, body in requests:
        which = struct.unpack_from("!H", body)[0]
        events += session.receive(part(xid, which, flows if which == 1 else b""), now)
    return events


def at(phase: Phase, terms: Terms = TERMS) -> Session:
    """A session that got as far as a phase."""
    session = Session(terms, 0.0)
    if phase is Phase.HELLO:
        return session
    session.receive(hello(), 0.0)
    if phase is Phase.FEATURES:
        return session
    session.receive(features(xid_of(session, 5)), 0.0)
    if phase is Phase.ADMISSION:
        return session
    session.admit(0.0)
    if phase is Phase.ROLE:
        return session
    session.receive(role(xid_of(session, 24)), 0.0)
    if phase is Phase.READING:
        return session
    answer_read_back(session)
    if phase is Phase.SENDING:
        assert session.send_plan(1, plan(), 0.0)
    if phase is Phase.CLOSED:
        session.close(Reason.SHUTDOWN, "", 0.0)
    return session


def flow(number: int, *actions) -> Flow:
    return Flow(0, 1, match(reg1=number), actions, None, Cookie(1, 1, 1).number)


def plan(count: int = 3) -> BridgePlan:
    group = Group(reserved.GROUPS.start, "all", (Bucket((Output(1),)),))
    meter = Meter(reserved.METERS.start, 10, 0)
    state = BridgeState.of([flow(n, Output(1)) for n in range(1, count + 1)], [group], [meter])
    return diff(state, Observed())
