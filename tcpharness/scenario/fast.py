"""`time: fast`: the kernel's long timers made short; scenarios about the end of its patience take seconds.

All of it is per namespace and per route. What no kernel lets be changed stays: the first second of a
SYN's timer (RFC 6298 section 2.1), the first 200 ms of a window probe's and the 60 seconds of TIME-WAIT.

A route's `rto_min` of less than the delayed ACK (40 ms) would take every late ACK for a loss: the routes
get `quickack` as well.
"""

from __future__ import annotations

FACTOR = 10  # the kernel's shortest retransmission timeout is 200 ms, ours 20 ms
RTO_MIN_NS = 200_000_000 // FACTOR

SETTINGS = {
    "net.ipv4.tcp_rto_min_us": str(RTO_MIN_NS // 1000),
    "net.ipv4.tcp_rto_max_ms": "1000",  # the least that it takes
    # The kernel reckons patience in timeouts that begin at 200 ms, whatever the shortest one is
    # (tcp_model_timeout): two come to 1.4 s. After 20, 40, ... 640 ms and a second, that is at 2.3 s.
    "net.ipv4.tcp_retries2": "2",
    "net.ipv4.tcp_orphan_retries": "2",
    "net.ipv4.tcp_syn_retries": "1",
    "net.ipv4.tcp_synack_retries": "1",
    # Whole seconds, at least one: dead two seconds after the last word.
    "net.ipv4.tcp_keepalive_time": "1",
    "net.ipv4.tcp_keepalive_intvl": "1",
    "net.ipv4.tcp_keepalive_probes": "1",
    "net.ipv4.tcp_fin_timeout": "1",
}
METRICS: dict[str, int | str] = {"rto_min": RTO_MIN_NS, "quickack": 1}  # on every route

# Without it back-off goes on for minutes (kernels before 6.15). tcp_rto_min_us can be done without: routes.
NEEDED = ("net.ipv4.tcp_rto_max_ms",)
