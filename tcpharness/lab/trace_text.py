"""Lines of trace_pipe as events. Pure: text in, values out.

    python-25510 [000] ..s1. 20002.125099: tcp_send_reset: skbaddr=0000.. src=10.0.0.1:1 dest=10.0.0.2:5 ...

kfree_skb knows no addresses. It was for a socket that another event had named, or the same skb was in
the hands of one just before (the bad checksum, the reset that answers it, the probe): so its flow is
theirs. What can't be told so belongs to nobody. The address of an skb that was used up is soon
another's, and frames that a middlebox's own stack throws away are many: only reasons that TCP gives
can follow an event of TCP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tcpharness.evidence import TraceEvent

LINE = re.compile(r"\s(\d+)\.(\d{6}): (\w+): (.*)")
LOST = re.compile(r"CPU:\d+ \[LOST (\d+) EVENTS\]")
FIELD = re.compile(r"(\w+)(?:=|: )(\S+)")
END = re.compile(r"\[?([0-9a-fA-F.:]+?)\]?:(\d+)$")
# Reasons of kfree_skb that TCP gives; all others are found before a packet comes to it.
OF_TCP = ("TCP_", "SOCKET_", "NO_SOCKET", "PROTO_MEM")
AT_ONCE = ("tcp_bad_csum", "tcp_send_reset")  # an skb that one of these has named is freed next
MOST_KNOWN = 4096

Ends = tuple[tuple[str, int], tuple[str, int]]  # the host that it happened at, then the other side


@dataclass(slots=True)
class Reader:
    """Remembers which buffers and sockets are whose. `epoch_ns` makes the trace's clock CLOCK_REALTIME."""

    epoch_ns: int = 0
    lost: int = 0
    _sockets: dict[str, Ends] = field(default_factory=dict)  # by their addresses
    _skbs: dict[str, tuple[Ends, str]] = field(default_factory=dict)  # and the event that named it last

    def read(self, text: str) -> Iterator[TraceEvent]:
        for line in text.splitlines():
            lost = LOST.search(line)
            if lost:
                self.lost += int(lost[1])
                continue
            found = LINE.search(line)
            if found:
                seconds, micros, name, rest = found.groups()
                time_ns = self.epoch_ns + (int(seconds) * 1_000_000 + int(micros)) * 1000
                fields = dict(FIELD.findall(rest))
                yield self._event(time_ns, name, fields)

    def _event(self, time_ns: int, name: str, fields: dict[str, str]) -> TraceEvent:
        ends = ends_of(name, fields)
        if ends is not None:
            self._learn(name, fields, ends)
        elif name == "kfree_skb":
            ends = self._owner(fields)
        here, there = ends or (("", 0), ("", 0))
        return TraceEvent(time_ns, name, here, there, fields.get("reason", ""), int(fields.get("err", "0")))

    def _learn(self, name: str, fields: dict[str, str], ends: Ends) -> None:
        for known in (self._sockets, self._skbs):
            if len(known) > MOST_KNOWN:
                known.clear()
        if is_one(fields.get("skaddr", "")):
            self._sockets[fields["skaddr"]] = ends
        if is_one(fields.get("skbaddr", "")):
            self._skbs[fields["skbaddr"]] = ends, name

    def _owner(self, fields: dict[str, str]) -> Ends | None:
        """Of an skb that is freed; whatever its address names next is another one."""
        named = self._skbs.pop(fields.get("skbaddr", ""), None)
        reason, sock = fields.get("reason", ""), fields.get("rx_sk", "")
        if not reason.startswith(OF_TCP):
            return None
        if named is not None and named[1] in AT_ONCE:
            return named[0]
        if is_one(sock):
            return self._sockets.get(sock)
        # Kernels before 6.11 do not tell the socket; without one at all there was no probe either.
        return named[0] if named is not None and reason != "NO_SOCKET" else None


def is_one(handle: str) -> bool:
    """True of an address; a null pointer is zeros, or in words."""
    return bool(handle.strip("0")) and handle != "(null)"


def ends_of(name: str, fields: dict[str, str]) -> Ends | None:
    """The two ends, the one first at whose host it happened."""
    if "sport" in fields and "saddr" in fields:
        six = fields.get("family") == "AF_INET6"
        source, target = fields["saddrv6" if six else "saddr"], fields["daddrv6" if six else "daddr"]
        return (plain(source), int(fields["sport"])), (plain(target), int(fields["dport"]))
    source_end, target_end = END.match(fields.get("src", "")), END.match(fields.get("dest", ""))
    if source_end is None or target_end is None:
        return None
    ends = (plain(source_end[1]), int(source_end[2])), (plain(target_end[1]), int(target_end[2]))
    # A bad checksum is told of with the segment's own ends: it happened at the target.
    return (ends[1], ends[0]) if name == "tcp_bad_csum" else ends


def plain(address: str) -> str:
    return address.removeprefix("::ffff:")
