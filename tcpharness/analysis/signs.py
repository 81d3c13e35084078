"""Signs: one bit each, set by the flow tracker while it looks at a segment.

A sign says only that something is worth a look; a detector names the signs that it waits for, and is
called for no other segment. A healthy segment has none, and costs no detector's time.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Sign(IntFlag):
    BEGIN = 1 << 0  # first segment of the flow
    SYN = 1 << 1  # a SYN or SYN-ACK
    HANDSHAKE = 1 << 2  # the ACK that completes the handshake
    RST = 1 << 3
    FIN = 1 << 4
    CLOSED = 1 << 5  # acknowledges the second FIN
    ODD_SACK = 1 << 6  # a block that cannot be, or that nobody asked for
    DUP_ACK = 1 << 7
    DSACK = 1 << 8
    UNSEEN = 1 << 9  # acknowledges what this capture has not seen
    ZERO = 1 << 10  # the advertised window is closed, or was
    FULL = 1 << 11  # the window that the other side had filled is answered
    PROBE = 1 << 12  # probe of a closed window or of an idle peer, or the answer
    CHALLENGE = 1 << 13
    CKSUM = 1 << 14  # a checksum that is not the right one
    REPAIRED = 1 << 15  # the good copy of a damaged segment
    FLAGS = 1 << 16  # a combination that cannot be
    MALFORMED = 1 << 17
    FRAGMENT = 1 << 18
    TTL = 1 << 19
    ECN = 1 << 20
    TRUNCATED = 1 << 21
    SUPER = 1 << 22
    RECOVERED = 1 << 23  # ends an episode of timeouts
    REVIVED = 1 << 24  # sent by a side whose RST was seen before
    LATE_DATA = 1 << 25  # data while the other side, or this one, has finished
    CONFLICT = 1 << 26
    LAND = 1 << 27
    END = 1 << 28  # no segment: the flow ends here, with the capture or by age
    SLOW = 1 << 29
    TUNNEL = 1 << 30
    UPDATE = 1 << 31  # more room, and nothing acknowledged
    SHRUNK = 1 << 32  # the window's right edge has moved left
    SILLY = 1 << 33  # a window below the MSS
    # its sequence numbers are not simply the next ones: what Order says, one bit each
    COPY = 1 << 34
    AGAIN = 1 << 35
    NEEDLESS = 1 << 36
    LATE = 1 << 37
    AHEAD = 1 << 38
    OUTSIDE = 1 << 39
    CROWD = 1 << 40  # no segment: an episode of many flows is over (crowd.py)
    ICMP = 1 << 41  # no segment: an ICMP error that quotes one of this side's
    IDLE = 1 << 42  # nobody has sent anything for long
    DSCP = 1 << 43
    PARTIAL = 1 << 44  # acknowledges a part of what was outstanding when a recovery began
    SACK = 1 << 45  # reports bytes above a hole, and is the first to
    STALLED = 1 << 46  # data that had waited for a delayed ACK
    SPIKE = 1 << 47  # after the segment was taken in: its round trip is far above the others
    COMPARED = 1 << 48  # no segment: a SYN as two captures have it (compare.py)
    ODD = 1 << 49  # a field or an option that such a segment has not usually
    NO_TIMESTAMP = 1 << 50
    CLOCK = 1 << 51  # after the segment was taken in: its timestamp is far before an earlier one
    ODD_SYN = 1 << 52  # a SYN with what most have not: odd options, values, data
    ODD_BEGIN = 1 << 53  # a first segment with port 0 or IP options
    MID_STREAM = 1 << 54  # a first segment without SYN
    REUSED = 1 << 55  # a first segment between ports that had a connection before
    SYN_AGAIN = 1 << 56
    MISSING = 1 << 57  # a SYN without one of MSS, window scale, SACK, timestamps
    OLD_ACK = 1 << 58  # a pure ACK whose number is below what was sent
    ACCEPTED = 1 << 59  # acknowledges what came with a wrong checksum only
    SEGMENT = 1 << 60  # every segment, for detectors of your own: the catalogue costs healthy ones nothing
    UNDONE = 1 << 61  # after the segment was taken in: it proves that the other side's timeout was needless


class Order(IntEnum):
    """What a segment's sequence numbers make of it; exactly one."""

    NEXT = 0
    COPY = 1  # the same frame, captured twice
    AGAIN = 2  # sent again, and maybe needed
    NEEDLESS = 3  # sent again although acknowledged
    LATE = 4  # overtaken on the way
    AHEAD = 5  # bytes before it are missing
    OUTSIDE = 6  # beyond every window
    KEEP_ALIVE = 7
    WINDOW_PROBE = 8
    OLD = 9  # an old pure ACK
