"""The kernel's counters of Multipath TCP (MPTcpExt in /proc/net/netstat): name, what it counts, what to make of it.

Meanings are those of Linux 6.18's net/mptcp/mib.c; RFC 8684 has the words.
"""

from __future__ import annotations

TEXT = """
MPCapableSYNRX | SYNs received that ask for MPTCP. |
MPCapableSYNTX | SYNs sent that ask for MPTCP. |
MPCapableSYNACKRX | SYN-ACKs received that agree to MPTCP. | Fewer than MPCapableSYNTX: peers, or middleboxes, without it.
MPCapableACKRX | Third ACKs received with MP_CAPABLE. |
MPCapableFallbackACK | Servers' connections that became plain TCP at the third ACK. | The option was lost on its way.
MPCapableFallbackSYNACK | Clients' connections that became plain TCP at the SYN-ACK. | The server has no MPTCP, or the option was lost.
MPCapableSYNTXDrop | Times that MPTCP was given up because SYNs with it were never answered. | A middlebox that drops SYNs with unknown options.
MPCapableSYNTXDisabled | SYNs sent without MPTCP because it had failed before (blackhole). |
MPCapableEndpAttempt | SYNs sent without MPTCP since only endpoints may ask for it. |
MPFallbackTokenInit | Connections that became plain TCP for want of a token. |
MPTCPRetrans | Data sent again at the level of MPTCP, on this or another subflow. | A subflow stalls.
MPJoinNoTokenFound | MP_JOINs whose token is nobody's. | Late joins, or a load balancer that spreads one connection.
MPJoinSynRx | SYNs received that join a connection. |
MPJoinSynBackupRx | SYNs received that join a connection as a backup. |
MPJoinSynAckRx | SYN-ACKs received of joins. |
MPJoinSynAckBackupRx | SYN-ACKs received that join a connection as a backup. |
MPJoinSynAckHMacFailure | SYN-ACKs of joins with a wrong HMAC. | Another connection's, or an attack.
MPJoinAckRx | Third ACKs received of joins. |
MPJoinAckHMacFailure | Third ACKs of joins with a wrong HMAC. | Another connection's, or an attack.
MPJoinRejected | Joins refused by the path manager. | Limits (ip mptcp limits).
MPJoinSynTx | SYNs sent that join a connection. |
MPJoinSynTxCreatSkErr | Joins that failed for want of a socket. |
MPJoinSynTxBindErr | Joins that could not have their address. |
MPJoinSynTxConnectErr | Joins that could not connect. |
DSSNotMatching | Mappings received that differ from the ones before. |
DSSCorruptionFallback | Connections that became plain TCP for a broken mapping. | A middlebox changes the stream.
DSSCorruptionReset | Subflows reset for a broken mapping. | A middlebox changes the stream.
InfiniteMapTx | Infinite mappings sent: plain TCP from here on. |
InfiniteMapRx | Infinite mappings received. |
DSSNoMatchTCP | Mappings that do not fit the subflow's sequence numbers. |
DataCsumErr | Mappings with a wrong data checksum. | A middlebox changes the stream.
OFOQueueTail | Segments put at the end of the out-of-order queue of the connection. | Subflows of unlike delay.
OFOQueue | Segments put into the out-of-order queue of the connection. | Subflows of unlike delay.
OFOMerge | Out-of-order segments joined to a neighbour. |
NoDSSInWindow | Segments without a mapping in the window. |
DuplicateData | Data that came twice, on this or another subflow. |
AddAddr | ADD_ADDRs received. |
AddAddrTx | ADD_ADDRs sent. |
AddAddrTxDrop | ADD_ADDRs that could not be sent. |
EchoAdd | Echoes of ADD_ADDR received. |
EchoAddTx | Echoes of ADD_ADDR sent. |
EchoAddTxDrop | Echoes of ADD_ADDR that could not be sent. |
PortAdd | ADD_ADDRs received with a port. |
AddAddrDrop | ADD_ADDRs received and not used. |
MPJoinPortSynRx | SYNs of joins received at a port that was announced. |
MPJoinPortSynAckRx | SYN-ACKs of joins from another port than the connection's. |
MPJoinPortAckRx | Third ACKs of joins at a port that was announced. |
MismatchPortSynRx | SYNs of joins at a port that was not announced. |
MismatchPortAckRx | Third ACKs of joins at a port that was not announced. |
RmAddr | RM_ADDRs received. |
RmAddrDrop | RM_ADDRs received and not used. |
RmAddrTx | RM_ADDRs sent. |
RmAddrTxDrop | RM_ADDRs that could not be sent. |
RmSubflow | Subflows ended because their address is gone. |
MPPrioTx | MP_PRIOs sent. |
MPPrioRx | MP_PRIOs received. |
MPFailTx | MP_FAILs sent. | A data checksum was wrong.
MPFailRx | MP_FAILs received. | The other side found a wrong data checksum.
MPFastcloseTx | MP_FASTCLOSEs sent. | An abort of the whole connection.
MPFastcloseRx | MP_FASTCLOSEs received. |
MPRstTx | MP_TCPRSTs sent. | Why a subflow was reset.
MPRstRx | MP_TCPRSTs received. |
SubflowStale | Subflows found to be stale. | Nothing gets through on that path.
SubflowRecover | Subflows that came back. |
SndWndShared | Times that a subflow's window grew by what another one had heard. |
RcvWndShared | Times that a subflow offered what another one had offered. |
RcvWndConflictUpdate | Conflicts of offered windows that were mended. |
RcvWndConflict | Conflicts of offered windows. |
MPCurrEstab | MPTCP connections that are established now. | A gauge: its difference over time can be negative.
Blackhole | Times that MPTCP was switched off for a while, since SYNs with it vanish. | A middlebox on the way drops them.
MPCapableDataFallback | Connections that became plain TCP for their first data. |
MD5SigFallback | Connections without MPTCP because of TCP MD5. |
DssFallback | Connections that became plain TCP for a mapping that is missing or broken. | A middlebox strips the option.
SimultConnectFallback | Connections without MPTCP because both sides opened at once. |
FallbackFailed | Times that it was too late to become plain TCP. | Then the subflow is reset.
WinProbe | Window probes sent at the level of MPTCP. |
"""
