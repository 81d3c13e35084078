# Widths for the compiled build; state.py is the text, and runs as it is.
cimport cython

from tcpharness.analysis.records cimport Block, Damaged, Hole, Sent
from tcpharness.packet.segment cimport Segment, seq_diff

cdef long long RTO_FLOOR_NS

@cython.final
cdef class Side:
    cdef public Flow flow
    cdef public object named
    cdef public Side other
    cdef public long long isn, syn_ns, syn_last_ns
    cdef public int mss, wscale, syns, syn_copies
    cdef public unsigned int syn_frame
    cdef public char options_known, sack_ok, scaling, ts_ok
    cdef public long long acked_ns, bytes, fin_ns, fin_seq, last_ns, max_end_ns, una_ns
    cdef public unsigned int frames, max_end, una
    cdef public char acked, fin_acked, started
    cdef public int dup_acks, resent, done, held
    cdef public tuple damaged, holes, sacked
    cdef public list sent
    cdef public long long loss_ns, loss_recover, rack_ns, recover, repair_tsval, rto_first_ns, rto_last_ns
    cdef public long long too_big_ns
    cdef public char timeout_doubted, timeout_undone, undone_by
    cdef public int undo_left
    cdef public unsigned int rto_frame
    cdef public int rto_count
    cdef public char tlp_sent, edge_of_syn, win_known
    cdef public long long most_win, win_now, wl1, zero_ended_ns, zero_since_ns
    cdef public unsigned int right_edge, zero_frame
    cdef public int win_raw, zero_count
    cdef public long long full_ns
    cdef public unsigned int full_frame, full_len, full_seq
    cdef public long long keep_alive_ns, live_syn, offence_ns, outside_end, probe_end, probe_ns
    cdef public int keep_alives, probe_number, probes, wild_acks
    cdef public str offence, reset_class
    cdef public tuple reset_evidence
    cdef public object reset_finding
    cdef public long long rst_id, rst_ns, rst_tsval
    cdef public unsigned int rst_frame, rst_seq, rst_sum
    cdef public long long id_last, ts_high
    cdef public int dscp_last, ids_bad, ids_good, ttl_last, ttl_mode, ttl_votes
    cdef public tuple bad_findings
    cdef public object bad_finding
    cdef public int ip_error, ip_errors, partial_error, partial_errors, partial_hints, sum_error, sum_errors
    cdef public int sums_accepted, sums_correct, sums_offload
    cdef public long long rtt_min, rtt_spike, rttvar, srtt, delayed_for_ns, delayed_ns
    cdef public int held_rounds, new_acks, round_held, rounds
    cdef public long long round_end
    cdef public object ongoing, said
    cdef public long long gap_said
    cdef public char calm, repairing, offload_said, snapped, super_seen
    # facts of the segment that is being looked at
    cdef public char acceptable_ack, acks_fin, first_was_probe, is_dsack, is_dup_ack, new_sack, stale, usable
    cdef public long long advance, after, edge_moved, elapsed_ns, signs
    cdef public int order, cksum_right
    cdef public Sent again
    cdef public str answers, cksum, evidence, trigger
    cdef public Hole hole
    cdef public Damaged repairs

    cpdef long long in_flight(self)
    cpdef long long unacknowledged(self)
    cpdef sample(self, long long rtt_ns)
    cpdef long long rto_ns(self)
    cpdef bint ids_count(self)
    cpdef int sent_before(self, Segment segment, long long ip_id, long long tsval)
    cpdef bint uses_sack(self)
    cpdef bint troubled(self)
    @cython.locals(sent=Sent)
    cpdef bint sent_lately(self, long long seq)

@cython.final
cdef class Flow:
    cdef public Side a, b, opener
    cdef public Flow next
    cdef public int version, a_port, b_port, handshake, first_flags
    cdef public long long a_high, a_low, b_high, b_low
    cdef public long long first_ns, last_ns
    cdef public unsigned int first_frame, frames, last_frame
    cdef public str closed
    cdef public bint reused, simultaneous
