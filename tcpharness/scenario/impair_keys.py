"""The keys of a link's impairments: for all directions, and under `from` for those of one host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tcpharness.scenario import quantity as q
from tcpharness.scenario.compound import ByKind, Fields, Key, Made, Table
from tcpharness.scenario.impairment import Impairment, Loss
from tcpharness.scenario.model import DEFAULT_MTU
from tcpharness.scenario.problem import listed
from tcpharness.scenario.shape import TIME, WRONG, choice, integer, pattern, quantity

CHANCE = quantity(q.chance, q.CHANCE, r"^(0|[0-9]+(\.[0-9]+)? ?%)$")
ETHERNET_HEADER_LEN = 14
DEFAULT_QUEUE = 100  # packets, where only a rate is given
QUEUE_FRAMES = r"([1-9][0-9]{0,6}) packets?"


def _loss(fields: Fields) -> Any:
    loss = Loss(**fields.values)
    if loss.enter and not loss.leave:
        return fields.wrong("leave", "a burst that never ends loses all that follows; expected more than 0 %")
    return loss


LOSS = ByKind(
    scalar=Made(CHANCE, lambda chance, at, scope: Loss(good=chance)),
    mapping=Table(
        "loss",
        {
            "enter": Key(CHANCE, "Chance, per frame, that a burst begins (Gilbert, Elliott).", required=True),
            "leave": Key(CHANCE, "Chance, per frame, that it ends.", required=True),
            "bad": Key(CHANCE, "Loss in a burst (default: 100%)."),
            "good": Key(CHANCE, "Loss outside of one (default: 0%)."),
        },
        _loss,
    ),
)

JITTER = ByKind(
    scalar=Made(TIME, lambda value, at, scope: {"jitter_ns": value}),
    mapping=Table(
        "jitter",
        {
            "by": Key(TIME, "uniform: at most so much; normal: the standard deviation.", required=True),
            "shape": Key(choice("uniform", "normal"), "How the times are spread (default: uniform)."),
        },
        lambda fields: {"jitter_ns": fields.get("by"), **fields.only("shape")},
    ),
)

REORDER = ByKind(
    scalar=Made(CHANCE, lambda chance, at, scope: {"reorder": chance}),
    mapping=Table(
        "reorder",
        {
            "chance": Key(CHANCE, "Chance, per frame, that others overtake it.", required=True),
            "by": Key(integer(1, 1000, "a number of frames"), "So many of its flow (default: 1)."),
        },
        lambda fields: {"reorder": fields.get("chance"), "overtaken_by": fields.get("by", 1)},
    ),
)


def _rate(text: str) -> int:
    rate = q.rate_bits(text)
    if not rate:
        raise ValueError(f"lets nothing pass; expected {q.RATE}, or loss: 100%")
    return rate


def _queue(text: str) -> dict[str, int]:
    number, _, unit = text.partition(" ")
    return {"queue_frames": int(number)} if unit.startswith("packet") else {"queue_bytes": q.size_bytes(text)}


QUEUE = pattern(
    rf"{QUEUE_FRAMES}|[1-9][0-9]{{0,9}}(\.[0-9]+)? ?(B|kB|KiB|MB|MiB)",
    "a number of packets such as 50 packets, or a size such as 64 KiB",
    _queue,
)

IMPAIRMENT_KEYS: dict[str, Key] = {
    "delay": Key(TIME, "A steady delay of every frame."),
    "jitter": Key(JITTER, "The delay varies by this; the order of frames stays."),
    "loss": Key(LOSS, "Frames lost, of a hundred; or in bursts."),
    "duplicate": Key(CHANCE, "Frames that arrive twice."),
    "reorder": Key(REORDER, "Frames that the next one of their flow overtakes."),
    "corrupt": Key(CHANCE, "Frames with one bit turned over; the checksum stays as it was."),
    "rate": Key(
        quantity(_rate, q.RATE, r"^[0-9]+(\.[0-9]+)? ?[kmg]?bit$"),
        "Bits per second, of whole Ethernet frames.",
    ),
    "queue": Key(QUEUE, f"What may wait for the rate; more is lost (default: {DEFAULT_QUEUE} packets)."),
}


def _direction(fields: Fields) -> Any:
    return fields


DIRECTION = Table("direction", IMPAIRMENT_KEYS, _direction)

_NAMES = {"delay": "delay_ns", "rate": "rate_bits"}


def impairments_of(hosts: tuple[str, ...], fields: Fields) -> Any:
    """(sending host, impairment) of every direction that has more than the link's own delay."""
    own: Mapping[str, Fields] = fields.get("from", {})
    for host in own:
        if host not in hosts:
            return fields.wrong("from", f"{host} is not on this link; expected {listed(hosts)}")
    whole_frame = (fields.get("mtu") or DEFAULT_MTU) + ETHERNET_HEADER_LEN
    made = [(host, _made([fields, own[host]] if host in own else [fields], whole_frame)) for host in hosts]
    if any(impairment is WRONG for _, impairment in made):
        return WRONG
    # A plain delay of both directions alike needs none.
    return tuple((host, i) for host, i in made if not (i.is_plain and i.delay_ns == fields.get("delay", 0)))


def _made(layers: list[Fields], whole_frame: int) -> Any:
    """Later layers win, key by key."""
    values: dict[str, Any] = {}
    last: dict[str, Fields] = {}
    for layer in layers:
        given = layer.only(*IMPAIRMENT_KEYS)
        last |= dict.fromkeys(given, layer)
        if "queue" in given:
            values.pop("queue_frames", None)
            values.pop("queue_bytes", None)
        for key, value in given.items():
            values |= value if isinstance(value, dict) else {_NAMES.get(key, key): value}
    return _checked(values, last, whole_frame)


def _checked(values: dict[str, Any], last: Mapping[str, Fields], whole_frame: int) -> Any:
    if "queue" in last and "rate" not in last:
        return last["queue"].wrong("queue", "a queue without a rate never fills; expected rate as well")
    if values.get("queue_bytes", whole_frame) < whole_frame:
        text = f"no whole frame of {whole_frame} bytes fits in, so none ever passes"
        return last["queue"].wrong("queue", f"{text}; expected {whole_frame} B or more")
    if "rate" in last and "queue" not in last:
        values["queue_frames"] = DEFAULT_QUEUE
    impairment = Impairment(**values)
    if impairment.shape == "uniform" and impairment.jitter_ns > impairment.delay_ns:
        text = "jitter of more than the delay would have frames arrive before they are sent"
        return last["jitter"].wrong("jitter", f"{text}; expected a delay at least as long")
    return impairment
