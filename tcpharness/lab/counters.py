"""The kernel's own counters of a namespace, by the names that nstat prints.

TCP counts IPv4 and IPv6 together. All are 64 bits wide since long ago, and never wrap in a run.
"""

from __future__ import annotations

from collections.abc import Iterator

from tcpharness.lab.netns import NetNs

# Pairs of lines, names and then values, after a prefix: "Tcp: RtoAlgorithm ..." and "Tcp: 1 ...".
PAIRED = ("/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat")
# One counter a line, its prefix part of the name: "Ip6InReceives 0".
SINGLE = "/proc/thread-self/net/snmp6"


def read(namespace: NetNs) -> dict[str, int]:
    """Every counter, as TcpRetransSegs, TcpExtTCPTimeouts, Ip6InReceives."""
    with namespace.entered():
        texts = [_text(path) for path in (*PAIRED, SINGLE)]
    counters: dict[str, int] = {}
    for text in texts[:-1]:
        counters.update(_paired(text))
    counters.update(_single(texts[-1]))
    return counters


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What has been counted between two readings; counters that have not moved are 0."""
    return {name: value - before.get(name, 0) for name, value in after.items()}


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:  # a kernel without IPv6
        return ""


def _paired(text: str) -> Iterator[tuple[str, int]]:
    lines = text.splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        prefix, *fields = names.split()
        for field, value in zip(fields, values.split()[1:], strict=False):
            yield prefix.rstrip(":") + field, int(value)


def _single(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        name, value = line.split()
        yield name, int(value, 0)


def loopback(namespace: NetNs) -> int:
    """Packets that its lo has carried."""
    with namespace.entered():
        lines = _text("/proc/thread-self/net/dev").splitlines()
    (words,) = (line.replace(":", " ").split() for line in lines if line.split(":")[0].strip() == "lo")
    return int(words[2])  # name, then bytes and packets received
