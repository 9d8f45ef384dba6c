# SPDX-License-Identifier: Apache-2.0
"""The same packet by ``ofproto/trace`` on real bridges, hop by hop, held against the model.

The real tracker is not asked (a trace passes no packet): every time a packet is tracked the bridge
is told that its connection is new, and so is the model. What the bridge alone can know is taken
from its answer: which of its ports are down, and which bucket a select group took.
"""

from __future__ import annotations

import json
import re
import socket
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vneter_sdn.daemon.picture import Picture
from vneter_sdn.daemon.tracing import Hop, Trace, onwards, pass_through
from vneter_sdn.errors import SouthboundError
from vneter_sdn.model.fields import TRACKED
from vneter_sdn.model.flow import Group
from vneter_sdn.model.snapshot import Key
from vneter_sdn.pipeline import eras
from vneter_sdn.pipeline.cookies import Cookie
from vneter_sdn.pipeline.tables import BY_ID
from vneter_sdn.simulate.bridge import Surroundings
from vneter_sdn.simulate.connections import Connections, Verdict, Written
from vneter_sdn.simulate.fleet import MAX_HOPS
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.simulate.text import packet_text
from vneter_sdn.simulate.trace import Passed, passed

_TRACKINGS = 6
"""How often a packet may come back from the tracker."""
_SECONDS = 10.0
_UNSEEN = "its trace ends where a select group hashes the packet; what follows is the model's"
_MORE = 1 << 16
_BRIDGE = re.compile(r"^  (\S+):$")
_PORT = re.compile(r"^    (\S+) (\d+)/\S+:")


@dataclass(frozen=True, slots=True)
class LiveHop:
    """What a real bridge said, beside what the model says."""

    host: str
    asked: bool
    why: str = ""
    """Why it was not asked."""
    tables: tuple[str, ...] = ()
    """``ingress_tiers:53076``: table and priority of every flow met."""
    ports: tuple[int, ...] = ()
    """OpenFlow ports that it sends to."""
    assumed: tuple[str, ...] = ()
    """What the model took from the bridge."""
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveTrace:
    """The real bridges' side."""

    hops: tuple[LiveHop, ...]
    allowed: bool | None
    """Whether it gets there; None when some bridge on the way could not be asked."""
    differences: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether nothing is different, as far as bridges could be asked."""
        return not self.differences

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"agrees": self.agrees, **asdict(self)}


class _Unremembering(Connections):
    """A tracker as a trace has it: every packet begins a connection."""

    __slots__ = ()

    def track(self, packet: Mapping[str, int], zone: int, commit: Written | None = None) -> Verdict:
        """New, and without mark or label."""
        state = TRACKED["trk"] | TRACKED["new"]
        fields = {"ct_state": state, "ct_zone": zone, "ct_mark": 0, "ct_label": 0}
        return Verdict(fields, self)


def see_ports(picture: Picture) -> None:
    """Take in the OpenFlow ports of wires from bridges that can be asked: nobody stores them."""
    for host in picture.compiler.hosts():
        if any(edge.medium == "wire" for edge in picture.compiler.links(host)):
            with suppress(SouthboundError):
                shown = ask(_control(picture, host), "dpif/show")
                bridge = picture.compiler.rows(host).bridge
                picture.compiler.observe_ports(host, _ports(shown, bridge))


def _ports(shown: str, bridge: str) -> dict[str, int]:
    """OpenFlow port by interface of one bridge: ``    h1-eth2 2/5: (system)``."""
    found: dict[str, int] = {}
    current = ""
    for line in shown.splitlines():
        if header := _BRIDGE.match(line):
            current = header[1]
        elif current == bridge and (port := _PORT.match(line)):
            found[port[1]] = int(port[2])
    return found


def live_trace(picture: Picture, model: Trace) -> LiveTrace:
    """Trace the packet of a model's trace on the bridges that can be reached from here.

    Raises:
        ValueError: no packet enters a bridge; one end is outside, or there is no attempt.
    """
    if not model.packet:
        raise ValueError("there is no packet that enters a bridge")
    first = model.hops[0]
    waiting: deque[tuple[str, Packet]] = deque([(first.host, first.packet)])
    hops: list[LiveHop] = []
    arrived, whole = False, True
    for _ in range(MAX_HOPS):
        if not waiting:
            break
        host, packet = waiting.popleft()
        found, hop = _ask(picture, host, packet)
        hops.append(found)
        whole = whole and found.asked and _UNSEEN not in found.assumed
        there = model.destination
        arrived = arrived or (
            there is not None and host == there.host and there.port in found.ports
        )
        waiting += onwards(picture, _as_found(hop, found))
    differences = [f"{hop.host}: {one}" for hop in hops for one in hop.differences]
    allowed = arrived if whole else None
    if allowed is not None and allowed != model.allowed:
        words = {True: "gets there", False: "does not get there"}
        text = f"by the model it {words[model.allowed]}, by the bridges it {words[allowed]}"
        differences.append(text)
    return LiveTrace(tuple(hops), allowed, tuple(differences))


def _as_found(hop: Hop, found: LiveHop) -> Hop:
    """The model's hop, without what the real bridge was seen not to send."""
    if not found.asked or _UNSEEN in found.assumed:
        return hop
    sent = (s for s in hop.result.outputs if _plain(s.port, hop.packet) in found.ports)
    return replace(hop, result=hop.result._replace(outputs=tuple(sent)))


