# SPDX-License-Identifier: Apache-2.0
"""Tells senders why the distributed router cannot forward their packets.

The flow that punts says in its user data what is wrong, and in whose name to say so
(`pipeline.complaints`). Who sent the packet is behind the port that it came by, and is answered
there; unless it failed where it was to be delivered: then it may have come from another bridge, and
the answer goes into the pipeline as what that network's gateway sent, to find its way like any
other. Bridges limit what each of them sends; who starts this app, how much is looked at of all of
them. Frames are tenants' bytes: they are read by `southbound.openflow.complaint` alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

from os_ken.base.app_manager import OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_4, ofproto_v1_5

from vneter_sdn.errors import DecodeError
from vneter_sdn.model.flow import Action, Output, Resubmit
from vneter_sdn.pipeline import complaints, punts
from vneter_sdn.pipeline.complaints import Complaint, Fault
from vneter_sdn.pipeline.registers import NETWORK, ORIGIN, SOURCE, TENANT, Source
from vneter_sdn.pipeline.tables import table
from vneter_sdn.southbound.openflow.complaint import answer


class IcmpErrors(OSKenApp):
    """One packet in, one packet out, or none."""

    OFP_VERSIONS = (ofproto_v1_4.OFP_VERSION, ofproto_v1_5.OFP_VERSION)
    PUNTS = (bytes([complaints.REASON]),)

    def __init__(
        self,
        *args: Any,
        counts: Counter[tuple[str, str]] | None = None,
        may: Callable[[Hashable], bool] = lambda who: True,
        **kwargs: Any,
    ) -> None:
        """``counts``: packets by what was wrong and what became of that, in a word each.

        ``may``: whether one more is looked at, of the bridge and port that it came by.
        """
        super().__init__(*args, **kwargs)
        self.counts: Counter[tuple[str, str]] = Counter() if counts is None else counts
        self._may = may
        self.seen = 0
        """Packets that came, whatever for."""

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event: Any) -> None:
        """Answer, when the packet says why it was punted and may be answered (RFC 1122 §3.2.2)."""
        msg = event.msg
        self.seen += 1
        try:
            reason = punts.decode(bytes(msg.userdata))
        except DecodeError:
            return
        if not isinstance(reason, Complaint):
            return
        port = msg.match.get("in_port") or 0
        became = "too many"
        if self._may((msg.datapath.id, port)):
            told, onward = answer(bytes(msg.data), reason), _onward(reason, port)
            became = "ignored" if told is None or not onward else "answered"
            if became == "answered":
                msg.datapath.packet_out(told, onward)
        self.counts[reason.fault.name.lower(), became] += 1


def _onward(reason: Complaint, port: int) -> tuple[Action, ...]:
    """Where an answer goes; nothing when nobody knows."""
    if reason.fault is not Fault.NOBODY:
        return (Output(port),) if port else ()
    return (
        SOURCE.load(Source.ENDPOINT),
        NETWORK.load(reason.vni),
        ORIGIN.load(reason.vni),
        TENANT.load(reason.tenant),
        Resubmit(table("route").id),
    )
