"""What captures of healthy connections look like when somebody has captured or kept them badly.

Each takes the frames of a capture and gives others; nothing in them says that a connection was harmed.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from struct import pack, unpack_from

from tcpharness.packet.checksum import ip_checksum, verdict
from tcpharness.packet.segment import SYN, Segment, decode
from tcpharness.packet.source import Frame

Frames = list[Frame]
Distortion = Callable[[Frames], Frames]
US, MS = 1_000, 1_000_000


def segment(frame: Frame) -> Segment:
    return decode(frame.data, frame.linktype, wire_len=frame.wire_len)


def identity(frames: Frames) -> Frames:
    return frames


def in_order(frames: Frames) -> Frames:
    return sorted(frames, key=lambda frame: frame.time_ns)


# --- captured twice ---------------------------------------------------------------------------------


def copied(after_ns: int) -> Distortion:
    """A port that mirrors both directions of a link, or a capture on all interfaces."""
    return lambda frames: in_order([*frames, *(f._replace(time_ns=f.time_ns + after_ns) for f in frames)])


def routed(frames: Frames) -> Frames:
    """Once before and once behind a router."""
    found = []
    for frame in frames:
        found.append(frame)
        seen = segment(frame)
        data = bytearray(frame.data)
        data[seen.ip_at + (8 if seen.version == 4 else 7)] -= 1
        mend_ip(data, seen)
        found.append(frame._replace(data=bytes(data), time_ns=frame.time_ns + 40 * US))
    return found


def in_two_vlans(frames: Frames) -> Frames:
    found = []
    for frame in frames:
        found += [frame, tagged(b"\x81\x00\x00\x07")([frame._replace(time_ns=frame.time_ns + 3 * US)])[0]]
    return found


def played_again(frames: Frames) -> Frames:
    """A capture that was put on the wire in a loop."""
    span = frames[-1].time_ns - frames[0].time_ns + 5_000 * MS
    return [*frames, *(frame._replace(time_ns=frame.time_ns + span) for frame in frames)]


# --- captured in part -------------------------------------------------------------------------------


def snapped(length: int) -> Distortion:
    return lambda frames: [frame._replace(data=frame.data[:length]) for frame in frames]


def one_way(number: int) -> Distortion:
    """Of the side that speaks first, or of the other one."""

    def keep(frames: Frames) -> Frames:
        first = segment(frames[0]).sport
        return [frame for frame in frames if (segment(frame).sport == first) == (number == 0)]

    return keep


def without_handshake(frames: Frames) -> Frames:
    return [frame for frame in frames if not segment(frame).flags & SYN]


def second_half(frames: Frames) -> Frames:
    return frames[len(frames) // 2 :]


# --- in another order -------------------------------------------------------------------------------


def crossed(frames: Frames) -> Frames:
    """Two queues, one a direction: what answers is captured first, times and all."""
    found = list(frames)
    for place in range(0, len(found) - 1, 2):
        first, second = found[place], found[place + 1]
        if segment(first).sport != segment(second).sport and second.time_ns - first.time_ns <= MS:
            found[place] = second._replace(time_ns=first.time_ns)
            found[place + 1] = first._replace(time_ns=first.time_ns + 50 * US)
    return found


def coarse(tick_ns: int) -> Distortion:
    return lambda frames: [frame._replace(time_ns=frame.time_ns // tick_ns * tick_ns) for frame in frames]


# --- changed since ----------------------------------------------------------------------------------


def mend_ip(data: bytearray, seen: Segment) -> None:
    if seen.version == 4:
        right = ip_checksum(bytes(data[seen.ip_at : seen.ip_at + seen.ip_header_len]))
        data[seen.ip_at + 10 : seen.ip_at + 12] = pack(">H", right)


def anonymised(*, mended: bool) -> Distortion:
    """Other addresses, under the old TCP checksum; `mended`: the IP checksum was made anew."""

    def change(frames: Frames) -> Frames:
        found = []
        for frame in frames:
            seen, data = segment(frame), bytearray(frame.data)
            at, size = (seen.ip_at + 12, 4) if seen.version == 4 else (seen.ip_at + 8, 16)
            for place in (at + size - 1, at + 2 * size - 1):
                data[place] ^= 0x55
            if mended:
                mend_ip(data, seen)
            found.append(frame._replace(data=bytes(data)))
        return found

    return change


def left_to_the_device(frames: Frames) -> Frames:
    """Captured at the sender: the field has the pseudo-header's sum."""
    found = []
    for frame in frames:
        seen, data = segment(frame), bytearray(frame.data)
        right = verdict(seen).right or 0
        body = sum(unpack_from(">H", bytes(data[at : at + 2]).ljust(2, b"\0"))[0]
                   for at in range(seen.tcp_at, seen.end, 2) if at != seen.tcp_at + 16)  # fmt: skip
        left = (0xFFFF - right - body) % 0xFFFF
        data[seen.tcp_at + 16 : seen.tcp_at + 18] = pack(">H", left or 0xFFFF)
        found.append(frame._replace(data=bytes(data)))
    return found


