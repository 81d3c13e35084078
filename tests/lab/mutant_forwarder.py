"""Middleboxes with a bug each, as entries of a process (`mutant_forwarder:drops_one`).

The real forwarder with one thing done wrong, to one data segment in the middle of a transfer; the
ledger knows nothing of it. `true` is the same without a bug.
"""

from __future__ import annotations

import pickle
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

from tcpharness.fault.engine import MARKER, Send
from tcpharness.fault.ledger import Ledger
from tcpharness.lab.forward import Forwarder

LARGE = 1000  # bytes: data, not an ACK
VICTIM = 25  # the nth such frame
LATE_NS = 5_000_000  # the marker of the link leaves right after the host's own


class Faithful(Forwarder):
    """Counts large frames; what is done to the VICTIMth is up to the mutant."""

    counted = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._ports = [MutantPort(self, number, port) for number, port in enumerate(self._ports)]  # type: ignore[misc]

    def is_victim(self, frame: bytes) -> bool:
        self.counted += len(frame) > LARGE
        return len(frame) > LARGE and self.counted == VICTIM

    def put(self, number: int, frame: bytes) -> list[tuple[int, bytes]]:
        """What really goes out, for what should."""
        return [(number, self.spoil(frame))] if self.is_victim(frame) else [(number, frame)]

    def spoil(self, frame: bytes) -> bytes:
        return frame


class MutantPort:
    """A port that sends what the mutant makes of it."""

    def __init__(self, owner: Faithful, number: int, port: Any) -> None:
        self._owner, self._number, self._port = owner, number, port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def send(self, frame: bytes) -> None:
        for number, sent in self._owner.put(self._number, frame):
            self._owner._ports[number]._port.send(sent)  # type: ignore[attr-defined]


class DropsOne(Faithful):
    def put(self, number: int, frame: bytes) -> list[tuple[int, bytes]]:
        return [] if self.is_victim(frame) else [(number, frame)]


class FlipsABit(Faithful):
    def spoil(self, frame: bytes) -> bytes:
        return frame[:-3] + bytes([frame[-3] ^ 4]) + frame[-2:]


class Truncates(Faithful):
    def spoil(self, frame: bytes) -> bytes:
        return frame[:-7]


class SendsTwice(Faithful):
    def put(self, number: int, frame: bytes) -> list[tuple[int, bytes]]:
        return [(number, frame)] * (1 + self.is_victim(frame))


class SendsBack(Faithful):
    def put(self, number: int, frame: bytes) -> list[tuple[int, bytes]]:
        return [(1 - number if self.is_victim(frame) else number, frame)]


class Injects(Faithful):
    """A segment of its own: the victim with other payload, behind it."""

    def put(self, number: int, frame: bytes) -> list[tuple[int, bytes]]:
        more = [(number, frame[:-100] + bytes(100))] if self.is_victim(frame) else []
        return [(number, frame), *more]


class SwapsTwo(Faithful):
    _kept: tuple[int, bytes] | None = None

    def put(self, number: int, frame: bytes) -> list[tuple[int, bytes]]:
        if self.is_victim(frame):
            self._kept = number, frame
            return []
        kept = self._kept
        if kept is None or kept[0] != number:
            return [(number, frame)]
        self._kept = None
        return [(number, frame), kept]


class KeepsToTheEnd(Faithful):
    """Sends it once the captures have ended."""

    _kept: tuple[int, bytes] | None = None

    def put(self, number: int, frame: bytes) -> list[tuple[int, bytes]]:
        if self.is_victim(frame):
            self._kept = number, frame
            return []
        return [(number, frame)]

    def _let_it_go(self) -> None:
        if self._kept is not None:
            number, frame = self._kept
            self._ports[number]._port.send(frame)  # type: ignore[attr-defined]

    def _finish(self) -> None:
        self._let_it_go()
        super()._finish()


