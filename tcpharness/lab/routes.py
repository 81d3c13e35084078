"""Routes and their metrics, to the kernel and back.

Units differ: a plan has times in nanoseconds, the kernel in milliseconds, some of them scaled.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from pyroute2.netlink import NLM_F_CREATE, NLM_F_REPLACE, nlmsg
from pyroute2.netlink.rtnl import (
    RTM_DELROUTE,
    RTM_GETROUTE,
    RTM_NEWROUTE,
    rt_proto,
    rt_scope,
    rt_type,
)
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from tcpharness.lab.links import family_of
from tcpharness.lab.netlink import Attribute, Request, RouteSocket, nested
from tcpharness.scenario.plan import RoutePlan

MAIN, LOCAL = 254, 255  # tables
UNREACHABLE_METRIC = 1  # before every other one: an IPv6 route of another kind is not replaced
IP6_CONNECTED_METRIC = 256  # IP6_RT_PRIO_ADDRCONF: a route on a link has to have it to replace the kernel's

NS_PER_MS = 1_000_000
# iproute2's names: the kernel's, without RTAX_
METRICS = (
    "mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit", "initcwnd",
    "features", "rto_min", "initrwnd", "quickack", "cc_algo",
)  # fmt: skip
NUMBERS = {name: number for number, (name, _) in enumerate(rtmsg.metrics.nla_map)}
PER_MS = {"rtt": 8, "rttvar": 4, "rto_min": 1}  # srtt is kept in eighths, its variance in quarters
LOCKED = ("rto_min", "cwnd")  # without its lock bit the kernel takes no notice of them (dst_metric_locked)
FEATURES = {"ecn": 1}


def route(plan: RoutePlan, index: int) -> Request:
    """One route, in place of one that is there. Raises ValueError for a value that can't be."""
    on_link = plan.via is None
    scope = "link" if on_link and family_of(plan.dst) == socket.AF_INET else "universe"
    fields, attributes = _to(plan.dst, MAIN, "static", scope, "unicast")
    attributes.append(("RTA_OIF", index))
    if plan.via is not None:
        attributes.append(("RTA_GATEWAY", plan.via))
    elif fields["family"] == socket.AF_INET6:
        attributes.append(("RTA_PRIORITY", IP6_CONNECTED_METRIC))
    if plan.metrics:
        attributes.append(("RTA_METRICS", nested(*_metrics(plan.metrics))))
    return Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, fields, attributes, plan)


def unreachable(plan: RoutePlan) -> Request:
    """No way to there, in place of a route."""
    fields, attributes = _to(plan.dst, MAIN, "static", "universe", "unreachable")
    if fields["family"] == socket.AF_INET6:
        attributes.append(("RTA_PRIORITY", UNREACHABLE_METRIC))
    return Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, fields, attributes, plan)


def reachable(plan: RoutePlan) -> Request:
    """That is no longer so. In IPv4 a route that comes in its place is enough."""
    return replace(unreachable(plan), kind=RTM_DELROUTE, flags=0)


def own_address(ip: str, index: int) -> Request:
    """The route by which a host takes packets to its own IPv6 address.

    The kernel makes the same one, but leaves it to a worker thread: until then a SYN to that address
    is lost. That one comes later, with another metric, and changes nothing.
    """
    fields, attributes = _to(f"{ip}/128", LOCAL, "kernel", "universe", "local")
    attributes.append(("RTA_OIF", index))
    return Request(RTM_NEWROUTE, NLM_F_CREATE, fields, attributes, f"route to its own {ip}")


def no_own_address(ip: str, index: int) -> Request:
    """That route is taken away again: the kernel takes its own with the address, and leaves this one."""
    return replace(own_address(ip, index), kind=RTM_DELROUTE, flags=0)


def _to(dst: str, table: int, proto: str, scope: str, kind: str) -> tuple[dict[str, int], list[Attribute]]:
    """Where to, in which table, by whom and how: the fields and attributes that every route has."""
    prefix, _, length = dst.partition("/")
    fields = {
        "family": family_of(prefix),
        "dst_len": int(length),
        "table": table,
        "proto": rt_proto[proto],
        "scope": rt_scope[scope],
        "type": rt_type[kind],
    }
    return fields, [("RTA_DST", prefix)]


def _metrics(metrics: dict[str, int | str]) -> Iterator[Attribute]:
    yield ("RTAX_LOCK", sum(1 << NUMBERS[_rtax(name)] for name in LOCKED if name in metrics))
    for name, value in metrics.items():
        yield (_rtax(name), value if name == "cc_algo" else _value(name, value))


def _rtax(name: str) -> str:
    return f"RTAX_{name.upper()}"


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
    return sorted(line for held in netlink.dump(RTM_GETROUTE) for line in _line(held, names))


def _line(held: nlmsg, names: dict[int, str]) -> Iterator[str]:
    if (held["table"], held["type"]) != (MAIN, rt_type["unicast"]):
        return
    if held["family"] not in (socket.AF_INET, socket.AF_INET6):
        return
    found = dict(held["attrs"])
    words = [f"{found['RTA_DST']}/{held['dst_len']}" if held["dst_len"] else "default"]
    if "RTA_GATEWAY" in found:
        words += ["via", found["RTA_GATEWAY"]]
    if "RTA_OIF" in found:
        index = found["RTA_OIF"]
        words += ["dev", names.get(index, str(index))]
    metrics = dict(found["RTA_METRICS"]["attrs"]) if "RTA_METRICS" in found else {}
    words += [f"{name} {_shown(name, metrics[_rtax(name)])}" for name in METRICS if _rtax(name) in metrics]
    yield " ".join(words)


def _shown(name: str, value: Any) -> str:
    show: Callable[[Any], str] = SHOWN.get(name, str)
    return show(value)


SHOWN: dict[str, Callable[[int], str]] = {
    "features": lambda raw: "ecn" if raw & FEATURES["ecn"] else str(raw),
    "rto_min": lambda raw: f"{raw}ms",
    "rtt": lambda raw: f"{raw / PER_MS['rtt']:g}ms",
    "rttvar": lambda raw: f"{raw / PER_MS['rttvar']:g}ms",
}
