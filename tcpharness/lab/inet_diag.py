"""What `ss -tinpoe` asks the kernel (NETLINK_SOCK_DIAG): requests, and the answers as plain rows.

Answers are kept raw while traffic runs and are read afterwards: asking costs a few microseconds,
reading the answer into names ten times as much.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tcpharness.evidence import SocketSample
from tcpharness.lab import tcp_info

NETLINK_SOCK_DIAG = 4
TCPDIAG_GETSOCK = 18  # the older request: answers for both families in one walk
NLM_F_REQUEST_DUMP = 0x301
NLMSG_ERROR, NLMSG_DONE = 2, 3
HEADER = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBBB48sII")  # struct inet_diag_req
# struct inet_diag_msg: family, state, timer, retrans; ports, addresses, interface, cookie; expires,
# receive and send queue, uid, inode
MESSAGE = struct.Struct("=BBBB2s2s16s16sIQIIIII")
ATTRIBUTE = struct.Struct("=HH")
INODE_AT = HEADER.size + MESSAGE.size - 4

# include/uapi/linux/inet_diag.h
INET_DIAG_INFO, INET_DIAG_CONG = 2, 4
WITH_INFO = 1 << (INET_DIAG_INFO - 1) | 1 << (INET_DIAG_CONG - 1)
# Groups that tell of every socket as it ends: SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY
ENDED_GROUPS = 1 << 0 | 1 << 2

# include/net/tcp_states.h; NEW_SYN_RECV is listed as SYN_RECV
STATES = {
    1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT",
    7: "CLOSE", 8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING",
}  # fmt: skip
SYN_RECV, TIME_WAIT, LISTEN = 3, 6, 10
ALL_STATES = 0xFFF
TIMERS = {0: "", 1: "retransmit", 2: "keepalive", 3: "timewait", 4: "probe"}


def request(states: int, extensions: int = 0) -> bytes:
    """A dump of all TCP sockets in one of `states` (a mask of 1 << state)."""
    body = REQUEST.pack(socket.AF_INET, 0, 0, extensions, bytes(48), states, 0)
    return HEADER.pack(HEADER.size + len(body), TCPDIAG_GETSOCK, NLM_F_REQUEST_DUMP, 1, 0) + body


@dataclass(slots=True)
class Listed:
    """One socket as the kernel listed it. Ports and addresses as (address, port)."""

    cookie: int
    local: tuple[str, int]
    remote: tuple[str, int]
    uid: int
    inode: int
    congestion: str
    sample: SocketSample


def messages(answer: bytes) -> Iterator[tuple[int, int, int]]:
    """(type, start, end) of each message, headers included."""
    at = 0
    while at + HEADER.size <= len(answer):
        length, kind = HEADER.unpack_from(answer, at)[:2]
        if length < HEADER.size:
            return
        yield kind, at, at + length
        at += (length + 3) & ~3


def error_of(answer: bytes, at: int) -> OSError:
    code = -struct.unpack_from("=i", answer, at + HEADER.size)[0]
    return OSError(code, "the kernel does not list TCP sockets (module tcp_diag)")


def read(answer: bytes, time_ns: int, *, ended: bool = False) -> Iterator[Listed]:
    """Every socket in an answer. `ended`: the last that is known of a socket that is gone."""
    for kind, start, end in messages(answer):
        if kind not in (NLMSG_DONE, NLMSG_ERROR) and end - start >= HEADER.size + MESSAGE.size:
            yield _listed(answer, start + HEADER.size, end, time_ns, ended)


def cookies(answer: bytes) -> Iterator[tuple[int, int]]:
    """(state, cookie) of every socket in an answer."""
    for kind, start, _ in messages(answer):
        if kind not in (NLMSG_DONE, NLMSG_ERROR):
            fields = MESSAGE.unpack_from(answer, start + HEADER.size)
            yield fields[1], fields[9]


def _listed(answer: bytes, at: int, end: int, time_ns: int, ended: bool) -> Listed:
    fields = MESSAGE.unpack_from(answer, at)
    family, state, timer, retrans, sport, dport, src, dst, _, cookie, *numbers = fields
    expires, recv_q, send_q, uid, inode = numbers
    size = 4 if family == socket.AF_INET else 16
    found = dict(_attributes(answer, at + MESSAGE.size, end))
    info = tcp_info.decode(found.get(INET_DIAG_INFO, b""))
    sample = SocketSample(
        time_ns=time_ns,
        state="ENDED" if ended else STATES.get(state, str(state)),
        recv_q=recv_q,
        send_q=send_q,
        timer=TIMERS.get(timer, str(timer)),
        expires_ms=expires if timer else 0,
        retrans=retrans,
        info=info,
    )
    return Listed(
        cookie=cookie,
        local=(socket.inet_ntop(family, src[:size]), int.from_bytes(sport, "big")),
        remote=(socket.inet_ntop(family, dst[:size]), int.from_bytes(dport, "big")),
        uid=uid,
        inode=inode,
        congestion=found.get(INET_DIAG_CONG, b"").rstrip(b"\0").decode(),
        sample=sample,
    )


def _attributes(answer: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    while at + ATTRIBUTE.size <= end:
        length, kind = ATTRIBUTE.unpack_from(answer, at)
        if length < ATTRIBUTE.size:
            return
        yield kind, answer[at + ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
