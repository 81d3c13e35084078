"""The settings that every host starts with, so that a lab carries no frame that a scenario did not ask for.

A new network namespace has the kernel's own defaults for most settings and the first namespace's
for a few (tcp_rmem, tcp_wmem, tcp_congestion_control): those are pinned, or two machines would
judge the same scenario differently. A scenario's own `sysctl` comes last and wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

# IPv6 speaks by itself: router solicitations, duplicate address detection, link-local addresses.
SILENT_IPV6 = {
    "accept_ra": "0",
    "autoconf": "0",
    "accept_dad": "0",
    "dad_transmits": "0",
    "router_solicitations": "0",
    "addr_gen_mode": "1",  # none: a link-local address joins groups, and MLD reports that
}

TCP = {
    # A stalled machine makes tail-loss probes of its own; a scenario about them sets 3.
    "net.ipv4.tcp_early_retrans": "0",
    # Nor must its pauses, of a second and more on a shared machine, make timeouts of their own (kernels
    # from 6.11 on). A scenario about timeouts gives a route its rto_min; the kernel's own is 200 ms.
    "net.ipv4.tcp_rto_min_us": "3000000",
    # A test process that is not scheduled for a while must not close the window by it.
    "net.ipv4.tcp_rmem": "4096 6291456 6291456",
    "net.ipv4.tcp_wmem": "4096 16384 4194304",
    # They follow the size of the table of sockets, which is a small one here (netns.py).
    "net.ipv4.tcp_max_syn_backlog": "2048",
    "net.ipv4.tcp_max_tw_buckets": "131072",
    # What one connection learned must not change the next.
    "net.ipv4.tcp_no_metrics_save": "1",
    "net.ipv4.tcp_congestion_control": "cubic",
}

IP = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    # One CPU for what a veth receives: frames stay in order when a sender is moved to another.
    "net.core.rps_default_mask": "1",
}


def defaults(ip: Literal[4, 6]) -> Iterator[tuple[str, str]]:
    """(name, value) pairs, to be set before a host's interfaces are made: `default` is what they copy."""
    for scope in ("all", "default"):
        for name, value in SILENT_IPV6.items():
            yield f"net.ipv6.conf.{scope}.{name}", value
        yield f"net.ipv6.conf.{scope}.disable_ipv6", "0" if ip == 6 else "1"
    yield from IP.items()
    yield from TCP.items()


def forwarding(ip: Literal[4, 6]) -> str:
    """The setting that makes a host a router."""
    return "net.ipv4.ip_forward" if ip == 4 else "net.ipv6.conf.all.forwarding"