def blanked(frames: Frames) -> Frames:
    """The payload's bytes are zero, under the old checksum."""
    found = []
    for frame in frames:
        seen = segment(frame)
        data = frame.data[: seen.payload_at] + b"\0" * (seen.end - seen.payload_at) + frame.data[seen.end :]
        found.append(frame._replace(data=data))
    return found


# --- on another link --------------------------------------------------------------------------------


def tagged(tag: bytes) -> Distortion:
    return lambda frames: [
        frame._replace(data=frame.data[:12] + tag + frame.data[12:], wire_len=frame.wire_len + len(tag))
        for frame in frames
    ]


def on_link(linktype: int, header: Callable[[bytes], bytes]) -> Distortion:
    """The Ethernet header gives way to another one."""
    return lambda frames: [
        frame._replace(
            data=header(frame.data) + frame.data[14:],
            wire_len=frame.wire_len - 14 + len(header(frame.data)),
            linktype=linktype,
        )
        for frame in frames
    ]


def behind(trailer: bytes) -> Distortion:
    """A frame check sequence, or a switch's trailer."""
    return lambda frames: [
        frame._replace(data=frame.data + trailer, wire_len=frame.wire_len + len(trailer)) for frame in frames
    ]


def family(data: bytes) -> bytes:
    return b"\x02\0\0\0" if data[12:14] == b"\x08\x00" else b"\x1e\0\0\0"


DISTORTIONS: dict[str, Distortion] = {
    "as it was": identity,
    "every frame twice within a microsecond": copied(US),
    "every frame twice within 5 ms": copied(5 * MS),
    "before and behind a router": routed,
    "untagged and in a VLAN": in_two_vlans,
    "played again": played_again,
    **{f"snapped to {length}": snapped(length) for length in (40, 54, 60, 66, 68, 96, 100)},
    "the first side only": one_way(0),
    "the second side only": one_way(1),
    "without the handshake": without_handshake,
    "the second half": second_half,
    "answers first": crossed,
    "a clock of 10 ms": coarse(10 * MS),
    "other addresses": anonymised(mended=True),
    "other addresses, no sum mended": anonymised(mended=False),
    "left to the device": left_to_the_device,
    "left to the device, then other addresses": lambda frames: anonymised(mended=True)(
        left_to_the_device(frames)
    ),
    "blanked payload": blanked,
    "blanked payload, the first side only": lambda frames: one_way(0)(blanked(frames)),
    "802.1Q": tagged(b"\x81\x00\x00\x07"),
    "QinQ": tagged(b"\x88\xa8\x00\x07\x81\x00\x00\x09"),
    "cooked": on_link(113, lambda data: b"\0\0\0\1\0\6" + data[6:12] + b"\0\0" + data[12:14]),
    "cooked 2": on_link(276, lambda data: data[12:14] + b"\0\0\0\0\0\3\0\1\0\6" + data[6:12] + b"\0\0"),
    "raw": on_link(101, lambda data: b""),
    "loopback": on_link(0, family),
    "with a frame check sequence": behind(b"\x12\x34\x56\x78"),
    "with a trailer": behind(b"\xde\xad\xbe\xef" * 3),
}


def shuffled(frames: Frames, random: Random, within_ns: int) -> Frames:
    """Frames change places that are so close to each other."""
    return [f for _, f in sorted(((f.time_ns + random.randrange(within_ns), f) for f in frames),
                                 key=lambda pair: pair[0])]  # fmt: skip
