# SPDX-License-Identifier: Apache-2.0
"""Reading back what a bridge holds: four multipart requests, gathered into one value."""

from __future__ import annotations

from vneter_sdn.model.flow import Flow, FlowKey, Group, Meter
from vneter_sdn.pipeline import reserved
from vneter_sdn.pipeline.cookies import is_ours
from vneter_sdn.reconcile.plan import UNREADABLE, Observed
from vneter_sdn.southbound.openflow import encode, oxm
from vneter_sdn.southbound.openflow.decode import Item, MultipartReply
from vneter_sdn.southbound.openflow.events import Seen
from vneter_sdn.southbound.openflow.multipart import ForeignFlow, ForeignGroup, ForeignMeter, Port

REQUESTS = 4
"""Transaction ids a read-back uses."""
_REQUIRED = frozenset({0, 3})


class ReadBack:
    """One read-back. Flows of all tables and cookies are asked for, to know foreign keys."""

    def __init__(self, version: int, first_xid: int) -> None:
        self._first = first_xid
        self._version = version
        self._missing = set(range(REQUESTS))
        self._flows: dict[FlowKey, Flow] = {}
        self._foreign: set[FlowKey] = set()
        self._groups: dict[int, Group] = {}
        self._meters: dict[int, Meter] = {}
        self._ports: list[Port] = []
        self._unreadable = 0

    def requests(self) -> bytes:
        """What to send."""
        builders = (
            encode.ports_request,
            encode.groups_request,
            encode.meters_request,
            encode.flows_request,
        )
        return b"".join(
            builder(self._version, self._first + number) for number, builder in enumerate(builders)
        )

    def owns(self, xid: int) -> bool:
        """Whether a reply or error with this transaction id belongs here."""
        return 0 <= xid - self._first < REQUESTS

    def refused(self, xid: int) -> bool:
        """An error came instead; bridges without groups or meters have none.

        Returns:
            Whether the read-back can go on without.
        """
        self._missing.discard(xid - self._first)
        return xid - self._first not in _REQUIRED

    def take(self, reply: MultipartReply) -> None:
        """Take one part of a reply."""
        for item in reply.items:
            self._keep(item)
        if not reply.more:
            self._missing.discard(reply.xid - self._first)

    @property
    def complete(self) -> bool:
        """Whether every reply is there."""
        return not self._missing

    def seen(self) -> Seen:
        """What the bridge holds."""
        observed = Observed(self._flows, frozenset(self._foreign), self._groups, self._meters)
        return Seen(observed, tuple(self._ports), self._unreadable)

    def _keep(self, item: Item) -> None:
        match item:
            case Flow():
                if is_ours(item.cookie):
                    self._flows[item.key] = item
                else:
                    self._foreign.add(item.key)
            case ForeignFlow():
                self._keep_foreign(item)
            case Group(group=number) | ForeignGroup(group=number):
                if number in reserved.GROUPS:
                    known = isinstance(item, Group)
                    self._groups[number] = item if known else Group(number, "unreadable", ())
            case Meter(meter=number) | ForeignMeter(meter=number):
                if number in reserved.METERS:
                    known = isinstance(item, Meter)
                    self._meters[number] = item if known else Meter(number, 0, 0, "unreadable")
            case Port():
                self._ports.append(item)

    def _keep_foreign(self, flow: ForeignFlow) -> None:
        """A flow of ours may carry what only another release writes; it is then replaced.

        One whose match is beyond us has a key that no flow of ours can have.
        """
        try:
            key = FlowKey(flow.table, flow.priority, oxm.decode_fields(flow.match))
        except oxm.Unknown:
            self._unreadable += is_ours(flow.cookie)
            return
        if is_ours(flow.cookie):
            self._flows[key] = Flow(*key, goto=UNREADABLE, cookie=flow.cookie)
        else:
            self._foreign.add(key)
