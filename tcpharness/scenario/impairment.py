"""What one direction of a link does to every frame that takes it: part of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

# Words of the language and of the ledger: what a link does to single frames. `down` is an event's.
Act = Literal["loss", "duplicate", "reorder", "corrupt", "queue", "down"]
ACTS: tuple[Act, ...] = get_args(Act)
CERTAIN = 1_000_000_000  # chances are counted in billionths


@dataclass(frozen=True, slots=True)
class Loss:
    """Gilbert's and Elliott's channel: two states, each with a loss of its own. All chances in billionths.

    Per frame a burst begins with `enter` and ends with `leave`. A plain percentage is the state
    outside of bursts, which never begin.
    """

    good: int = 0
    bad: int = CERTAIN
    enter: int = 0
    leave: int = CERTAIN


@dataclass(frozen=True, slots=True)
class Impairment:
    """Absent is off. Chances in billionths, times in nanoseconds."""

    delay_ns: int = 0
    jitter_ns: int = 0  # uniform: at most this much more or less; normal: the standard deviation
    shape: Literal["uniform", "normal"] = "uniform"
    loss: Loss | None = None
    duplicate: int = 0
    reorder: int = 0
    overtaken_by: int = 1  # frames of its flow that go before a reordered one
    corrupt: int = 0
    rate_bits: int | None = None
    queue_frames: int | None = None  # of those that wait for the rate, the one being sent included
    queue_bytes: int | None = None

    def does(self, act: Act) -> bool:
        """True when this direction may do such a thing to a frame."""
        if act == "queue":
            return self.rate_bits is not None
        return act != "down" and bool(getattr(self, act))

    @property
    def is_plain(self) -> bool:
        """Nothing but a steady delay."""
        return self == Impairment(delay_ns=self.delay_ns)