class ComesLate(KeepsToTheEnd):
    """Sends it when the end markers of both hosts have come by, while the captures still run."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._ended: set[int] = set()  # ports
        decide = self._engine.frame

        def frame(now_ns: int, port: int, data: bytes, digest: int | None = None) -> Sequence[Send]:
            if data[12:14] == MARKER:
                self._ended.add(port)
            return decide(now_ns, port, data, digest)

        self._engine = Instead(self._engine, frame=frame)  # type: ignore[assignment]

    def _receive(self, number: int) -> int:
        received = super()._receive(number)
        if len(self._ended) == len(self._ports) and self._kept is not None:
            deadline_ns = time.monotonic_ns() + LATE_NS
            while time.monotonic_ns() < deadline_ns:
                pass
            self._let_it_go()
            self._kept = None
        return received


class ForwardsTheDropped(Faithful):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        decide = self._engine.frame

        def frame(now_ns: int, port: int, data: bytes, digest: int | None = None) -> Sequence[Send]:
            before = len(self._engine.ledger._notes)
            sends = decide(now_ns, port, data, digest)
            notes = self._engine.ledger._notes[before:]
            return ((1 - port, data),) if any(note.fate == "drop" for note in notes) else sends

        self._engine = Instead(self._engine, frame=frame)  # type: ignore[assignment]


class Instead:
    """An object with some of its attributes replaced."""

    def __init__(self, real: Any, **instead: Any) -> None:
        self.__dict__.update(instead, _real=real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class OtherLedger(Faithful):
    """The ledger's own bugs: frames are passed on as they should be."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._engine.ledger = self.ledger()

    def ledger(self) -> Ledger:
        raise NotImplementedError


class ForgetfulLedger(Ledger):
    large = 0

    def passed(self, time_ns: int, port: int, out: int, digest: int, frame: bytes) -> None:
        self.large += len(frame) > LARGE
        if len(frame) > LARGE and self.large == VICTIM:
            self.instead(time_ns, port, out, digest, frame)
        else:
            super().passed(time_ns, port, out, digest, frame)

    def instead(self, time_ns: int, port: int, out: int, digest: int, frame: bytes) -> None:
        """Nothing at all."""


class InventiveLedger(ForgetfulLedger):
    """And one more for a frame that never was."""

    def instead(self, time_ns: int, port: int, out: int, digest: int, frame: bytes) -> None:
        never = frame[:-4] + b"none"
        for each in (frame, never):
            super(ForgetfulLedger, self).passed(time_ns, port, out, crc32(each), each)


class WrongLedger(ForgetfulLedger):
    """It says that the frame came from the other side."""

    def instead(self, time_ns: int, port: int, out: int, digest: int, frame: bytes) -> None:
        super(ForgetfulLedger, self).passed(time_ns, out, port, digest, frame)


class Forgets(OtherLedger):
    def ledger(self) -> Ledger:
        return ForgetfulLedger()


class Invents(OtherLedger):
    def ledger(self) -> Ledger:
        return InventiveLedger()


class MixesUpPorts(OtherLedger):
    def ledger(self) -> Ledger:
        return WrongLedger()


def entry(kind: type[Forwarder]) -> Callable[[bytes, list[int]], int]:
    def main(payload: bytes, fds: list[int]) -> int:
        kind(pickle.loads(payload), socket.socket(fileno=fds[0]), fds[1]).run()
        return 0

    return main


true = entry(Faithful)
drops_one, forwards_the_dropped = entry(DropsOne), entry(ForwardsTheDropped)
flips_a_bit, truncates = entry(FlipsABit), entry(Truncates)
sends_twice, sends_back, injects = entry(SendsTwice), entry(SendsBack), entry(Injects)
swaps_two, comes_late, keeps_to_the_end = entry(SwapsTwo), entry(ComesLate), entry(KeepsToTheEnd)
forgets, invents, mixes_up_ports = entry(Forgets), entry(Invents), entry(MixesUpPorts)
