"""A script against what comes, in virtual time: segments and times in, frames out.

The caller gives every segment that comes to `take`, calls `advance` after that and whenever
`next_deadline` has come, and sends what it returns. When `waiting` is set, it calls `release` as
soon as that condition holds.

Steps are taken one after the other. What comes while none is waiting for it waits for the next
`expect`. Of `{expect: ..., times: "1..3"}` the first is waited for, and up to two more are taken
whenever they come. Anything else that comes before the last step is another segment than expected,
and that ends the script, by a reset, so that nobody waits for the rest. What comes after the last
step is nobody's business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tcpharness.packet.checksum import verdict
from tcpharness.packet.line import Line, parse
from tcpharness.packet.notation import Isn, format_segment
from tcpharness.packet.segment import SYN, Segment, decode
from tcpharness.peer.mismatch import Mismatch
from tcpharness.peer.numbers import Numbers
from tcpharness.scenario.model import Count, ScriptStep, Until

SHOWN = 10  # packets, of a script that failed
MILLISECOND_NS = 1_000_000
RESET = parse("R.", sent=True)


class Came(NamedTuple):
    """A segment that nobody has taken yet."""

    time_ns: int
    segment: Segment
    damaged: bool


@dataclass(slots=True)
class Tolerated:
    """Segments that may come, or come again, at any time."""

    line: Line
    left: int | None  # None: any number


@dataclass(slots=True)
class Conversation:
    """One script with one other side. Times are those of any clock that does not go back."""

    steps: Sequence[ScriptStep]
    numbers: Numbers
    names: Mapping[str, str] = field(default_factory=dict)  # of addresses, for what is printed
    taken: list[str] = field(default_factory=list)  # the branches that were, by name
    mismatch: Mismatch | None = None
    waiting: Until | None = None
    sent_bytes: int = 0  # payload
    received_bytes: int = 0
    established_ns: int | None = None
    began_ns: int | None = None
    ended_ns: int | None = None
    _todo: list[ScriptStep] = field(default_factory=list)  # the next one is the last
    _inbox: deque[Came] = field(default_factory=deque)
    _tolerated: list[Tolerated] = field(default_factory=list)
    _since_ns: int = 0  # when the step before was done
    _done: int = 0  # of the step's times
    _farewell: bytes = b""  # of a script that failed
    _shown: deque[tuple[int, Segment, Isn]] = field(default_factory=lambda: deque(maxlen=SHOWN))

    @property
    def is_over(self) -> bool:
        return self.ended_ns is not None

    # --- what the caller tells and asks

    def begin(self, now_ns: int) -> list[bytes]:
        """Starts the script; the frames to send at once."""
        self._todo = list(reversed(self.steps))
        self.began_ns = self._since_ns = now_ns
        return self.advance(now_ns)

    def take(self, segment: Segment, now_ns: int) -> None:
        """A segment of this conversation has come."""
        damaged = verdict(segment).word == "incorrect"
        self._show(now_ns, segment, self.numbers.incoming(segment))
        self._inbox.append(Came(now_ns, segment, damaged))

    def release(self, now_ns: int) -> list[bytes]:
        """What `waiting` names has come true."""
        self.waiting = None
        self._next(now_ns)
        return self.advance(now_ns)

    def give_up(self, text: str, now_ns: int) -> list[bytes]:
        """What `waiting` names never will come true."""
        self._fail(self._todo[-1], described(self._todo[-1]), text, now_ns)
        return self.advance(now_ns)

    def advance(self, now_ns: int) -> list[bytes]:
        """Everything that can be done by now; the frames to send, in order."""
        frames: list[bytes] = []
        while self._todo and not self.is_over and PERFORM[self._todo[-1].do](self, now_ns, frames):
            pass
        if not self._todo and self.ended_ns is None:
            self.ended_ns = now_ns
        if self._farewell:
            frames.append(self._farewell)
            self._farewell = b""
        return frames

    def next_deadline(self) -> int | None:
        """When `advance` has something to do though nothing comes; None: never."""
        if self.is_over or not self._todo or self.waiting:
            return None
        step = self._todo[-1]
        return self._since_ns + (step.after_ns if step.do in ("send", "pause") else step.within_ns)

    def doing(self) -> str:
        """The step that is being waited for: `expect: S. 0:0(0) ack 1 at x.yaml:12:9`."""
        if self.is_over or not self._todo:
            return ""
        step = self._todo[-1]
        return f"{step.do.replace('_', ' ')}: {described(step)} at {step.at}"

    # --- the steps: each returns False when it has to wait

    def _send(self, now_ns: int, frames: list[bytes]) -> bool:
        step = self._todo[-1]
        assert step.line is not None
        if now_ns < self._since_ns + step.after_ns:
            return False
        try:
            frame = self.numbers.write(step.line)
        except ValueError as error:
            self._fail(step, f"to send {step.line.text}", f"it cannot be sent: {error}", now_ns)
            return True
        frames.append(frame)
        sent = decode(frame)
        self.sent_bytes += sent.payload_len
        self._show(now_ns, sent, self.numbers.outgoing)
        self._note_established(sent, now_ns)
        self._done += 1
        self._since_ns = now_ns
        if self._done >= step.times.low:
            self._next(now_ns)
        return True

    def _expect(self, now_ns: int, frames: list[bytes]) -> bool:
        step = self._todo[-1]
        assert step.line is not None
        if self._done >= step.times.low:
            if step.times.high != step.times.low:
                self._tolerated.append(Tolerated(step.line, rest_of(step.times)))
            self._next(now_ns)
            return True
        if not self._inbox:
            return self._expire(step, now_ns)
        came = self._inbox.popleft()
        if not self._differs(step.line, came):
            self._accept(came)
            self._done += 1
        elif not self._tolerates(came):
            self._unexpected(step, came, step.line.text)
        return True

    def _silence(self, now_ns: int, frames: list[bytes]) -> bool:
        step = self._todo[-1]
        until_ns = self._since_ns + step.within_ns
        if self._inbox and self._inbox[0].time_ns < until_ns:
            came = self._inbox.popleft()
            if not self._tolerates(came):
                self._unexpected(step, came, described(step))
            return True
        if now_ns < until_ns:
            return False
        self._next(now_ns)
        return True

    def _any_of(self, now_ns: int, frames: list[bytes]) -> bool:
        step = self._todo[-1]
        quiet = next((branch for branch in step.branches if branch[1][0].do == "silence"), None)
        until_ns = self._since_ns + step.within_ns
        if not self._inbox or (quiet is not None and self._inbox[0].time_ns >= until_ns):
            if quiet is None or now_ns < until_ns:
                return self._expire(step, now_ns)
            self._choose(quiet[0], quiet[1][1:], now_ns)
            return True
        came = self._inbox[0]
        for name, steps in step.branches:
            line = steps[0].line
            if line is not None and not self._differs(line, came):
                self._choose(name, steps, now_ns)
                return True
        self._inbox.popleft()
        if not self._tolerates(came):
            self._unexpected(step, came, described(step))
        return True

    def _pause(self, now_ns: int, frames: list[bytes]) -> bool:
        step = self._todo[-1]
        if step.until is not None:
            self.waiting = step.until
            return False
        if now_ns < self._since_ns + step.after_ns:
            return False
        self._next(now_ns)
        return True

    # --- their parts

    def _next(self, now_ns: int) -> None:
        self._todo.pop()
        self._done, self._since_ns = 0, now_ns

    def _choose(self, name: str, steps: Sequence[ScriptStep], now_ns: int) -> None:
        self._next(now_ns)
        self._todo += reversed(steps)
        self.taken.append(name)

    def _differs(self, line: Line, came: Came) -> list[str]:
        incoming = self.numbers.incoming(came.segment)
        return line.differs(came.segment, incoming, damaged=came.damaged)

    def _accept(self, came: Came) -> None:
        self.numbers.see(came.segment)
        self.received_bytes += came.segment.payload_len
        self._note_established(came.segment, came.time_ns)

    def _tolerates(self, came: Came) -> bool:
        for place, tolerated in enumerate(self._tolerated):
            if not self._differs(tolerated.line, came):
                self._accept(came)
                if tolerated.left is not None:
                    tolerated.left -= 1
                    if not tolerated.left:
                        del self._tolerated[place]
                return True
        return False

    def _expire(self, step: ScriptStep, now_ns: int) -> bool:
        """Nothing has come; True when that is too late by now."""
        if now_ns < self._since_ns + step.within_ns:
            return False
        waited = f"nothing within {step.within_ns / MILLISECOND_NS:g} ms"
        self._fail(step, described(step), waited, now_ns, error="silence")
        return True

    def _unexpected(self, step: ScriptStep, came: Came, wanted: str) -> None:
        wrong = self._differs(step.line, came) if step.line is not None else []
        text = bare(format_segment(came.segment, isn=self.numbers.incoming(came.segment)))
        text += " [cksum bad]" if came.damaged else ""
        self.numbers.see(came.segment)
        self._fail(step, wanted, text + (f" (differs in {', '.join(wrong)})" if wrong else ""), came.time_ns)

    def _fail(
        self, step: ScriptStep, wanted: str, found: str, now_ns: int, *, error: str = "unexpected"
    ) -> None:
        self.mismatch = Mismatch(error, step.at, wanted, found, tuple(self._lines()))
        self.waiting = None
        self.ended_ns = now_ns
        if self.numbers.peer_isn is not None:
            # Nobody is to wait for what will not come: RST-ACK, for any state of the other side.
            self._farewell = self.numbers.write(RESET)

    def _lines(self) -> list[str]:
        start_ns = self.began_ns or 0
        lines = []
        for time_ns, segment, isn in self._shown:
            segment.time_ns = time_ns
            lines.append(format_segment(segment, names=self.names, start_ns=start_ns, isn=isn))
        return lines

    def _show(self, now_ns: int, segment: Segment, isn: Isn) -> None:
        self._shown.append((now_ns, segment, isn))

    def _note_established(self, segment: Segment, now_ns: int) -> None:
        """The first segment without a SYN, once both sides have sent theirs."""
        n = self.numbers
        opened = n.peer_isn is not None and n.nxt is not None
        if opened and self.established_ns is None and segment.is_tcp and not segment.flags & SYN:
            self.established_ns = now_ns


PERFORM: dict[str, Callable[[Conversation, int, list[bytes]], bool]] = {
    "send": Conversation._send,
    "expect": Conversation._expect,
    "silence": Conversation._silence,
    "any_of": Conversation._any_of,
    "pause": Conversation._pause,
}


def rest_of(times: Count) -> int | None:
    return None if times.high is None else times.high - times.low


def bare(line: str) -> str:
    """A printed segment without its time and names, as a script writes it."""
    return line.split(": ", 1)[-1]


def described(step: ScriptStep) -> str:
    """What a step waits for, in the script's words."""
    if step.line is not None:
        return step.line.text
    if step.do == "any_of":
        return "any of " + " | ".join(described(steps[0]) for _, steps in step.branches)
    if step.do == "silence":
        return f"nothing for {step.within_ns / MILLISECOND_NS:g} ms"
    return f"until {step.until.subject} {step.until.state}" if step.until else "a pause"
