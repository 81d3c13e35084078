"""The keys of `expect.tracepoints`: what bpftrace, perf or bcc would count."""

from __future__ import annotations

from typing import Any

from tcpharness.scenario.compound import ByKind, Made, MapOf
from tcpharness.scenario.fault_keys import COUNT
from tcpharness.scenario.model import Count, Place, TraceExpect
from tcpharness.scenario.network_keys import HOST
from tcpharness.scenario.shape import Scope, choice, pattern

ABOUT = {
    "tcp_retransmit_skb": "A buffer was sent again: one segment, or several.",
    "tcp_retransmit_synack": "A listener has sent a SYN-ACK again.",
    "tcp_bad_csum": "A segment arrived with a wrong TCP checksum, and was dropped.",
    "tcp_send_reset": "An RST was sent; newer kernels give the reason.",
    "tcp_receive_reset": "An RST has ended a connection here.",
    "tcp_probe": "An established socket has received a segment.",
    "kfree_skb": "A packet was dropped; reason: says why (TCP_CSUM, NO_SOCKET, ...).",
}
TRACEPOINT_NAMES = tuple(ABOUT)
REASON = pattern(r"[A-Z][A-Z0-9_]{2,40}", "a reason as the kernel prints it, such as TCP_CSUM or NO_SOCKET")
Wanted = tuple[str, Count, Place, str | None]


def _all(count: Count, at: Place, scope: Scope) -> tuple[Wanted, ...]:
    return ((scope.name, count, at, None),)


def _reason(count: Count, at: Place, scope: Scope) -> tuple[str, Count, Place]:
    return (scope.name, count, at)


def _by_reason(found: dict[str, tuple[str, Count, Place]], at: Place, scope: Scope) -> tuple[Wanted, ...]:
    return tuple((scope.name, count, place, reason) for reason, count, place in found.values())


COUNTED = ByKind(
    scalar=Made(COUNT, _all),
    mapping=Made(MapOf(REASON, Made(COUNT, _reason), "a mapping of reasons to counts"), _by_reason),
)


def _of_host(found: dict[str, tuple[Wanted, ...]], at: Place, scope: Scope) -> tuple[TraceExpect, ...]:
    return tuple(
        TraceExpect(scope.name, name, count, place, reason)
        for several in found.values()
        for name, count, place, reason in several
    )


def _flat(found: dict[str, Any], at: Place, scope: Scope) -> tuple[TraceExpect, ...]:
    return tuple(each for of_host in found.values() for each in of_host)


TRACEPOINTS = Made(
    MapOf(
        HOST,
        Made(MapOf(choice(*TRACEPOINT_NAMES), COUNTED, "a mapping of tracepoints to counts"), _of_host),
        "a mapping of hosts",
    ),
    _flat,
)
