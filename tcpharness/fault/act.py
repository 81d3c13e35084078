"""`do`: what a fault does with the frame that it means.

`Work` is what is to become of that frame: every action changes it, in order. An action after
`duplicate` applies to all copies. It is cut (`split`, `fragment`) at the end, whatever else is in the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tcpharness.fault.alter import corrupt, set_fields
from tcpharness.fault.craft import fill
from tcpharness.fault.cut import pieces
from tcpharness.fault.flow import Direction
from tcpharness.fault.ledger import Fate
from tcpharness.fault.rule import Seen
from tcpharness.scenario.model import Action, Fault

# Of several fates the ledger names the one that says most about where the frame went.
WEIGHT: tuple[Fate, ...] = ("forward", "alter", "duplicate", "delay", "hold", "drop")


class Place(Protocol):
    """What has to be known of a port."""

    @property
    def host(self) -> str: ...
    @property
    def mac(self) -> bytes: ...
    @property
    def address(self) -> bytes: ...


Kills = tuple[tuple[str, str], ...]  # (endpoint, signal)
Templates = Mapping[tuple[str, int], Mapping[int, bytes]]


@dataclass(slots=True)
class Work:
    """What is to go out, as (port, frame), and when."""

    sends: list[tuple[int, bytes]]
    extra_ns: int = 0
    hold: int = 0
    fate: Fate = "forward"
    faults: list[tuple[str, Kills]] = field(default_factory=list)  # that fired, in order
    injected: list[tuple[str, int, bytes]] = field(default_factory=list)  # fault, port, frame
    cut: Action | None = None  # into two pieces, when everything else has been done

    @property
    def is_dropped(self) -> bool:
        return self.fate == "drop"

    def note(self, fate: Fate) -> None:
        if WEIGHT.index(fate) > WEIGHT.index(self.fate):
            self.fate = fate


def act(fault: Fault, seen: Seen, work: Work, ports: Sequence[Place], templates: Templates) -> Kills:
    """Everything that the fault does; the signals that are to be sent, as (endpoint, signal)."""
    kills: list[tuple[str, str]] = []
    for place, action in enumerate(fault.do):
        if action.do == "inject":
            version = 6 if len(seen.direction.src) == 16 else 4
            template = templates[fault.name, place][version]
            work.injected.append((fault.name, *_inject(action, template, seen, ports)))
        elif action.do == "kill":
            kills.append((action.endpoint or "", action.signal))
        elif action.do == "lab":
            continue  # nothing of this frame's
        elif not work.is_dropped:
            ACTIONS[action.do](action, seen, work)
    return tuple(kills)


def cut(seen: Seen, work: Work) -> None:
    """The last thing that is done to a frame: afterwards it is no longer one."""
    if work.cut is not None:
        work.sends = [
            (out, piece)
            for out, frame in work.sends
            for piece in pieces(frame, seen.layout_of(frame), work.cut)
        ]


def _cut_later(action: Action, seen: Seen, work: Work) -> None:
    work.cut = action
    work.note("alter")


def _drop(action: Action, seen: Seen, work: Work) -> None:
    work.sends.clear()
    work.hold = 0
    work.note("drop")


def _delay(action: Action, seen: Seen, work: Work) -> None:
    work.extra_ns += action.delay_ns
    work.note("delay")


def _duplicate(action: Action, seen: Seen, work: Work) -> None:
    work.sends = [send for send in work.sends for _ in range(action.copies + 1)]
    work.note("duplicate")


def _hold(action: Action, seen: Seen, work: Work) -> None:
    work.hold += action.segments
    work.note("hold")


def _corrupt(action: Action, seen: Seen, work: Work) -> None:
    work.sends = [(out, corrupt(frame, seen.layout_of(frame), action)) for out, frame in work.sends]
    work.note("alter")


def _set(action: Action, seen: Seen, work: Work) -> None:
    work.sends = [(out, set_fields(frame, seen.layout_of(frame), action)) for out, frame in work.sends]
    work.note("alter")


ACTIONS: dict[str, Callable[[Action, Seen, Work], None]] = {
    "drop": _drop,
    "delay": _delay,
    "duplicate": _duplicate,
    "hold": _hold,
    "corrupt": _corrupt,
    "set": _set,
    "split": _cut_later,
    "fragment": _cut_later,
}


# --- inject


def _inject(action: Action, template: bytes, seen: Seen, ports: Sequence[Place]) -> tuple[int, bytes]:
    """The port that gets it, and the segment: of the matched frame's direction, or of the other one."""
    numbers = {port.host: number for number, port in enumerate(ports)}
    here, there = seen.port, seen.out if seen.out is not None else seen.port
    to, sender = _ends(action, numbers, here, there)
    # Towards where the matched frame came from, it is an answer.
    direction = seen.direction
    if to == here or (sender == there and to != there):
        assert direction.reverse is not None
        direction = direction.reverse
    src, dst = _addresses(direction, sender, to, (here, there), ports)
    macs = ports[sender].mac, ports[to].mac
    return to, fill(template, action, direction, macs, (src, dst))


def _ends(action: Action, numbers: dict[str, int], here: int, there: int) -> tuple[int, int]:
    """(port that gets it, port that it pretends to come from)"""
    to = numbers[action.receiver] if action.receiver is not None else None
    sender = numbers[action.sender] if action.sender is not None else None
    if to is None:
        to = here if sender == there else there
    if sender is None:
        sender = there if to == here else here
    return to, sender


def _addresses(
    direction: Direction, sender: int, to: int, ends: tuple[int, int], ports: Sequence[Place]
) -> tuple[bytes, bytes]:
    """The flow's own, which routers leave as they are; a third host of the link has only its own."""
    src = direction.src if sender in ends else ports[sender].address
    dst = direction.dst if to in ends else ports[to].address
    return src, dst
