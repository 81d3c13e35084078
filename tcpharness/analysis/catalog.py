"""Every detector, in one table: its rule, the signs it waits for, its level, where it comes from.

Order matters for nothing but the order of findings about one segment.
"""

from __future__ import annotations

from tcpharness.analysis.detector import Detector
from tcpharness.analysis.detectors import (
    altered,
    crowd,
    ending,
    handshake,
    icmp,
    integrity,
    liveness,
    loss,
    pace,
    path,
    window,
)
from tcpharness.analysis.signs import Sign

SENT_AGAIN = ("fast", "recovery", "rto", "slow_start", "tlp", "syn", "fin", "unknown")
REFUSALS = ("net", "host", "port", "admin_prohibited", "other")

# fmt: off
DETECTORS: tuple[Detector, ...] = (
    # capture
    Detector(path.capture_drops, Sign(0), "error", family="capture"),
    Detector(path.mid_stream, Sign.BEGIN, "info", family="capture"),
    Detector(path.tunnelled, Sign.TUNNEL, "note", family="capture"),
    Detector(path.truncated, Sign.TRUNCATED, "info", family="capture"),
    Detector(path.super_packet, Sign.SUPER, "info", family="capture"),
    Detector(loss.duplicate_frame, Sign.COPY, "info", "RFC 6864", family="capture"),
    # integrity
    Detector(integrity.malformed, Sign.MALFORMED, "error", "RFC 9293 3.1", family="integrity"),
    Detector(integrity.impossible_flags, Sign.FLAGS, "error", "RFC 9293 3.1", family="integrity",
             kinds=("null", "xmas", "SF", "F")),
    Detector(integrity.bad_ip_checksum, Sign.CKSUM, "error", "RFC 791 3.1", family="checksum",
             counters=("IpInHdrErrors",)),
    Detector(integrity.bad_tcp_checksum, Sign.CKSUM, "error", "RFC 9293 3.1", family="checksum",
             counters=("TcpInCsumErrors",)),
    Detector(integrity.checksum_offload, Sign.CKSUM, "info", "RFC 1071", family="checksum",
             kinds=("partial", "lso", "zeroed", "super", "rewritten")),
    Detector(integrity.corrupted_then_retransmitted, Sign.REPAIRED, "error", "RFC 9293 3.1",
             family="checksum", counters=("TcpInCsumErrors",)),
    Detector(integrity.overlap_conflict, Sign.CONFLICT, "error", "RFC 9293 3.8.1", family="integrity"),
    Detector(integrity.land, Sign.LAND, "error", "RFC 9293 3.9", family="integrity"),
    # handshake
    Detector(handshake.handshake, Sign.HANDSHAKE, "info", "RFC 9293 3.5", family="handshake"),
    Detector(handshake.syn_retransmission, Sign.SYN, "warning", "RFC 9293 3.8.1", "retransmission",
             "handshake", kinds=("syn",), counters=("TcpExtTCPTimeouts", "TcpExtTCPSynRetrans")),
    Detector(handshake.synack_retransmission, Sign.SYN, "warning", "RFC 9293 3.8.1", "retransmission",
             "handshake", kinds=("syn",), counters=("TcpExtTCPTimeouts",)),
    Detector(handshake.connection_refused, Sign.RST, "note", "RFC 9293 3.5.2", family="handshake",
             counters=("TcpAttemptFails",)),
    Detector(handshake.connection_unanswered, Sign.END, "warning", "RFC 9293 3.8.1", family="handshake"),
    Detector(handshake.half_open, Sign.END, "warning", "RFC 9293 3.5.1", family="handshake"),
    Detector(handshake.simultaneous_open, Sign.SYN, "note", "RFC 9293 3.5", family="handshake"),
    Detector(handshake.port_reused, Sign.BEGIN, "info", "RFC 6191", family="handshake",
             counters=("TcpExtTWRecycled",)),
    Detector(handshake.syn_in_established, Sign.SYN, "warning", "RFC 5961 4", family="handshake",
             counters=("TcpExtTCPSYNChallenge",)),
    Detector(handshake.slow_handshake, Sign.SYN, "note", "RFC 9293 3.5", family="handshake"),
    Detector(handshake.mss_missing, Sign.SYN, "note", "RFC 9293 3.7.1", family="handshake"),
    Detector(handshake.wscale_missing, Sign.SYN, "note", "RFC 7323 2", family="handshake"),
    Detector(handshake.sack_missing, Sign.SYN, "note", "RFC 2018 2", family="handshake"),
    Detector(handshake.timestamps_missing, Sign.SYN, "note", "RFC 7323 3", family="handshake"),
    # ending
    Detector(ending.fin_close, Sign.CLOSED, "info", "RFC 9293 3.6", family="ending"),
    Detector(ending.half_closed, Sign.LATE_DATA, "note", "RFC 9293 3.6", family="ending"),
    Detector(ending.data_after_close, Sign.LATE_DATA, "warning", "RFC 9293 3.6", family="ending",
             counters=("TcpExtTCPAbortOnData",)),
    Detector(ending.reset, Sign.RST, "warning", "RFC 9293 3.5.2", family="reset", kinds=("no_connection",),
             counters=("TcpEstabResets", "TcpOutRsts")),
    Detector(ending.injected_reset, Sign.RST | Sign.REVIVED, "error", "RFC 5961 3", "reset", "reset"),
    Detector(ending.reset_out_of_window, Sign.RST, "error", "RFC 5961 3", family="reset",
             kinds=("in_window", "old", "outside")),
    Detector(ending.challenge_ack, Sign.CHALLENGE, "note", "RFC 5961 3", family="reset",
             counters=("TcpExtTCPChallengeACK",)),
    # windows
    Detector(window.zero_window, Sign.ZERO, "warning", "RFC 9293 3.8.6", family="window",
             counters=("TcpExtTCPToZeroWindowAdv",)),
    Detector(window.zero_window_probe, Sign.PROBE, "note", "RFC 9293 3.8.6.1", family="window",
             counters=("TcpExtTCPWinProbe",)),
    Detector(window.zero_window_probe_ack, Sign.PROBE, "note", "RFC 9293 3.8.6.1", family="window"),
    Detector(window.window_full, Sign.FULL, "warning", "RFC 9293 3.8.6", family="window"),
    Detector(window.window_update, Sign.UPDATE, "info", "RFC 9293 3.8.6", family="window", sure=True),
    Detector(window.window_shrunk, Sign.SHRUNK, "warning", "RFC 9293 3.8.6", family="window"),
    Detector(window.silly_window, Sign.SILLY, "note", "RFC 9293 3.8.6.2.2", family="window"),
    Detector(window.receiver_stall, Sign.ZERO | Sign.END, "warning", "RFC 9293 3.8.6", family="window"),
    # loss and order
    Detector(loss.retransmission, Sign.AGAIN, "warning", "RFC 6298, 5681, 6675, 8985", family="loss",
             kinds=SENT_AGAIN, counters=("TcpRetransSegs",)),
    Detector(loss.spurious_retransmission, Sign.NEEDLESS, "warning", "RFC 3522, 3708", "retransmission",
             "loss", kinds=SENT_AGAIN, counters=("TcpExtTCPDSACKRecv",)),
    Detector(loss.out_of_order, Sign.LATE, "warning", "RFC 5681 2", family="loss",
             counters=("TcpExtTCPOFOQueue",)),
    Detector(loss.gap, Sign.AHEAD, "note", "RFC 9293 3.10.7.4", family="loss"),
    Detector(loss.out_of_window_data, Sign.OUTSIDE, "error", "RFC 9293 3.10.7.4", family="loss"),
    Detector(loss.duplicate_ack, Sign.DUP_ACK, "note", "RFC 5681 2", family="dup_ack", sure=True),
    Detector(loss.partial_ack, Sign.PARTIAL, "info", "RFC 6582 3.2", family="loss"),
    Detector(loss.sack, Sign.SACK, "info", "RFC 2018", family="loss"),
    Detector(loss.dsack, Sign.DSACK, "info", "RFC 2883", family="loss", counters=("TcpExtTCPDSACKRecv",)),
    Detector(loss.ack_of_unseen, Sign.UNSEEN, "warning", "RFC 9293 3.10.7.4", family="unseen",
             kinds=("unacceptable",)),
    Detector(loss.rto_backoff, Sign.RECOVERED | Sign.END, "warning", "RFC 6298 5.5", family="loss",
             counters=("TcpExtTCPTimeouts",)),
    Detector(loss.timed_out, Sign.RST | Sign.END, "error", "RFC 9293 3.8.3", family="loss",
             kinds=("retransmissions", "keep_alives"),
             counters=("TcpExtTCPAbortOnTimeout",)),
    # liveness
    Detector(liveness.keep_alive, Sign.PROBE, "note", "RFC 9293 3.8.4", family="keep_alive",
             counters=("TcpExtTCPKeepAlive",)),
    Detector(liveness.keep_alive_ack, Sign.PROBE, "note", "RFC 9293 3.8.4", family="keep_alive"),
    Detector(pace.idle, Sign.IDLE, "note", "RFC 5382 5", family="pace"),
    Detector(pace.rtt_spike, Sign.SPIKE, "note", "RFC 6298 2", family="pace"),
    Detector(pace.delayed_ack_stall, Sign.STALLED, "note", "RFC 1122 4.2.3.2", family="pace",
             counters=("TcpExtDelayedACKs",)),
    Detector(pace.window_limited, Sign.END, "note", "RFC 7323 1.1", family="pace"),
    Detector(pace.bufferbloat, Sign.END, "note", "RFC 8290", family="pace"),
    # path
    Detector(path.fragment, Sign.FRAGMENT, "note", "RFC 791 3.2", family="path",
             kinds=("incomplete", "conflict")),
    Detector(path.ttl_change, Sign.TTL, "note", "RFC 791 3.2", family="path"),
    Detector(path.dscp_change, Sign.DSCP, "note", "RFC 2474", family="path"),
    Detector(path.ecn_ce, Sign.ECN, "info", "RFC 3168", family="path", kinds=("ce", "echo", "cwr")),
    Detector(icmp.ttl_expired, Sign.ICMP, "warning", "RFC 792", family="icmp"),
    Detector(icmp.unreachable, Sign.ICMP, "warning", "RFC 1122 4.2.3.9", family="icmp", kinds=REFUSALS),
    Detector(icmp.connection_icmp_rejected, Sign.ICMP, "warning", "RFC 1122 4.2.3.9", "unreachable", "icmp",
             kinds=REFUSALS),
    Detector(icmp.pmtu_reduced, Sign.ICMP, "info", "RFC 1191, 8201", family="icmp"),
    Detector(icmp.pmtu_blackhole, Sign.AGAIN, "error", "RFC 2923 2.1, 4821", family="icmp"),
    # two vantages
    Detector(altered.option_stripped, Sign.COMPARED, "warning", "RFC 9293 3.1", family="altered",
             kinds=("mss", "wscale", "sackOK", "timestamps", "fast_open", "mptcp", "other")),
    Detector(altered.mss_clamped, Sign.COMPARED, "note", "RFC 9293 3.7.1", family="altered"),
    Detector(altered.ecn_bleached, Sign.COMPARED, "note", "RFC 3168 6.1.1", family="altered"),
    # many flows
    Detector(crowd.port_scan, Sign.CROWD, "error", "RFC 9293 3.10.7", family="crowd",
             kinds=("syn", "connect", "fin", "null", "xmas", "maimon", "ack")),
    Detector(crowd.syn_flood, Sign.CROWD, "error", "RFC 4987", family="crowd",
             kinds=("unanswered", "answered", "cookies"),
             counters=("TcpExtTCPReqQFullDoCookies", "TcpExtSyncookiesSent", "TcpExtListenOverflows")),
    Detector(crowd.syn_flood_backscatter, Sign.CROWD, "note", "RFC 4987", family="crowd"),
    Detector(crowd.reset_storm, Sign.CROWD, "error", "RFC 9293 3.5.2", family="crowd",
             counters=("TcpOutRsts",)),
    Detector(crowd.retransmission_storm, Sign.CROWD, "error", "RFC 5681 3", family="crowd",
             counters=("TcpRetransSegs",)),
)
# fmt: on

# By name; detectors of your own are added here (own_detectors.py), once, before anything is read.
BY_NAME: dict[str, Detector] = {detector.name: detector for detector in DETECTORS}
