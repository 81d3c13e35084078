"""`tcpharness doctor --host`: TCP settings, what each means, and the throughput that they allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tcpharness.evidence import HostSettings
from tcpharness.scenario.setting_words import SETTINGS

RTTS_MS = (0.1, 1, 10, 50, 100, 200)
RATES = {"100 Mbit/s": 100_000_000, "1 Gbit/s": 1_000_000_000, "10 Gbit/s": 10_000_000_000}
UNSCALED = 65535
# What of a receive buffer the kernel offers as window: it measures how much of a buffer is payload, and
# begins with a half (TCP_DEFAULT_SCALING_RATIO).
WINDOW_SHARE = 2


def host_page(found: HostSettings, rtt_ms: float | None = None) -> str:
    """The whole page, in sections; `rtt_ms`: a round-trip time of somebody's own, besides the usual ones."""
    rtts = sorted({*RTTS_MS, *([rtt_ms] if rtt_ms else [])})
    sections = [
        ("settings", settings(found)),
        ("routes", found.routes or ["none"]),
        ("offload", offloads(found)),
        ("firewall: packets counted by each rule", rules(found)),
        ("throughput at most: window / round-trip time", ceilings(found, rtts)),
        ("what a path holds: rate x round-trip time (bandwidth-delay product)", products(rtts)),
        ("not known here", found.notes),
    ]
    parts = ["\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in sections if lines]
    return "\n\n".join(parts)


def settings(found: HostSettings) -> list[str]:
    rows = [(name, found.sysctl[name], words) for name, words in SETTINGS.items() if name in found.sysctl]
    return table(rows)


def offloads(found: HostSettings) -> list[str]:
    """Of each interface: those that are on, and its MTU."""
    lines = []
    for name, features in found.offload.items():
        on = ", ".join(feature for feature, state in features.items() if state) or "none"
        lines.append(f"{name}: mtu {found.mtu.get(name, '?')}; on: {on}")
    if any(any(features.values()) for features in found.offload.values()):
        lines.append("with these on, a capture here shows frames and checksums that are on no wire")
    return lines


def rules(found: HostSettings) -> list[str]:
    if not found.firewall:
        return [] if any("firewall" in note for note in found.notes) else ["none"]
    return table([(str(rule["packets"]), str(rule["rule"])) for rule in found.firewall])


def ceilings(found: HostSettings, rtts: Sequence[float]) -> list[str]:
    """Whichever window is smallest bounds a connection."""
    windows = list(named_windows(found))
    head = ("round-trip time", *(name for name, _ in windows))
    rows = [(f"{rtt:g} ms", *(rate(size * 8 / (rtt / 1000)) for _, size in windows)) for rtt in rtts]
    return table([head, *rows])


def named_windows(found: HostSettings) -> Iterator[tuple[str, int]]:
    scaled = found.sysctl.get("net.ipv4.tcp_window_scaling", "1") != "0"
    yield f"no window scaling ({size(UNSCALED)})", UNSCALED
    for name, setting, share in (
        ("receive window, first", "net.ipv4.tcp_rmem 1", WINDOW_SHARE),
        ("receive window, largest", "net.ipv4.tcp_rmem 2", WINDOW_SHARE),
        ("send buffer, largest", "net.ipv4.tcp_wmem 2", 1),
    ):
        key, place = setting.split()
        values = found.sysctl.get(key, "").split()
        if len(values) == 3:
            window = int(values[int(place)]) // share
            bounded = window if scaled or share == 1 else min(window, UNSCALED)
            yield f"{name} ({size(bounded)})", bounded


def products(rtts: Sequence[float]) -> list[str]:
    head = ("round-trip time", *RATES)
    rows = [(f"{rtt:g} ms", *(size(int(bits / 8 * rtt / 1000)) for bits in RATES.values())) for rtt in rtts]
    return table([head, *rows])


# --- figures and columns


def rate(bits: float) -> str:
    """1.3 Gbit/s, 524 Mbit/s, 80 kbit/s."""
    for unit, factor in (("Tbit/s", 1e12), ("Gbit/s", 1e9), ("Mbit/s", 1e6)):
        if bits >= factor:
            return f"{bits / factor:.3g} {unit}"
    return f"{bits / 1e3:.3g} kbit/s"


def size(number: int) -> str:
    """64 KiB, 1.2 MiB."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number} B"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell; the last one as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
