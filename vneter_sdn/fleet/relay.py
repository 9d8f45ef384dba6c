# SPDX-License-Identifier: Apache-2.0
"""A wire with delay, jitter, loss and a rate: moves Ethernet frames between two interfaces.

For kernels without netem. Standard library only, and no import of this package, so that any
Python 3.11 can run this file by its path: ``python3 relay.py IF_A IF_B --delay 10 --loss 0.01``.
It needs CAP_NET_RAW in the namespace of the two interfaces, which should carry no addresses.

Frames pass with the kernel's own notes on them (virtio_net_hdr: checksums and segments that are
still to be made), so no offload has to be turned off anywhere. See packet(7) and OASIS virtio 1.2
§5.1.6. `Direction` decides when a frame leaves and knows neither clocks nor sockets.
"""

from __future__ import annotations

import argparse
import ctypes
import heapq
import json
import math
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

LIMIT = 1000
"""Frames that may wait for the line; as many as Linux's txqueuelen."""
HELD = 65536
"""Frames of one direction that may be in the relay at all."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What one direction of a wire does to frames; all zero is a plain wire."""

    delay: float = 0.0
    """Seconds from the last bit in to the last bit out, without the line's own time."""
    jitter: float = 0.0
    """Each frame's delay is drawn evenly from delay - jitter to delay + jitter, never below 0."""
    loss: float = 0.0
    """Share of frames lost on the way, 0 to 1, independently of one another."""
    rate: float = 0.0
    """Bits per second of Ethernet frames without preamble and checksum; 0 is no limit."""
    limit: int = LIMIT
    """Frames that may wait for the line; those that come when so many do are dropped."""
    reorder: bool = False
    """Whether jitter may let frames overtake each other."""


@dataclass(slots=True)
class Count:
    """What became of the frames of one direction."""

    received: int = 0
    missed: int = 0
    """That came faster than the relay could look at them; not in ``received``."""
    sent: int = 0
    sent_bytes: int = 0
    lost: int = 0
    """By chance, as asked for."""
    dropped: int = 0
    """By the full queue."""
    refused: int = 0
    """By the interface they were to leave by: it was down, or had no room."""


class Direction:
    """The schedule of one direction; the clock is the caller's.

    A frame waits for the line, takes ``size * 8 / rate`` seconds on it, may be lost then, and
    arrives ``delay`` later: loss costs the line's time, as on a real wire. O(1) per frame.
    """

    __slots__ = ("_free", "_latest", "_random", "_starts", "count", "held", "shape")

    def __init__(self, shape: Shape, seed: int | None = None) -> None:
        self.shape = shape
        self.count = Count()
        self.held = 0
        """Frames scheduled and not yet `left`."""
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._free = self._latest = -math.inf
        self._starts: deque[float] = deque()

    def offer(self, now: float, size: int) -> float | None:
        """When a frame that comes now is to leave; None when it does not.

        Args:
            now: Seconds; must not go back.
            size: Bytes of the frame.
        """
        shape = self.shape
        self.count.received += 1
        done = now
        if shape.rate:
            while self._starts and self._starts[0] <= now:
                self._starts.popleft()
            start = max(now, self._free)
            if start > now and len(self._starts) >= shape.limit:
                self.count.dropped += 1
                return None
            done = self._free = start + size * 8 / shape.rate
            if start > now:
                self._starts.append(start)
        if self.held >= HELD:
            self.count.dropped += 1
            return None
        if shape.loss and self._random.random() < shape.loss:
            self.count.lost += 1
            return None
        self.held += 1
        return self._arrival(done)

    def _arrival(self, done: float) -> float:
        shape = self.shape
        wander = self._random.uniform(-shape.jitter, shape.jitter) if shape.jitter else 0.0
        due = done + max(0.0, shape.delay + wander)
        if not shape.reorder:
            due = self._latest = max(due, self._latest)
        return due

    def left(self, size: int, *, taken: bool) -> None:
        """Say that a scheduled frame has left, or that the interface refused it."""
        self.held -= 1
        if taken:
            self.count.sent += 1
            self.count.sent_bytes += size
        else:
            self.count.refused += 1


_ETH_P_ALL = 3
_SOL_PACKET = 263
_ADD_MEMBERSHIP, _STATISTICS, _AUXDATA, _VNET_HDR, _IGNORE_OUTGOING = 1, 6, 8, 15, 23
_PROMISCUOUS = 1
_VLAN_VALID, _VLAN_TPID_VALID = 1 << 4, 1 << 6
_AUX = struct.Struct("=IIIHHHH")
_NOTES = struct.Struct("=BBHHHH")
"""virtio_net_hdr: flags, gso type, header length, gso size, checksum start and offset."""
_LONGEST = 1 << 17
_BUFFER = 8 << 20
_BATCH = 64
_NAP = 0.2
"""Seconds after which a quiet relay looks whether it is to end."""
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32


