"""The rest of the kernel's TCP counters, a line each: name, what it counts, what to make of it.

Meanings are those of Linux 6.18's net/ipv4; a counter that older or newer kernels lack is said to.
"""

from __future__ import annotations

from collections.abc import Iterator

from tcpharness.report.glossary_mptcp_counters import TEXT as MPTCP
from tcpharness.report.term import Term

TCP = """
RtoAlgorithm | How retransmission timeouts are computed: 1 is "other" (RFC 4022). | Constant.
RtoMin | The smallest retransmission timeout, milliseconds. | Constant; a route's rto_min is not in it.
RtoMax | The largest retransmission timeout, milliseconds. | Constant.
MaxConn | The most connections that may be: -1, no limit. | Constant.
CurrEstab | Connections that are ESTABLISHED or CLOSE_WAIT now. | A gauge: its difference over time can be negative.
InSegs | Segments received, those with errors included. | With GRO a merged one counts once.
OutSegs | Segments sent, without retransmissions. | A SYN-ACK that is sent again is in it all the same.
"""

EXT = """
SyncookiesRecv | ACKs that brought a SYN cookie that is right. | Connections that were made in spite of a full queue.
SyncookiesFailed | ACKs without a connection whose cookie is wrong. | Stray ACKs, or a scan by ACK, once cookies were sent.
EmbryonicRsts | RSTs that ended a connection in SYN_RECV. | A half-open scan leaves them.
PruneCalled | Times that a receive queue was compacted for lack of room. | Buffers are too small, or a program does not read.
RcvPruned | Segments dropped because compacting the receive queue made no room. | They were not acknowledged: they come again.
OfoPruned | Times that an out-of-order queue was dropped for room. | All of it will be sent again.
OutOfWindowIcmps | ICMP errors about a sequence number that is not on its way. | A blind attack, or an old message (RFC 5927).
LockDroppedIcmps | ICMP errors that came while a program held the socket. | Harmless: the next one is heard.
ArpFilter | ARP requests not answered because of arp_filter. | Has nothing to do with TCP.
TW | TIME_WAIT sockets whose time has passed. | One for each connection that this side closed first.
TWKilled | TIME_WAIT sockets that went before their time. | Rare.
PAWSActive | SYN-ACKs answered by a RST: they echo a timestamp that no SYN had (RFC 7323 3.2). | Blind injection, or a proxy with timestamps of its own (tsecr_invalid).
PAWSEstab | Segments refused because their timestamp is older than the last (RFC 7323 5). | Old duplicates; many: two machines behind one address.
PAWSOldAck | Pure ACKs refused for an older timestamp, of data that had been acknowledged. | Reordered ACKs: harmless.
PAWSTimewait | Segments refused in TIME_WAIT for their timestamp. | Old duplicates of a connection that has ended.
PAWSPassive | Of old kernels (tcp_tw_recycle): SYNs refused for their timestamp. | Gone since 4.12.
TSEcrRejected | ACKs that would end a handshake, refused by a listener and answered by an ACK: they echo a timestamp that no SYN-ACK had. | Blind injection, or a broken middlebox. Recent kernels only.
BeyondWindow | Segments refused because they end beyond the window. | A sender that ignores the window. Recent kernels only.
DelayedACKs | ACKs that the delayed-ACK timer sent. | 40 ms of waiting each, at least.
DelayedACKLocked | Delayed ACKs put off because a program held the socket. | Harmless.
DelayedACKLost | Segments that came a second time, so that an ACK may have been lost or late. | Grows with a peer's spurious retransmissions.
ListenDrops | SYNs and last ACKs that a listener dropped, whatever the reason. | ListenOverflows and TCPReqQFullDrop are in it; the rest lacked memory or a route.
TCPHPHits | Segments taken by the fast path. | The healthy case.
TCPPureAcks | ACKs without data taken by the slow path. |
TCPHPAcks | ACKs taken by the fast path. |
TCPRenoRecovery | Recoveries begun by duplicate ACKs alone, without SACK. | The other side has no SACK.
TCPSackRecovery | Recoveries begun by SACK. | One for each loss event.
TCPSACKReneging | Times that what SACK had acknowledged was taken back. | Allowed (RFC 2018 8), and suspicious.
TCPSACKReorder | Times that SACK showed reordering. | The path reorders: losses may be none.
TCPRenoReorder | Times that duplicate ACKs showed reordering. |
TCPTSReorder | Times that timestamps showed reordering. |
TCPFACKReorder | Of old kernels: reordering seen by FACK. | Gone since 4.15.
TCPFullUndo | Recoveries undone: nothing had been lost (by timestamps). | Spurious fast retransmissions.
TCPPartialUndo | Recoveries undone in part: the first retransmissions were not needed. | Reordering, or delay that varies.
TCPDSACKUndo | Recoveries undone because DSACK told of duplicates. | Spurious fast retransmissions.
TCPLossUndo | Timeouts undone: nothing had been lost. | The RTO is too short for this path.
TCPLostRetransmit | Retransmissions that were lost as well. | Heavy loss, or a policer.
TCPRenoFailures | Recoveries that ended in a timeout, without SACK. |
TCPSackFailures | Recoveries that ended in a timeout, with SACK. |
TCPLossFailures | Timeouts again during the loss state. |
TCPSlowStartRetrans | Segments sent again after a timeout, besides the first. | What slow start repeats.
TCPLossProbeRecovery | Losses that a tail-loss probe repaired. | What would have been a timeout.
TCPRenoRecoveryFail | Timeouts during a recovery without SACK. |
TCPSackRecoveryFail | Timeouts during a recovery with SACK. | Retransmissions get lost as well.
TCPRcvCollapsed | Segments joined to save receive memory. | Small segments, full buffers.
TCPBacklogCoalesce | Segments joined while a program held the socket. | Harmless.
TCPDSACKOldSent | DSACKs sent for data that had been delivered. | The other side repeats needlessly.
TCPDSACKOfoSent | DSACKs sent for data that was already in the out-of-order queue. | The other side repeats needlessly.
TCPDSACKOfoRecv | DSACKs received about data beyond the acknowledged. | This side repeats needlessly.
TCPDSACKRecvSegs | Segments that DSACKs told of. | Not in older kernels.
TCPDSACKIgnoredOld | DSACKs not used: about too old data. |
TCPDSACKIgnoredNoUndo | DSACKs not used: nothing to undo. |
TCPDSACKIgnoredDubious | DSACKs not used: more than was sent twice. | A broken or hostile peer.
TCPAbortOnClose | Connections reset because a program closed with unread data. | Reset by design (RFC 2525 2.17); clients see ECONNRESET.
TCPAbortOnMemory | Connections reset for lack of memory, or too many orphans. | See tcp_mem, tcp_max_orphans.
TCPAbortOnLinger | Connections reset as FIN_WAIT2 had waited too long (linger2). |
TCPAbortFailed | RSTs that could not be sent for lack of memory. |
TCPMemoryPressures | Times that TCP's memory got short (tcp_mem). | All windows shrink.
TCPMemoryPressuresChrono | Milliseconds in which TCP's memory was short (tcp_mem). |
TCPSACKDiscard | SACK blocks that are none: out of range. | A broken middlebox that rewrites numbers.
TCPSpuriousRTOs | Timeouts that F-RTO found to be spurious (RFC 5682). | The RTO is too short, or the path stalled.
TCPMD5NotFound | Segments without the MD5 signature that is demanded. | BGP with a missing password.
TCPMD5Unexpected | Segments with an MD5 signature that nobody asked for. |
TCPMD5Failure | Segments with a wrong MD5 signature. | A wrong password, or forgery.
TCPSackShifted | Blocks joined in the send queue as SACK covered them. | Bookkeeping.
TCPSackMerged | Whole segments joined in the send queue as SACK covered them. | Bookkeeping.
TCPSackShiftFallback | SACKed blocks that could not be joined. | Bookkeeping.
TCPBacklogDrop | Segments dropped as a socket's backlog was full. | A program that holds its socket too long; the receive buffer's size bounds it.
PFMemallocDrop | Packets dropped that had used emergency memory. |
TCPMinTTLDrop | Segments dropped for a TTL below IP_MINTTL (RFC 5082). | BGP's protection at work.
TCPDeferAcceptDrop | ACKs without data ignored by a listener with TCP_DEFER_ACCEPT. | By design.
IPReversePathFilter | Packets dropped because their source lies elsewhere (rp_filter). | Asymmetric routes, or spoofing.
TCPTimeWaitOverflow | TIME_WAIT sockets ended at once: too many (tcp_max_tw_buckets). |
TCPReqQFullDrop | SYNs dropped: the SYN queue is full, and cookies are off. | Switch tcp_syncookies on.
TCPRetransFail | Retransmissions that could not be sent: no route, no memory, a full queue. | Local trouble, not the path's.
TCPRcvCoalesce | Segments joined in the receive queue. | Harmless.
TCPOFODrop | Out-of-order segments dropped for lack of room. | They come again.
TCPOFOMerge | Out-of-order segments that overlapped others. |
TCPFastOpenActive | Connections opened with data on the SYN (RFC 7413). |
TCPFastOpenActiveFail | SYN data that was not accepted. |
TCPFastOpenPassive | SYN data that was accepted. |
TCPFastOpenPassiveFail | SYN data refused for its cookie. |
TCPFastOpenPassiveAltKey | SYN data accepted under the second key. |
TCPFastOpenListenOverflow | SYN data refused: too many pending. |
TCPFastOpenCookieReqd | Cookies handed out. |
TCPFastOpenBlackhole | Times that Fast Open was switched off as it got nowhere. | A firewall swallows SYNs with data.
TCPSpuriousRtxHostQueues | Retransmissions not sent: the original is still in this host's queue. | Local congestion: a slow device or qdisc.
BusyPollRxPackets | Packets received by busy polling. |
TCPAutoCorking | Times that small writes were held back to be joined. | tcp_autocorking.
TCPWantZeroWindowAdv | Times that a window should have closed but may not shrink. | The receive buffer is full.
TCPOrigDataSent | Segments with payload sent for the first time. | The base for a retransmission rate.
TCPHystartTrainDetect | Slow starts ended by ACK trains (cubic). |
TCPHystartTrainCwnd | The congestion windows at those ends, summed. |
TCPHystartDelayDetect | Slow starts ended by growing delay (cubic). |
TCPHystartDelayCwnd | The congestion windows at those ends, summed. |
TCPACKSkippedSynRecv | ACKs not sent in SYN_RECV, to limit their rate. | tcp_invalid_ratelimit sets how many.
TCPACKSkippedPAWS | ACKs not sent to segments with old timestamps. |
TCPACKSkippedSeq | ACKs not sent to segments out of the window. | Many: two sides that disagree, an ACK storm cut short.
TCPACKSkippedFinWait2 | ACKs not sent in FIN_WAIT2. |
TCPACKSkippedTimeWait | ACKs not sent in TIME_WAIT. |
TCPACKSkippedChallenge | Challenge ACKs not sent (RFC 5961 7). |
TCPMTUPFail | Probes for a larger MTU that were lost. | RFC 4821; tcp_mtu_probing.
TCPMTUPSuccess | Probes for a larger MTU that arrived. |
TCPDelivered | Segments known to have arrived, by ACK or SACK. |
TCPDeliveredCE | Segments known to have arrived with a mark of congestion (ECN). |
TCPAckCompressed | ACKs spared because they follow each other too closely. | tcp_comp_sack_nr.
TCPZeroWindowDrop | Segments dropped because the window is closed. | A sender that ignores it; a probe with data.
TCPRcvQDrop | Segments dropped because the receive queue is full. |
TCPWqueueTooBig | Segments not cut smaller: the send queue is too long already. | SACK attacks of 2019 (CVE-2019-11478).
TcpTimeoutRehash | Timeouts that made a flow try another path (IPv6 flow label, txhash). |
TcpDuplicateDataRehash | Duplicates that made a receiver send its ACKs another way (IPv6 flow label, txhash). |
TCPMigrateReqSuccess | Half-open connections handed to another listener. | tcp_migrate_req.
TCPMigrateReqFailure | Half-open connections that could not be handed to another listener. |
TCPPLBRehash | Paths changed because of congestion (PLB). |
TCPAORequired | Segments without the TCP-AO that is demanded (RFC 5925). | Recent kernels only.
TCPAOBad | Segments with a wrong TCP-AO. |
TCPAOKeyNotFound | Segments with a TCP-AO key that is not known. |
TCPAOGood | Segments with a right TCP-AO. |
TCPAODroppedIcmps | ICMP errors ignored for a connection with TCP-AO. |
TCPPrequeued | Of old kernels: segments left for the program to process. | Gone since 4.14.
TCPDirectCopyFromBacklog | Of old kernels: bytes copied from the backlog. |
TCPDirectCopyFromPrequeue | Of old kernels: bytes copied from the prequeue. |
TCPPrequeueDropped | Of old kernels: segments dropped from the prequeue. |
TCPHPHitsToUser | Of old kernels: fast-path segments copied at once. |
TCPForwardRetrans | Of old kernels: retransmissions beyond the SACKed. | Gone since 4.15.
TCPSchedulerFailed | Of old kernels: probes that could not be scheduled. | Gone since 4.14.
"""


def terms(prefix: str, text: str, source: str) -> Iterator[Term]:
    for line in text.strip().splitlines():
        name, meaning, watch = (word.strip() for word in line.split("|"))
        also = (name,) if prefix == "TcpExt" else ()
        yield Term(prefix + name, "counter", meaning, watch, source, also)


EVERY_COUNTER = (
    *terms("Tcp", TCP, "RFC 4022, /proc/net/snmp"),
    *terms("TcpExt", EXT, "linux/snmp.h, /proc/net/netstat"),
    *terms("MPTcpExt", MPTCP, "net/mptcp/mib.c, /proc/net/netstat"),
)
