"""A segment with fields left out: absent is *default* when crafting and *don't care* when matching."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class SegmentSpec:
    """Header fields in the project's one spelling; None leaves a field out (RFC 9293 3.1, RFC 791 3.1)."""

    sport: int | None = None
    dport: int | None = None
    seq: int | None = None
    ack: int | None = None
    flags: str | None = None  # tcpdump's letters: "S.", "PF.", "none"
    win: int | None = None
    urg: int | None = None
    cksum: int | None = None
    offset: int | None = None  # data offset in 32-bit words
    reserved: int | None = None
    mss: int | None = None
    wscale: int | None = None
    sack_ok: bool | None = None
    tsval: int | None = None
    tsecr: int | None = None
    ttl: int | None = None  # IPv6: hop limit
    tos: int | None = None  # IPv6: traffic class
    id: int | None = None
    df: bool | None = None
    ip_cksum: int | None = None
    ip_len: int | None = None  # total length; IPv6: payload length

    def given(self) -> dict[str, int | str | bool]:
        """Only the fields that are there, by name."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in pairs if value is not None}
