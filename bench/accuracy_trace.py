"""What the kernel itself says of each retransmission: who sent it (the stack), in which state (congestion).

    unshare -m python bench/accuracy_trace.py FILE     until its standard input ends

An instance of tracefs of its own; the tracepoints tcp_retransmit_skb and tcp_retransmit_synack with the
kernel's stack behind each, and tcp_cong_state_set. The machine's other users pass the same tracepoints:
whoever reads the file takes the flows that are its own.
"""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tcpharness.lab.syscall import mount
from tcpharness.lab.trace_text import FIELD, LINE, LOST, ends_of

ROOT = Path("/sys/kernel/tracing")
WITH_STACK = ("tcp_retransmit_skb", "tcp_retransmit_synack")
STATE = "tcp_cong_state_set"
BUFFER_KB = "4096"
# Who sends again, by the function that stands in its stack (net/ipv4/tcp_timer.c, tcp_output.c, tcp_input.c).
SENDERS = (
    ("tcp_send_loss_probe", "tlp"),
    ("tcp_retransmit_timer", "rto"),
    ("tcp_xmit_retransmit_queue", "recovery"),
    ("tcp_simple_retransmit", "recovery"),
)
LOSS = 4  # TCP_CA_Loss (include/uapi/linux/tcp.h)
DRAIN_S = 0.05
CLOSE_NS = 30_000_000  # the tracepoint is passed just after the segment, unless an interrupt comes between
EARLY_NS = 2_000  # the trace's clock shows whole microseconds
VERY_EARLY_NS = 50_000  # and is sometimes a little off, when the machine's clock is being set right

Flow = tuple[str, int, str, int]


@dataclass(frozen=True, slots=True)
class Sent:
    """A buffer that the kernel has sent again: one segment, or several."""

    time_ns: int  # CLOCK_REALTIME
    kind: str  # rto, tlp, fast, slow_start, syn; "": a sender that is not known
    stack: tuple[str, ...]


@dataclass(slots=True)
class Half:
    """An event whose stack has not come yet."""

    flow: Flow
    time_ns: int
    name: str
    in_syn: bool
    state: int
    stack: list[str]


def read_trace(lines: Iterable[str], epoch_ns: int) -> tuple[dict[Flow, list[Sent]], int]:
    """What was sent again by each flow, in order; and how many events were lost."""
    found: dict[Flow, list[Sent]] = {}
    states: dict[Flow, int] = {}
    lost = 0
    halves: dict[str, Half] = {}  # by processor: stacks of two of them may be mixed
    for line in lines:
        gone = LOST.search(line)
        lost += int(gone[1]) if gone else 0
        if line.startswith(" => "):
            if "last" in halves:
                halves["last"].stack.append(line[4:].strip().partition(".")[0])
            continue
        finish(halves.pop("last", None), found)
        event = LINE.search(line)
        if event is None:
            cpu = CPU.search(line)
            if "<stack trace>" in line and cpu and cpu[1] in halves:
                halves["last"] = halves.pop(cpu[1])
            continue
        take(line, event, epoch_ns, states, halves, found)
    finish(halves.pop("last", None), found)
    return found, lost


CPU = re.compile(r"\[(\d+)\]")


def take(
    line: str,
    event: re.Match[str],
    epoch_ns: int,
    states: dict[Flow, int],
    halves: dict[str, Half],
    found: dict[Flow, list[Sent]],
) -> None:
    """An event's own line: a change of state, or something sent again, whose stack comes next."""
    seconds, micros, name, rest = event.groups()
    fields = dict(FIELD.findall(rest))
    ends = ends_of(name, fields)
    if ends is None or int(fields.get("err", "0")):
        return
    flow = (*ends[0], *ends[1])
    if name == STATE:
        states[flow] = int(fields["cong_state"])
        return
    time_ns = epoch_ns + (int(seconds) * 1_000_000 + int(micros)) * 1000
    in_syn = name == "tcp_retransmit_synack" or fields.get("state") in ("TCP_SYN_SENT", "TCP_SYN_RECV")
    cpu = CPU.search(line)
    half = Half(flow, time_ns, name, in_syn, states.get(flow, 0), [])
    if cpu:
        halves[cpu[1]] = half


def finish(half: Half | None, found: dict[Flow, list[Sent]]) -> None:
    if half is not None:
        sent = Sent(half.time_ns, kind_of(half), tuple(half.stack))
        found.setdefault(half.flow, []).append(sent)


def kind_of(half: Half) -> str:
    if half.in_syn:
        return "syn"
    for function, kind in SENDERS:
        if function in half.stack:
            if kind == "recovery":
                return "slow_start" if half.state == LOSS else "fast"
            return kind
    return ""


def sent_by(events: list[Sent], time_ns: int) -> Sent | None:
    """Of those of its flow, the one that a segment of this time belongs to: the next, or one just before."""
    before = None
    for event in events:
        behind_ns = event.time_ns - time_ns
        if -EARLY_NS <= behind_ns <= CLOSE_NS:
            return event
        if -VERY_EARLY_NS <= behind_ns < 0:
            before = event
    return before


# --- the process that reads


class Instance:
    """Of tracefs, in a mount namespace of our own."""

    def __init__(self) -> None:
        if not (ROOT / "instances").exists():
            mount("tracefs", str(ROOT), "tracefs", 0)
        self.place = ROOT / "instances" / f"accuracy-{os.getpid()}"
        self.place.mkdir()
        self._write("trace_clock", "tai")  # slewed as the clock of the captures is
        self._write("buffer_size_kb", BUFFER_KB)
        for name in WITH_STACK:
            self._write(f"events/tcp/{name}/trigger", "stacktrace")
        for name in (*WITH_STACK, STATE):
            self._write(f"events/tcp/{name}/enable", "1")
        self.pipe = os.open(self.place / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)

    def _write(self, name: str, text: str) -> None:
        (self.place / name).write_text(text)

    def read(self) -> Iterator[bytes]:
        """All that is there."""
        with suppress(BlockingIOError):
            while data := os.read(self.pipe, 1 << 16):
                yield data

    def close(self) -> None:
        os.close(self.pipe)
        for name in (*WITH_STACK, STATE):
            self._write(f"events/tcp/{name}/enable", "0")
        for name in WITH_STACK:
            self._write(f"events/tcp/{name}/trigger", "!stacktrace")
        self.place.rmdir()


def leap_ns() -> int:
    """From CLOCK_TAI to CLOCK_REALTIME: whole seconds."""
    apart_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_TAI)
    return round(apart_ns / 1e9) * 1_000_000_000


def main() -> None:
    """Answers every line with one, when all that was traced before is in the file."""
    instance = Instance()
    try:
        with open(sys.argv[1], "ab", buffering=0) as file:
            print(leap_ns(), flush=True)
            while True:
                asked = select.select([0], [], [], DRAIN_S)[0]
                for data in instance.read():
                    file.write(data)
                if asked:
                    if not os.read(0, 1):
                        return
                    print("read", flush=True)
    finally:
        instance.close()


if __name__ == "__main__":
    main()
