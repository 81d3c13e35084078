"""Lines of trace_pipe as events. Pure: text in, values out.

    python-25510 [000] ..s1. 20002.125099: tcp_send_reset: skbaddr=0000.. src=10.0.0.1:1 dest=10.0.0.2:5 ...

kfree_skb knows no addresses. The same skb was in the hands of an event just before that does (the
probe, the bad checksum, the reset that answers it), or it was for a socket that another one named: so
its flow is theirs. What can't be told so belongs to nobody.
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
NOBODY = "0" * 8
MOST_KNOWN = 4096

Ends = tuple[tuple[str, int], tuple[str, int]]  # the host that it happened at, then the other side


@dataclass(slots=True)
class Reader:
    """Remembers which buffers and sockets are whose. `epoch_ns` makes the trace's clock CLOCK_REALTIME."""

    epoch_ns: int = 0
    lost: int = 0
    _known: dict[str, Ends] = field(default_factory=dict)  # by an skb's or a socket's address

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
        handles = [fields.get(key, "") for key in ("skbaddr", "rx_sk", "skaddr")]
        handles = [handle for handle in handles if handle.strip(NOBODY[:1])]
        if ends is None:
            ends = next((self._known[handle] for handle in handles if handle in self._known), None)
        elif handles:
            if len(self._known) > MOST_KNOWN:
                self._known.clear()
            self._known.update(dict.fromkeys(handles, ends))
        if name == "kfree_skb" and handles:
            self._known.pop(handles[0], None)  # the next skb there is another one
        here, there = ends or (("", 0), ("", 0))
        return TraceEvent(time_ns, name, here, there, fields.get("reason", ""), int(fields.get("err", "0")))


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
