"""Checksums, lengths, flags, and bytes that change."""

from __future__ import annotations

from tcpharness.analysis.finding import Finding
from tcpharness.analysis.hit import Hit
from tcpharness.analysis.state import Side
from tcpharness.packet.segment import FIN, PSH, SYN, URG, Segment, flags_text, seq_diff

MS = 1_000_000
OFFLOADS = {
    "partial": "the field holds the pseudo-header's sum: the device computes the rest",
    "lso": "the field holds the pseudo-header's sum without the length: segmentation is left to the device",
    "zeroed": "the field is zero: left to the device, or anonymised",
    "super": "larger than the MSS: the device cuts it and computes the sums",
    "rewritten": "every field is wrong by one amount: addresses or ports were rewritten since",
    "altered": "wrong, but taken by the receiver: the bytes were changed since, by whoever made this capture",
}


def bad_tcp_checksum(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A whole segment whose TCP checksum is wrong, and is no artefact of offload.

    why it matters: Its receiver drops it and counts it in TcpInCsumErrors; the sender has to send again.
    what to do: A cable, a port, a switch's memory; if all are wrong by one amount, a rewriting device.
    limits: Not decidable for snapped segments. Damage under a sum that was made anew is invisible to TCP.
    fires: a flipped bit
        0.000 > P. 1:11(10) ack 1 [cksum bad]
    silent: left to offload
        0.000 > P. 1:11(10) ack 1 [cksum offload]
    """
    if this.cksum != "bad":
        return None
    return Hit(
        f"cksum 0x{segment.cksum:04x}, should be 0x{this.cksum_right:04x}",
        detail={"cksum": segment.cksum, "right": this.cksum_right},
        keep=this.keep_bad,
    )


def bad_ip_checksum(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An IPv4 header whose checksum is wrong; zero is an artefact of offload and not reported.

    why it matters: Dropped by the next hop and counted in IpInHdrErrors; TCP never sees it.
    what to do: As for bad_tcp_checksum; the damage is on this link, for every router makes the sum anew.
    limits: IPv6 has none.
    fires: damaged
        0.000 > P. 1:11(10) ack 1 [ip_cksum bad]
    silent: right
        0.000 > P. 1:11(10) ack 1
    """
    if this.cksum != "ip":
        return None
    return Hit(
        f"header checksum 0x{segment.ip_cksum:04x}, should be 0x{this.cksum_right:04x}",
        detail={"cksum": segment.ip_cksum, "right": this.cksum_right},
        keep=this.keep_bad,
    )


def checksum_offload(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Checksums that are not there yet: captured before the device computed them. Once a direction.

    why it matters: Nothing is wrong, though tcpdump -v says incorrect. Tools that drop them see nothing.
    what to do: Nothing; to silence other tools, `ethtool -K IFACE tx off`, or capture at the other side.
    limits: The sum that offload leaves occurs by chance once in 65536 segments.
    fires: loopback
        0.000 > P. 1:11(10) ack 1 [cksum offload]
    fires: its payload was blanked since
        0.000 > P. 1:11(10) ack 1 [cksum 0x1234]
        0.001 > P. 11:31(20) ack 1 [cksum 0x1235]
        0.002 > P. 31:61(30) ack 1 [cksum 0x2236]
    silent: computed
        0.000 > P. 1:11(10) ack 1
    """
    if this.cksum in ("", "bad", "ip") or this.offload_said:
        return None
    hit = Hit(
        OFFLOADS[this.cksum], kind=this.cksum, detail={"cksum": segment.cksum, "right": this.cksum_right}
    )
    if this.cksum == "rewritten":
        hit.replaces = withdrawn(this.bad_findings + other.bad_findings)
        this.bad_findings = other.bad_findings = ()
    elif this.cksum == "altered":
        hit.replaces = withdrawn(this.bad_findings)
        this.bad_findings = ()
    return hit


def withdrawn(findings: tuple[Finding, ...]) -> tuple[tuple[Finding, Finding | None], ...]:
    return tuple((finding, None) for finding in findings)


def checksum_bad_but_accepted(segment: Segment, this: Side, other: Side) -> Hit | None:
    """An ACK of bytes that came here with a wrong checksum only: their receiver has had them whole.

    why it matters: They were damaged on the way to the capture, or changed in the file (blanked payload);
        the connection was not harmed. It takes the place of bad_tcp_checksum, once the ACK is seen.
    what to do: Look at the capturing card or the mirror port; ask who has edited the file.
    limits: After three a direction's sums count for nothing (checksum_offload, kind altered).
    fires: acknowledged all the same
        0.000 > P. 1:11(10) ack 1 [cksum bad]
        0.001 < . 1:1(0) ack 11
    silent: sent again, whole
        0.000 > P. 1:11(10) ack 1 [cksum bad]
        0.200 > P. 1:11(10) ack 1
        0.201 < . 1:1(0) ack 11
    """
    taken = [each for each in other.damaged if seq_diff(segment.ack, each.end) >= 0]
    if not taken:
        return None
    first = taken[0]
    old = [each.finding for each in taken if each.finding is not None]
    number = f"{len(taken)} segments" if len(taken) > 1 else "a segment"
    return Hit(
        f"{number} with a wrong checksum, acknowledged in frame {segment.frame}",
        frame=first.frame,
        time_ns=first.time_ns,
        seq=first.seq,
        len=seq_diff(first.end, first.seq),
        count=len(taken),
        of_other=True,
        replaces=withdrawn(tuple(old)),
    )


def corrupted_then_retransmitted(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A segment with a wrong checksum, and then the same bytes again with a right one.

    why it matters: Proof that the path damages data, not only that the capture does.
    what to do: As for bad_tcp_checksum.
    limits: A good copy that this capture does not hold is not seen.
    fires: repaired
        0.000 > P. 1:11(10) ack 1 [cksum bad]
        0.200 > P. 1:11(10) ack 1
    silent: other bytes
        0.000 > P. 1:11(10) ack 1
        0.200 > P. 11:21(10) ack 1
    """
    if this.repairs is None:
        return None
    ago = segment.time_ns - this.repairs.time_ns
    return Hit(
        f"frame {this.repairs.frame} held these bytes with a wrong checksum, {ago / MS:.3f} ms before",
        detail={"damaged_frame": this.repairs.frame, "elapsed_ns": ago},
    )


def impossible_flags(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A combination of flags that no TCP sends: none, SYN-FIN, SYN-RST, FIN without ACK, Christmas tree.

    why it matters: A scanner that looks how stacks answer, or a broken device.
    what to do: Look who sends them, and drop them at the border.
    limits: Reserved bits, ECE, CWR and AE are not judged.
    fires: null
        0.000 > none 1:1(0)
    fires: Christmas tree
        0.000 > FPU 1:1(0)
    fires: SYN and FIN
        0.000 > SF 0:0(0)
    silent: FIN with ACK
        0.000 > F. 1:1(0) ack 1
    silent: an ECN SYN
        0.000 > SEW 0:0(0)
    """
    flags = segment.flags
    xmas = flags & (FIN | PSH | URG) == FIN | PSH | URG and not flags & SYN
    kind = "null" if not flags & 63 else "xmas" if xmas else flags_text(flags & 63)
    return Hit(f"Flags [{flags_text(flags)}]", kind=kind)


def malformed(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Lengths that lie, options past the header, a data offset below 5.

    why it matters: A broken sender or one that tests yours; parsers have died of each.
    what to do: Look at the bytes; make sure that your monitor survives them.
    limits: Only what the headers of IP and TCP say.
    fires: a header of 16 bytes
        0.000 > P. 1:11(10) ack 1 [offset 4]
    silent: none
        0.000 > P. 1:11(10) ack 1
    """
    return Hit(segment.malformed or "")


def overlap_conflict(segment: Segment, this: Side, other: Side) -> Hit | None:
    """Bytes that were sent before and are now others.

    why it matters: A sender never changes what it sent: injection, evasion of monitors, or a broken device.
    what to do: Compare both payloads; find who sent each by TTL and IP id.
    limits: Only bytes that are still remembered: those in flight and the last few acknowledged.
    fires: other bytes
        0.000 > P. 1:4(3) ack 1 [payload "abc"]
        0.200 > P. 1:4(3) ack 1 [payload "xyz"]
    silent: the same bytes
        0.000 > P. 1:4(3) ack 1 [payload "abc"]
        0.200 > P. 1:4(3) ack 1 [payload "abc"]
    """
    return Hit("the same sequence numbers with other bytes than before")


def land(segment: Segment, this: Side, other: Side) -> Hit | None:
    """A segment from an address and port to themselves.

    why it matters: An old attack (LAND) that made hosts answer themselves.
    what to do: Drop at the border.
    limits: A program that connects to itself on loopback, by simultaneous open, looks the same.
    fires: to itself
        0.000 10.0.0.1.7 > 10.0.0.1.7: S 0:0(0)
    silent: to another port
        0.000 10.0.0.1.7 > 10.0.0.1.8: S 0:0(0)
    """
    return Hit("source and destination are the same")