def _ask(picture: Picture, host: str, packet: Packet) -> tuple[LiveHop, Hop]:
    """One bridge's answer, and the model's hop under the same circumstances."""
    try:
        text = _ofproto_trace(picture, host, packet)
    except SouthboundError as error:
        return LiveHop(host, False, str(error)), pass_through(picture, host, packet, _around())
    hop = pass_through(picture, host, packet, _around())
    seen = passed(text, hop.bridge)
    hop = pass_through(picture, host, packet, _around(seen))
    assumed = [f"port {port} is down" for port in sorted(seen.dead)]
    if seen.hashed:
        assumed.append(_UNSEEN)
    assumed += [f"a select group takes bucket {n}" for n in seen.buckets if len(seen.buckets) == 1]
    return (
        LiveHop(
            host,
            True,
            "",
            tuple(f"{_name(number)}:{_rank(priority)}" for number, priority, _ in seen.lookups),
            seen.ports,
            tuple(assumed),
            tuple(_differences(hop, seen)),
        ),
        hop,
    )


def _around(seen: Passed | None = None) -> Surroundings:
    """What the model is to take as given."""
    connections = _Unremembering()
    if seen is None:
        return Surroundings(connections=connections)
    taken = deque(seen.buckets)

    def choose(_group: Group, candidates: Sequence[int], _packet: Packet) -> int:
        with suppress(IndexError):
            while (bucket := taken.popleft()) not in candidates:
                pass
            return bucket
        return candidates[0]

    return Surroundings(lambda port: port not in seen.dead, choose, connections=connections)


def _differences(hop: Hop, seen: Passed) -> list[str]:
    model: Counter[tuple[int, int | None, int]] = Counter(
        (number, flow.priority, flow.cookie) for number, flow in hop.result.trail
    )
    real = Counter(seen.lookups)
    for number, priority, cookie in seen.lookups:
        if _is_of_era(cookie):  # in no desired state, and all that it does is go on
            real[number, priority, cookie] -= 1
            model -= Counter(one for one in model if one[0] == number)
    found = [f"the model meets {_flow(*one)}, the bridge does not" for one in model - real]
    if seen.hashed:  # what comes behind is not in the trace
        found = []
    found += [f"the bridge meets {_flow(*one)}, the model does not" for one in real - model]
    ports = sorted(_plain(sent.port, hop.packet) for sent in hop.result.outputs)
    if ports != sorted(seen.ports) and not seen.hashed:
        found.append(f"the model sends to {_listed(ports)}, the bridge to {_listed(seen.ports)}")
    return found


def _is_of_era(cookie: int) -> bool:
    found = Cookie.of(cookie)
    return found is not None and found.feature == eras.FEATURE


def _plain(port: int, packet: Packet) -> int:
    return packet.get("in_port", 0) if port > 0xFF00 else port


def _listed(ports: Sequence[int]) -> str:
    return "ports " + ", ".join(map(str, sorted(ports))) if ports else "no port"


def _flow(number: int, priority: int | None, cookie: int) -> str:
    if priority is None:
        return f"no flow in {_name(number)}"
    return f"a flow of priority {priority} and cookie {cookie:#x} in {_name(number)}"


def _rank(priority: int | None) -> str:
    return "miss" if priority is None else str(priority)


def _name(number: int) -> str:
    return BY_ID[number].name if number in BY_ID else str(number)


def _ofproto_trace(picture: Picture, host: str, packet: Packet) -> str:
    words = [word for _ in range(_TRACKINGS) for word in ("--ct-next", "trk,new")]
    bridge = picture.compiler.rows(host).bridge
    return ask(_control(picture, host), "ofproto/trace", *words, bridge, packet_text(packet))


def _control(picture: Picture, host: str) -> Path:
    spec = picture.snapshot.objects[Key("Host", "", host)].spec
    return control_socket(spec.ovsdb or "")


def control_socket(ovsdb: str) -> Path:
    """The control socket of the ovs-vswitchd beside a database, on this machine.

    Raises:
        SouthboundError: it is not to be reached from here.
    """
    scheme, _, path = ovsdb.partition(":")
    if scheme != "unix" or not path:
        where = f"its database is {ovsdb}" if ovsdb else "it is known by OpenFlow alone"
        raise SouthboundError(f"no control socket is reached from here: {where}")
    directory = Path(path).parent
    with suppress(OSError, ValueError):
        pid = int((directory / "ovs-vswitchd.pid").read_text())
        found = directory / f"ovs-vswitchd.{pid}.ctl"
        if found.exists():
            return found
    sockets = sorted(directory.glob("ovs-vswitchd.*.ctl"))
    if not sockets:
        raise SouthboundError(f"no ovs-vswitchd has a control socket in {directory}")
    return sockets[-1]


def ask(control: Path, method: str, *parameters: str) -> str:
    """What a daemon of Open vSwitch answers, as ovs-appctl(8) asks: JSON-RPC 1.0, one request.

    Raises:
        SouthboundError: it cannot be reached, or refuses.
    """
    request = json.dumps({"id": 0, "method": method, "params": list(parameters)})
    received = b""
    with closing(socket.socket(socket.AF_UNIX)) as wire:
        wire.settimeout(_SECONDS)
        try:
            wire.connect(str(control))
            wire.sendall(request.encode())
            while chunk := wire.recv(_MORE):
                received += chunk
                with suppress(ValueError):
                    answer = json.loads(received)
                    break
            else:
                raise SouthboundError(f"{control} closed the connection")
        except OSError as error:
            raise SouthboundError(f"{control}: {error.strerror or error}") from None
    if answer.get("error"):
        raise SouthboundError(f"{method}: {' '.join(str(answer['error']).split())}")
    return str(answer.get("result") or "")
