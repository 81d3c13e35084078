"""TCP_INFO as a dict: what the kernel knows of a connection (struct tcp_info, <linux/tcp.h>).

The kernel only ever appends to the struct, so a shorter answer is an older kernel: the fields it
has are decoded and the rest is absent. Names are the header's without `tcpi_`; times are in
microseconds but for `rto`, `ato`, `rtt` (us too) and `last_*` (milliseconds), as in the header.
"""

from __future__ import annotations

import socket
import struct
from functools import cache

ASKED_LEN = 512  # more than any kernel gives today

# (format, names) in the order of the struct. The two bytes after `options` are bit fields.
LAYOUT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("B", ("state", "ca_state", "retransmits", "probes", "backoff", "options", "wscales", "flags")),
    ("I", ("rto", "ato", "snd_mss", "rcv_mss", "unacked", "sacked", "lost", "retrans", "fackets")),
    ("I", ("last_data_sent", "last_ack_sent", "last_data_recv", "last_ack_recv")),
    ("I", ("pmtu", "rcv_ssthresh", "rtt", "rttvar", "snd_ssthresh", "snd_cwnd", "advmss", "reordering")),
    ("I", ("rcv_rtt", "rcv_space", "total_retrans")),
    ("Q", ("pacing_rate", "max_pacing_rate", "bytes_acked", "bytes_received")),
    ("I", ("segs_out", "segs_in", "notsent_bytes", "min_rtt", "data_segs_in", "data_segs_out")),
    ("Q", ("delivery_rate", "busy_time", "rwnd_limited", "sndbuf_limited")),
    ("I", ("delivered", "delivered_ce")),
    ("Q", ("bytes_sent", "bytes_retrans")),
    ("I", ("dsack_dups", "reord_seen", "rcv_ooopack", "snd_wnd", "rcv_wnd", "rehash")),  # 5.4, 6.2
    ("H", ("total_rto", "total_rto_recoveries")),  # 6.7
    ("I", ("total_rto_time",)),
    ("I", ("received_ce", "delivered_e1_bytes", "delivered_e0_bytes", "delivered_ce_bytes")),  # 6.18: AccECN
    ("I", ("received_e1_bytes", "received_e0_bytes", "received_ce_bytes")),
    ("H", ("accecn_fail_mode", "accecn_opt_seen")),
)
# The kernel keeps every field on its natural boundary, which the order above gives without gaps.
FIELDS = tuple((code, name) for code, names in LAYOUT for name in names)


@cache
def _layout(length: int) -> tuple[struct.Struct, tuple[str, ...]]:
    """As much of the struct as fits into `length`, and the names in it."""
    codes, names = "=", []
    for code, name in FIELDS:
        if struct.calcsize(codes + code) > length:
            break
        codes += code
        names.append(name)
    return struct.Struct(codes), tuple(names)


def decode(data: bytes) -> dict[str, int]:
    """The fields that `data`, as getsockopt(TCP_INFO) gave it, has room for."""
    packed, names = _layout(len(data))
    info = dict(zip(names, packed.unpack_from(data), strict=True))
    if "flags" in info:
        _split_bit_fields(info)
    return info


def _split_bit_fields(info: dict[str, int]) -> None:
    wscales, flags = info.pop("wscales"), info.pop("flags")
    info["snd_wscale"], info["rcv_wscale"] = wscales & 0xF, wscales >> 4
    info["delivery_rate_app_limited"], info["fastopen_client_fail"] = flags & 1, flags >> 1 & 3


def read(sock: socket.socket) -> dict[str, int]:
    """TCP_INFO of an open socket; empty when the socket is already closed."""
    if sock.fileno() < 0:
        return {}
    return decode(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ASKED_LEN))
