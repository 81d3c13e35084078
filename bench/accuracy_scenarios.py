"""Random scenarios of trouble on a path, the same again with the same seed: ordinary YAML."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

CONTROLS = ("cubic", "cubic", "reno", "bbr")
PORT = 105


@dataclass(slots=True)
class Drawn:
    """One scenario as it is drawn, piece by piece."""

    draw: Random
    what: list[str] = field(default_factory=list)  # for its title
    client: dict[str, Any] = field(default_factory=dict)  # impairments of what it sends
    server: dict[str, Any] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)
    sysctl: dict[str, dict[str, Any]] = field(default_factory=lambda: {"client": {}, "server": {}})

    def chance(self, share: float, what: str) -> bool:
        """True as often as that; it is then in the title."""
        hit = self.draw.random() < share
        if hit:
            self.what.append(what)
        return hit

    def share(self, least: float, most: float) -> str:
        return f"{self.draw.uniform(least, most):.2f}%"

    def ms(self, least: int, most: int) -> str:
        return f"{self.draw.randint(least, most)}ms"


def scenario_text(seed: int, number: int, controls: tuple[str, ...] = CONTROLS) -> str:
    """The YAML of the scenario with this number, from 0."""
    drawn = Drawn(Random(f"{seed}/{number}"))
    link = path_of(drawn)
    trouble_of_data(drawn)
    trouble_of_acks(drawn)
    settings(drawn)
    sudden(drawn)
    endpoints = talk(drawn, controls)
    ip = drawn.draw.choice((4, 6))
    impaired = {"client": drawn.client, "server": drawn.server}
    rto_min = drawn.draw.choice(("100ms", "200ms", "200ms"))
    parts: dict[str, Any] = {
        "scenario": f"Accuracy {seed}/{number}: {', '.join(drawn.what) or 'nothing wrong'}",
        "ip": ip,
        "timing": "kernel",
        "timeout": "60s",
        "seed": drawn.draw.getrandbits(31),
        "hosts": {
            host: {
                "sysctl": drawn.sysctl[host],
                "routes": [{"to": "server" if host == "client" else "client", "rto_min": rto_min}],
            }
            for host in ("client", "server")
        },
        "links": [{"join": ["client", "server"], **link, "from": impaired}],
        "endpoints": endpoints,
        "faults": drawn.faults,
        "expect": {
            "faults": {fault["name"]: "0.." for fault in drawn.faults},
            "counters": {host: {"TcpRetransSegs": "0.."} for host in ("client", "server")},
        },
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in parts.items() if value not in ([], {}))


def path_of(drawn: Drawn) -> dict[str, Any]:
    """Delays are of both directions; what a direction says of itself replaces the link's."""
    delay = drawn.draw.choice((1, 2, 5, 10, 20, 40))
    for way in (drawn.client, drawn.server):
        way["delay"] = f"{delay}ms"
    if drawn.chance(0.4, "jitter"):
        by = {"by": drawn.ms(1, max(1, delay // 2)), "shape": drawn.draw.choice(("uniform", "normal"))}
        drawn.client["jitter"] = drawn.server["jitter"] = by
    if drawn.chance(0.2, "a narrow link"):
        drawn.client |= {"rate": drawn.draw.choice(("2mbit", "5mbit", "20mbit")), "queue": "20 packets"}
    return {}


def trouble_of_data(drawn: Drawn) -> None:
    if drawn.chance(0.3, "bursts"):
        drawn.client["loss"] = {"enter": drawn.share(0.3, 4), "leave": drawn.share(15, 60)}
    elif drawn.chance(0.7, "loss"):
        drawn.client["loss"] = drawn.share(0.5, 8)
    if drawn.chance(0.25, "reordering"):
        by = drawn.draw.choice((1, 1, 2, 4, 8))
        drawn.client["reorder"] = {"chance": drawn.share(0.5, 5), "by": by}
    if drawn.chance(0.2, "duplication"):
        drawn.client["duplicate"] = drawn.share(0.5, 5)


def trouble_of_acks(drawn: Drawn) -> None:
    if drawn.chance(0.35, "lost ACKs"):
        drawn.server["loss"] = drawn.share(1, 20)
    if drawn.chance(0.1, "duplicated ACKs"):
        drawn.server["duplicate"] = drawn.share(0.5, 5)
    if drawn.chance(0.1, "reordered ACKs"):
        drawn.server["reorder"] = {"chance": drawn.share(0.5, 5), "by": 1}


def settings(drawn: Drawn) -> None:
    both = drawn.sysctl.values()
    off = [
        ("net.ipv4.tcp_sack", 0.2, "no SACK"),
        ("net.ipv4.tcp_timestamps", 0.3, "no timestamps"),
        ("net.ipv4.tcp_recovery", 0.15, "no RACK"),
    ]
    for name, share, what in off:
        if drawn.chance(share, what):
            for of_host in both:
                of_host[name] = 0
    probes = 0 if drawn.chance(0.3, "no probes") else 3
    for of_host in both:
        of_host["net.ipv4.tcp_early_retrans"] = probes
    if drawn.chance(0.25, "a small window"):
        most = drawn.draw.choice((8192, 16384, 32768))
        drawn.sysctl["server"]["net.ipv4.tcp_rmem"] = f"4096 {most} {most}"


def sudden(drawn: Drawn) -> None:
    """What happens once: a handshake that suffers, a delay that grows."""
    if drawn.chance(0.05, "a lost SYN"):
        drawn.faults.append({"name": "syn", "when": {"from": "client", "flags": "S"}, "do": "drop"})
    if drawn.chance(0.04, "a lost SYN-ACK"):
        drawn.faults.append({"name": "syn-ack", "when": {"from": "server", "flags": "S."}, "do": "drop"})
    if drawn.chance(0.2, "a delay that grows"):
        when = {"from": drawn.draw.choice(("client", "server")), "time": drawn.ms(50, 400)}
        by = drawn.ms(60, 400)
        times = drawn.draw.randint(3, 40)
        drawn.faults.append({"name": "later", "when": {**when, "times": times}, "do": {"delay": by}})
    if drawn.chance(0.1, "an outage"):
        lost: dict[str, Any] = {
            "from": "client",
            "byte": drawn.draw.randint(2000, 40000),
            "times": drawn.draw.randint(1, 3),
        }
        drawn.faults.append({"name": "outage", "when": lost, "do": "drop"})


def talk(drawn: Drawn, controls: tuple[str, ...]) -> dict[str, Any]:
    """The client sends, in one piece or in several; the server may answer, or be slow to read."""
    draw = drawn.draw
    sends: list[Any] = []
    if drawn.chance(0.35, "pieces"):
        for _ in range(draw.randint(3, 12)):
            sends += [{"send": f"{draw.randint(1, 12000)} B"}, {"pause": drawn.ms(5, 120)}]
    else:
        sends.append({"send": f"{draw.choice((16, 64, 128, 256, 512, 768))} KiB"})
    reads: list[Any] = []
    if drawn.chance(0.15, "a slow reader"):
        reads += [{"receive": "1 B"}, {"pause": drawn.ms(50, 400)}]
    reads.append({"receive": "eof"})
    if drawn.chance(0.25, "an answer"):
        reads.append({"send": f"{draw.randint(1, 120_000)} B"})
    control = draw.choice(controls)
    drawn.what.append(control)
    chosen = {"congestion": control}
    return {
        "server": {"on": "server", "listen": PORT, "set": chosen, "do": [*reads, "close"]},
        "client": {
            "on": "client",
            "connect": "server",
            "set": chosen,
            "do": [*sends, "shutdown", {"receive": "eof"}, "close"],
        },
    }
