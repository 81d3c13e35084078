"""The tracer's own process: the kernel's tracepoints of TCP, in an instance of tracefs of our own.

One for all cases of a run: tracepoints are the whole machine's, and each event is given to the case
whose addresses it has. The process mounts tracefs for itself alone. Whoever kills it with SIGKILL
leaves an instance behind; the next one takes it away.

It talks to tracing.py over a socket, in JSON lines:

    {"did": "ready", "notes": [...], "events": [...]}, or "refused" with the reason
    {"do": "watch", "case": n, "addresses": [...]}   answered; from here on what has these addresses is kept
    {"do": "take", "case": n}                        answered with its "events", "lost" and "shared"
    {"do": "enable", "event": ...}                   answered with "done"; also "disable", which is not
    {"do": "end"}                                    answered when the instance is gone
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import astuple
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tcpharness.evidence import TraceEvent
from tcpharness.lab import syscall
from tcpharness.lab.trace_text import Reader

EVENTS = (
    "tcp/tcp_retransmit_skb",
    "tcp/tcp_retransmit_synack",
    "tcp/tcp_bad_csum",
    "tcp/tcp_send_reset",
    "tcp/tcp_receive_reset",
)
# Passed for every segment that an established socket receives, for every packet that anybody on the machine
# drops: only while a scenario asks for them.
ON_DEMAND = ("tcp/tcp_probe", "skb/kfree_skb")
# IP alone; neither consumed nor without a reason.
FILTERS = {"skb/kfree_skb": "reason > 2 && (protocol == 0x0800 || protocol == 0x86dd)"}
PREFIX = "tcpharness-"
PLACES = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
READ_LEN = 1 << 16
DRAIN_S, OFTEN_S = 0.1, 0.01  # often: while every segment is traced
MOST_EVENTS = 100_000  # of a case


class Unavailable(Exception):
    """Why there are no tracepoints here, in words."""


class Tracer:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._heard = b""
        self._is_over = False
        self._pause_s = DRAIN_S
        self.notes: list[str] = []
        self._instance = make_instance()
        self._write("trace_clock", "mono")
        self._enabled = [event for event in EVENTS if self._enable(event)]
        self._reader = Reader(epoch_ns=time.time_ns() - time.monotonic_ns())
        self._pipe = os.open(self._instance / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        self._cases: dict[int, list[TraceEvent]] = {}
        self._unkept: Counter[int] = (
            Counter()
        )  # case -> lost before it began (negative), and above MOST_EVENTS
        self._owners: dict[str, int] = {}
        self._shared: set[int] = set()  # cases that have addresses in common with another

    def run(self) -> None:
        """Until it is told to end, or nobody is there to tell it anything."""
        self._say(did="ready", notes=self.notes, events=[e.split("/")[1] for e in self._enabled])
        try:
            while not self._is_over:
                if select.select([self._control], [], [], self._pause_s)[0]:
                    self._obey()
                self._drain()
        finally:
            os.close(self._pipe)
            remove_instance(self._instance)
        self._say(did="end")

    def _obey(self) -> None:
        heard = self._control.recv(READ_LEN)
        self._is_over = not heard
        *lines, self._heard = (self._heard + heard).split(b"\n")
        for line in lines:
            message = json.loads(line)
            ORDERS[message["do"]](self, message)

    def _drain(self) -> None:
        """What has been traced by now; what is traced meanwhile may wait."""
        now_ns = time.time_ns()
        while True:
            try:
                text = os.read(self._pipe, READ_LEN)
            except BlockingIOError:
                return
            last_ns = now_ns
            for event in self._reader.read(text.decode(errors="replace")):
                self._give(event)
                last_ns = event.time_ns
            if not text or last_ns > now_ns:
                return

    def _give(self, event: TraceEvent) -> None:
        """To the case whose addresses it has; to nobody when it has none of ours."""
        for address, _ in (event.here, event.there):
            case = self._owners.get(canonical(address))
            if case is not None:
                if len(self._cases[case]) < MOST_EVENTS:
                    self._cases[case].append(event)
                else:
                    self._unkept[case] += 1
                return

    def _watch(self, message: dict[str, Any]) -> None:
        self._drain()
        self._cases[message["case"]] = []
        self._unkept[message["case"]] = -self._reader.lost
        others = {self._owners[a] for a in map(canonical, message["addresses"]) if a in self._owners}
        self._shared |= others | ({message["case"]} if others else set())
        self._owners.update({canonical(a): message["case"] for a in message["addresses"]})
        self._say(did="watch", case=message["case"])

    def _take(self, message: dict[str, Any]) -> None:
        self._drain()
        case = message["case"]
        self._owners = {a: owner for a, owner in self._owners.items() if owner != case}
        events = [astuple(event) for event in self._cases.pop(case, [])]
        shared = case in self._shared
        self._shared.discard(case)
        lost = self._reader.lost + self._unkept.pop(case, 0)
        self._say(did="take", case=case, events=events, lost=lost, shared=shared)

    def _on(self, message: dict[str, Any]) -> None:
        event = next(e for e in (*EVENTS, *ON_DEMAND) if e.endswith("/" + message["event"]))
        if event not in self._enabled and self._enable(event):
            self._enabled.append(event)
            self._pause_s = OFTEN_S
        self._say(did="enable", event=message["event"], done=event in self._enabled)

    def _off(self, message: dict[str, Any]) -> None:
        event = next(e for e in ON_DEMAND if e.endswith("/" + message["event"]))
        self._enabled.remove(event)
        self._write(f"events/{event}/enable", "0")
        self._pause_s = OFTEN_S if set(ON_DEMAND) & set(self._enabled) else DRAIN_S

    def _end(self, message: dict[str, Any]) -> None:
        self._is_over = True

    def _enable(self, event: str) -> bool:
        try:
            if event in FILTERS:
                self._write(f"events/{event}/filter", FILTERS[event])
            self._write(f"events/{event}/enable", "1")
        except OSError as error:
            self.notes.append(f"this kernel has no tracepoint {event.split('/')[1]}: {error.strerror}")
            return False
        return True

    def _write(self, name: str, value: str) -> None:
        fd = os.open(self._instance / name, os.O_WRONLY)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)

    def _say(self, **message: Any) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self._control.sendall(json.dumps(message).encode() + b"\n")


ORDERS = {
    "watch": Tracer._watch,
    "take": Tracer._take,
    "enable": Tracer._on,
    "disable": Tracer._off,
    "end": Tracer._end,
}


def canonical(address: str) -> str:
    """The one spelling of an address; the trace writes IPv6 as RFC 5952 does, and so do we."""
    with suppress(ValueError):
        return str(ip_address(address))
    return address


# --- tracefs


def make_instance() -> Path:
    """A new instance. Raises Unavailable."""
    root = find_tracefs()
    instances = root / "instances"
    for old in instances.glob(f"{PREFIX}*"):
        if not Path(f"/proc/{old.name.removeprefix(PREFIX)}").exists():
            with suppress(OSError):
                remove_instance(old)
    # As the machine's /proc numbers us, not as our own namespace does.
    instance = instances / f"{PREFIX}{os.readlink('/proc/self')}"
    try:
        instance.mkdir()
    except OSError as error:
        raise Unavailable(f"no instance of tracefs can be made: {error.strerror}") from error
    return instance


def find_tracefs() -> Path:
    """Where tracefs is mounted; mounted for this process alone when it is not."""
    for place in PLACES:
        if Path(place, "instances").is_dir():
            return Path(place)
    if not Path(PLACES[0]).is_dir():
        raise Unavailable("this kernel has no tracefs")
    try:
        syscall.unshare(syscall.CLONE_NEWNS)
        syscall.mount("none", "/", None, syscall.MS_REC | syscall.MS_PRIVATE)
        syscall.mount("tracefs", PLACES[0], "tracefs", 0)
    except OSError as error:
        raise Unavailable(f"tracefs can't be mounted: {error.strerror}") from error
    return Path(PLACES[0])


def remove_instance(instance: Path) -> None:
    for group in ("tcp", "skb"):
        with suppress(OSError):
            (instance / "events" / group / "enable").write_text("0")
    instance.rmdir()


def main(payload: bytes, fds: list[int]) -> int:
    """The process's entry; a descriptor for control."""
    control = socket.socket(fileno=fds[0])
    try:
        tracer = Tracer(control)
    except (Unavailable, OSError) as error:
        with suppress(OSError):
            control.sendall(json.dumps({"did": "ready", "refused": str(error)}).encode() + b"\n")
        return 0
    tracer.run()
    return 0