class Gone(Exception):
    """An interface is not there, or not any more."""


class Port:
    """One end: a packet socket on an interface."""

    def __init__(self, name: str) -> None:
        """Open it.

        Raises:
            Gone: there is no such interface.
            PermissionError: we may not.
        """
        self.name = name
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._index = socket.if_nametoindex(name)
        except OSError as error:
            raise Gone(f"there is no interface {name}") from error
        self._room = memoryview(bytearray(_LONGEST))
        option = self._socket.setsockopt
        for which in (_AUXDATA, _VNET_HDR, _IGNORE_OUTGOING):
            option(_SOL_PACKET, which, 1)
        for which in (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE):
            option(socket.SOL_SOCKET, which, _BUFFER)
        wish = struct.pack("=iHH8s", self._index, _PROMISCUOUS, 0, b"")
        option(_SOL_PACKET, _ADD_MEMBERSHIP, wish)
        # Bound last, so that no frame came by before the options were set.
        self._socket.bind((name, _ETH_P_ALL))

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """The next frame behind the kernel's notes; None when there is none now.

        Raises:
            Gone: the interface is.
        """
        try:
            size, notes, _, _ = self._socket.recvmsg_into((self._room,), 64)
        except BlockingIOError:
            return None
        except OSError:
            self._check()
            return None
        data = bytes(self._room[:size])
        for level, kind, value in notes:
            if level == _SOL_PACKET and kind == _AUXDATA:
                return _tagged(data, value)
        return data

    def send(self, data: bytes) -> bool:
        """Send a frame behind its notes; False when the interface does not take it.

        Raises:
            Gone: the interface is.
        """
        try:
            self._socket.send(data)
        except OSError:
            self._check()
            return False
        return True

    def missed(self) -> int:
        """Frames that found no room in the socket since it was last asked."""
        told = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8)
        drops: int = struct.unpack("=II", told)[1]
        return drops

    def _check(self) -> None:
        """An interface that is down may come up again; one that is gone, or another, does not."""
        try:
            if socket.if_nametoindex(self.name) == self._index:
                return
        except OSError:
            pass
        raise Gone(f"interface {self.name} is gone")


def _tagged(data: bytes, aux: bytes) -> bytes:
    """Put the VLAN tag back that the kernel took out of the frame (packet(7), PACKET_AUXDATA)."""
    status, _, _, _, _, tag, protocol = _AUX.unpack_from(aux)
    if not status & _VLAN_VALID:
        return data
    flags, kind, head, size, start, offset = _NOTES.unpack_from(data)
    if flags & 1:
        start += 4
    notes = _NOTES.pack(flags, kind, head and head + 4, size, start, offset)
    tpid = protocol if status & _VLAN_TPID_VALID else 0x8100
    at = _NOTES.size + 12
    return notes + data[_NOTES.size : at] + struct.pack("!HH", tpid, tag) + data[at:]


