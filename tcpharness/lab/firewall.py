"""A host's firewall: one nftables table that decides about connection attempts, and only about those.

It keeps no state. Connection tracking would judge a segment before TCP does, and drop as invalid what
a scenario sends on purpose: a forged reset, a window probe, an ACK out of the window. So whatever is not
the first segment of a handshake (SYN without ACK) passes, and TCP itself sees and counts it.
"""

from __future__ import annotations

import os
import re
import subprocess

from tcpharness.lab.netns import NetNs
from tcpharness.packet.canary import KERNEL_INTERFACE
from tcpharness.scenario.model import Firewall

TABLE = "inet tcpharness"
ENDINGS = {
    "accept": [],
    "drop": ["counter drop"],
    "reject": ["meta l4proto tcp counter reject with tcp reset", "counter reject"],
}
NFT_S = 10.0
COUNTER = re.compile(r"\bcounter packets (\d+) bytes (\d+)")


class FirewallRefused(Exception):
    """nft's own words."""


def ruleset(firewall: Firewall) -> str:
    """The rules as nft reads them."""
    rules = [
        f"iifname {KERNEL_INTERFACE} accept",
        *_ports(_strict(firewall, firewall.closed), "reject with tcp reset"),
        *_ports(_strict(firewall, firewall.filtered), "drop"),
        "tcp flags & (syn | ack) != syn counter accept",
        # Errors about our own segments (fragmentation needed, unreachable) belong to TCP's work.
        "meta l4proto { icmp, ipv6-icmp } counter accept",
        *_ports(firewall.open, "accept"),
        *_ports(firewall.closed, "reject with tcp reset"),
        *_ports(firewall.filtered, "drop"),
        *ENDINGS[firewall.policy],
    ]
    lines = "\n".join(f"    {rule}" for rule in rules)
    head = "type filter hook input priority filter; policy accept;"
    return f"table {TABLE} {{\n  chain input {{\n    {head}\n{lines}\n  }}\n}}\n"


def _strict(firewall: Firewall, ports: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(port for port in ports if port in firewall.strict)


def install(namespace: NetNs, firewall: Firewall, nft: str, *, again: bool = False) -> None:
    """Loads the rules, all or none; `again`: in place of those that may be there. Raises FirewallRefused, or
    OSError when nft does not start."""
    clear = f"table {TABLE} {{}}\ndelete table {TABLE}\n" if again else ""
    _run(namespace, [nft, "-f", "-"], clear + ruleset(firewall))


def counted(namespace: NetNs, nft: str) -> str:
    """The rules as the kernel has them, with what each has counted."""
    return _run(namespace, [nft, "list", "table", *TABLE.split()], "")


def rules(listing: str) -> list[dict[str, str | int]]:
    """Each rule that counts: its text without the counter, its packets and bytes."""
    found: list[dict[str, str | int]] = []
    for line in listing.splitlines():
        counter = COUNTER.search(line)
        if counter:
            text = " ".join((line[: counter.start()] + line[counter.end() :]).split())
            found.append({"rule": text, "packets": int(counter[1]), "bytes": int(counter[2])})
    return found


def _ports(ports: tuple[int, ...], verdict: str) -> list[str]:
    return [f"tcp dport {{ {', '.join(map(str, ports))} }} counter {verdict}"] if ports else []


def _run(namespace: NetNs, argv: list[str], text: str) -> str:
    with namespace.entered():
        done = subprocess.run(
            argv,
            input=text,
            capture_output=True,
            text=True,
            timeout=NFT_S,
            env={"PATH": os.defpath, "LC_ALL": "C"},
        )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise FirewallRefused(said[0])
    return done.stdout
