"""Routes and their metrics, to the kernel and back.

Units differ: a plan has times in nanoseconds, the kernel in milliseconds, some of them scaled.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

from tcpharness.lab.links import packed_ip
from tcpharness.lab.netlink import (
    NLM_F_CREATE,
    NLM_F_REPLACE,
    RTM_DELROUTE,
    RTM_GETROUTE,
    RTM_NEWROUTE,
    Request,
    RouteSocket,
    attribute,
    attributes,
    number,
    text,
)
from tcpharness.scenario.plan import RoutePlan

# include/uapi/linux/rtnetlink.h
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_METRICS = 1, 4, 5, 6, 8
RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST, RTN_UNREACHABLE = 254, 4, 1, 7
RT_TABLE_LOCAL, RTPROT_KERNEL, RTN_LOCAL = 255, 2, 2
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTAX_LOCK = 1
RTMSG = struct.Struct("=BBBBBBBBI")  # family, dst and src length, tos, table, protocol, scope, type, flags
UNREACHABLE_METRIC = 1  # before every other one: an IPv6 route of another kind is not replaced
IP6_CONNECTED_METRIC = 256  # IP6_RT_PRIO_ADDRCONF: a route on a link has to have it to replace the kernel's

NS_PER_MS = 1_000_000
# iproute2's names, and RTAX_ numbers
METRICS = {
    "mtu": 2, "window": 3, "rtt": 4, "rttvar": 5, "ssthresh": 6, "cwnd": 7, "advmss": 8, "reordering": 9,
    "hoplimit": 10, "initcwnd": 11, "features": 12, "rto_min": 13, "initrwnd": 14, "quickack": 15,
    "cc_algo": 16,
}  # fmt: skip
PER_MS = {"rtt": 8, "rttvar": 4, "rto_min": 1}  # srtt is kept in eighths, its variance in quarters
LOCKED = ("rto_min", "cwnd")  # without its lock bit the kernel takes no notice of them (dst_metric_locked)
FEATURES = {"ecn": 1}


def route(plan: RoutePlan, index: int) -> Request:
    """One route, in place of one that is there. Raises ValueError for a value that can't be."""
    prefix, _, length = plan.dst.partition("/")
    family, packed = packed_ip(prefix)
    scope = RT_SCOPE_LINK if plan.via is None and family == socket.AF_INET else RT_SCOPE_UNIVERSE
    body = RTMSG.pack(family, int(length), 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, 0)
    body += attribute(RTA_DST, packed) + number(RTA_OIF, index)
    if plan.via is not None:
        body += attribute(RTA_GATEWAY, packed_ip(plan.via)[1])
    elif family == socket.AF_INET6:
        body += number(RTA_PRIORITY, IP6_CONNECTED_METRIC)
    if plan.metrics:
        body += attribute(RTA_METRICS, _metrics(plan.metrics))
    return Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, plan)


def unreachable(plan: RoutePlan) -> Request:
    """No way to there, in place of a route."""
    prefix, _, length = plan.dst.partition("/")
    family, packed = packed_ip(prefix)
    kind = (RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNREACHABLE)
    body = RTMSG.pack(family, int(length), 0, 0, *kind, 0) + attribute(RTA_DST, packed)
    if family == socket.AF_INET6:
        body += number(RTA_PRIORITY, UNREACHABLE_METRIC)
    return Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, plan)


def reachable(plan: RoutePlan) -> Request:
    """That is no longer so. In IPv4 a route that comes in its place is enough."""
    return replace(unreachable(plan), kind=RTM_DELROUTE, flags=0)


def own_address(ip: str, index: int) -> Request:
    """The route by which a host takes packets to its own IPv6 address.

    The kernel makes the same one, but leaves it to a worker thread: until then a SYN to that address
    is lost. That one comes later, with another metric, and changes nothing.
    """
    family, packed = packed_ip(ip)
    body = RTMSG.pack(family, 128, 0, 0, RT_TABLE_LOCAL, RTPROT_KERNEL, RT_SCOPE_UNIVERSE, RTN_LOCAL, 0)
    body += attribute(RTA_DST, packed) + number(RTA_OIF, index)
    return Request(RTM_NEWROUTE, NLM_F_CREATE, body, f"route to its own {ip}")


def no_own_address(ip: str, index: int) -> Request:
    """That route is taken away again: the kernel takes its own with the address, and leaves this one."""
    return replace(own_address(ip, index), kind=RTM_DELROUTE, flags=0)


def _metrics(metrics: dict[str, int | str]) -> bytes:
    locks = 0
    parts = []
    for name, value in metrics.items():
        kind = METRICS[name]
        if name in LOCKED:
            locks |= 1 << kind
        parts.append(text(kind, str(value)) if name == "cc_algo" else number(kind, _value(name, value)))
    return number(RTAX_LOCK, locks) + b"".join(parts)


def _value(name: str, value: int | str) -> int:
    if name == "features":
        return FEATURES[str(value)]
    if name not in PER_MS:
        return int(value)
    if int(value) < NS_PER_MS:
        raise ValueError(
            f"{name} of {int(value)} ns: the kernel counts it in milliseconds; expected 1ms or more"
        )
    return int(value) * PER_MS[name] // NS_PER_MS


# --- back from the kernel


def effective(netlink: RouteSocket, names: dict[int, str]) -> list[str]:
    """The main table's routes as lines like "10.0.0.0/24 dev eth0 rto_min 50ms"; `names` by index."""
    body = RTMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0, 0)
    return sorted(line for payload in netlink.dump(RTM_GETROUTE, body) for line in _line(payload, names))


def _line(payload: bytes, names: dict[int, str]) -> Iterator[str]:
    family, length, _, _, table, _, _, kind, _ = RTMSG.unpack_from(payload)
    if table != RT_TABLE_MAIN or kind != RTN_UNICAST or family not in (socket.AF_INET, socket.AF_INET6):
        return
    found = attributes(payload[RTMSG.size :])
    words = ["default" if length == 0 else f"{socket.inet_ntop(family, found[RTA_DST])}/{length}"]
    if RTA_GATEWAY in found:
        words += ["via", socket.inet_ntop(family, found[RTA_GATEWAY])]
    if RTA_OIF in found:
        index = int.from_bytes(found[RTA_OIF], "little")
        words += ["dev", names.get(index, str(index))]
    held = attributes(found.get(RTA_METRICS, b""))
    words += [f"{name} {_shown(name, held[number])}" for name, number in METRICS.items() if number in held]
    yield " ".join(words)


def _shown(name: str, value: bytes) -> str:
    show: Callable[[bytes], str] = SHOWN.get(name, lambda raw: str(_int(raw)))
    return show(value)


def _int(raw: bytes) -> int:
    return int(struct.unpack("=I", raw)[0])


SHOWN: dict[str, Callable[[bytes], str]] = {
    "cc_algo": lambda raw: raw.rstrip(b"\0").decode(),
    "features": lambda raw: "ecn" if _int(raw) & FEATURES["ecn"] else str(_int(raw)),
    "rto_min": lambda raw: f"{_int(raw)}ms",
    "rtt": lambda raw: f"{_int(raw) / PER_MS['rtt']:g}ms",
    "rttvar": lambda raw: f"{_int(raw) / PER_MS['rttvar']:g}ms",
}