class Relay:
    """Two ports and the two directions between them, in one thread."""

    def __init__(self, ports: tuple[Port, Port], directions: tuple[Direction, Direction]) -> None:
        self._ways = tuple(zip(ports, directions, reversed(ports), strict=True))
        self._due: list[tuple[float, int, int, bytes]] = []
        self._serial = 0
        self.ended = self.asked = False
        """Set one to have `run`, after its present round, end or tell."""

    def run(self) -> None:
        """Move frames until `ended`.

        Raises:
            Gone: an interface is.
        """
        ways = {way[0].fileno(): number for number, way in enumerate(self._ways)}
        sources = list(ways)
        while not self.ended:
            wait = self._due[0][0] - time.monotonic() if self._due else _NAP
            # Not epoll: its timeouts are whole milliseconds.
            ready, _, _ = select.select(sources, (), (), min(max(wait, 0.0), _NAP))
            for source in ready:
                self._take(ways[source])
            self._flush(time.monotonic())
            if self.asked:
                self.asked = False
                _tell(self)

    def _take(self, number: int) -> None:
        source, direction, target = self._ways[number]
        for _ in range(_BATCH):
            data = source.receive()
            if data is None:
                return
            now, size = time.monotonic(), len(data) - _NOTES.size
            due = direction.offer(now, size)
            if due is None:
                continue
            if due <= now and direction.held == 1:
                direction.left(size, taken=target.send(data))
                continue
            self._serial += 1
            heapq.heappush(self._due, (due, self._serial, number, data))

    def _flush(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, _, number, data = heapq.heappop(self._due)
            _, direction, target = self._ways[number]
            direction.left(len(data) - _NOTES.size, taken=target.send(data))

    def report(self) -> dict[str, dict[str, int]]:
        """Counters by direction: ``{"eth0->eth1": {"received": …, "held": …}}``."""
        for source, direction, _ in self._ways:
            direction.count.missed += source.missed()
        return {
            f"{source.name}->{target.name}": asdict(direction.count) | {"held": direction.held}
            for source, direction, target in self._ways
        }


_MEASURES = (
    ("delay", float, "MS", "milliseconds one way"),
    ("jitter", float, "MS", "milliseconds more or less, evenly drawn"),
    ("loss", float, "SHARE", "share of frames that are lost, 0 to 1"),
    ("rate", float, "MBPS", "Mbit/s; the line's time is added to the delay"),
    ("limit", int, "FRAMES", f"that may wait for the line ({LIMIT})"),
)


def parser() -> argparse.ArgumentParser:
    """What the command line may say."""
    made = argparse.ArgumentParser(
        prog="relay", description="Move Ethernet frames between two interfaces as a wire would."
    )
    made.add_argument("first", metavar="IF_A")
    made.add_argument("second", metavar="IF_B")
    for name, kind, metavar, meaning in _MEASURES:
        made.add_argument(f"--{name}", type=kind, metavar=metavar, help=meaning)
        back = f"the same from IF_B to IF_A; as --{name} when absent"
        made.add_argument(f"--reverse-{name}", type=kind, metavar=metavar, help=back)
    made.add_argument("--reorder", action="store_true", help="let jitter change the order")
    made.add_argument("--seed", type=int, help="of loss and jitter; the way back has the next one")
    made.add_argument("--pidfile", type=Path, help="written once frames are moved")
    made.add_argument("--follow-parent", action="store_true", help="end when the parent does")
    return made


def shapes(options: argparse.Namespace) -> tuple[Shape, Shape]:
    """What the command line says of both directions.

    Raises:
        ValueError: a number makes no sense; names the option.
    """
    forth = {name: getattr(options, name) for name, *_ in _MEASURES}
    back = {name: getattr(options, f"reverse_{name}") for name in forth}
    back = {name: forth[name] if back[name] is None else back[name] for name in forth}
    for prefix, said in (("", forth), ("reverse-", back)):
        for name, value in said.items():
            most = 1 if name == "loss" else math.inf
            if value is not None and not (0 <= value <= most and value < math.inf):
                raise ValueError(f"--{prefix}{name}: {value} is out of range")
    return _shape(forth, options.reorder), _shape(back, options.reorder)


def _shape(said: dict[str, float | None], reorder: bool) -> Shape:
    limit = said["limit"]
    return Shape(
        delay=(said["delay"] or 0) / 1000,
        jitter=(said["jitter"] or 0) / 1000,
        loss=said["loss"] or 0.0,
        rate=(said["rate"] or 0) * 1e6,
        limit=LIMIT if limit is None else int(limit),
        reorder=reorder,
    )


_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK = 1, 29


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the relay: exit code 0 when asked to end, 1 when an interface is not there any more.

    Counters are written as one line of JSON to standard output on SIGUSR1 and at the end.
    """
    options = parser().parse_args(arguments)
    parent = os.getppid()
    try:
        there, back = shapes(options)
        ports = Port(options.first), Port(options.second)
    except (ValueError, Gone, OSError) as error:
        sys.stderr.write(f"relay: {error}\n")
        return 2
    seed = options.seed
    ways = Direction(there, seed), Direction(back, None if seed is None else seed + 1)
    relay = Relay(ports, ways)
    _settle(relay, follow=options.follow_parent, parent=parent)
    if options.pidfile:
        options.pidfile.write_text(f"{os.getpid()}\n", encoding="ascii")
    try:
        relay.run()
    except Gone as error:
        sys.stderr.write(f"relay: {error}\n")
        return 1
    finally:
        _tell(relay)
        if options.pidfile:
            options.pidfile.unlink(missing_ok=True)
    return 0


def _settle(relay: Relay, *, follow: bool, parent: int) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        relay.ended = True

    def ask(_number: int, _frame: FrameType | None) -> None:
        relay.asked = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    signal.signal(signal.SIGUSR1, ask)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_TIMERSLACK, 1000, 0, 0, 0)
    if follow:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        relay.ended = os.getppid() != parent


def _tell(relay: Relay) -> None:
    try:
        sys.stdout.write(json.dumps(relay.report()) + "\n")
        sys.stdout.flush()
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main())
