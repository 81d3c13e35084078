# Widths for the compiled build; state.py is the text, and runs as it is.
cimport cython

from tcpharness.analysis.records cimport Block, Damaged, Hole, Sent
from tcpharness.packet.segment cimport Segment, seq_diff

cdef long long RTO_FLOOR_NS

@cython.final
cdef class Side:
    # Nearly every segment touches these: side by side, they are three lines of the processor's cache, not ten.
    cdef public Flow flow
    cdef public Side other
    cdef public list sent
    cdef public str cksum
    cdef public unsigned int max_end, una, right_edge, frames
    cdef public int win_raw, wscale, mss, ttl_last, dscp_last, ttl_mode, ttl_votes
    cdef public char calm, repairing, scaling, usable, snapped, super_seen, edge_of_syn, offload_said
    cdef public int sums_correct, sums_offload, ids_good, held, done
    cdef public long long ts_high, id_last, last_ns, acked_ns, max_end_ns, bytes, wl1, win_now, most_win
    cdef public long long delayed_ns, signs, after
    # an ACK of something new
    cdef public tuple sacked
    cdef public long long una_ns, srtt, rttvar, rtt_min, rack_ns, round_end, recover, loss_recover, probe_end
    cdef public int dup_acks, rto_count, new_acks, round_held, rounds, held_rounds
    cdef public char tlp_sent, timeout_doubted, timeout_undone, undone_by
    # facts of the segment that is being looked at
    cdef public char acceptable_ack, acks_fin, first_was_probe, is_dsack, is_dup_ack, new_sack, stale
    cdef public long long advance, edge_moved, elapsed_ns
    cdef public int order, cksum_right
    cdef public Sent again
    cdef public str answers, evidence, trigger
    cdef public Hole hole
    cdef public Damaged repairs
    # the rest, by subject
    cdef public object named
    cdef public long long isn, syn_ns, syn_last_ns
    cdef public int syns, syn_copies
    cdef public unsigned int syn_frame
    cdef public char options_known, sack_ok, ts_ok
    cdef public long long fin_ns, fin_seq
    cdef public char acked, fin_acked, started
    cdef public int resent
    cdef public tuple damaged, holes
    cdef public long long loss_ns, repair_tsval, rto_first_ns, rto_last_ns, too_big_ns
    cdef public int undo_left
    cdef public unsigned int rto_frame
    cdef public char win_known
    cdef public long long zero_ended_ns, zero_since_ns
    cdef public unsigned int zero_frame
    cdef public int zero_count
    cdef public long long full_ns
    cdef public unsigned int full_frame, full_len, full_seq
    cdef public long long keep_alive_ns, live_syn, offence_ns, outside_end, probe_ns
    cdef public int keep_alives, probe_number, probes, wild_acks
    cdef public str offence, reset_class
    cdef public tuple reset_evidence
    cdef public object reset_finding
    cdef public long long rst_id, rst_ns, rst_tsval
    cdef public unsigned int rst_frame, rst_seq, rst_sum
    cdef public int ids_bad
    cdef public tuple bad_findings
    cdef public object bad_finding
    cdef public int ip_error, ip_errors, partial_error, partial_errors, partial_hints, sum_error, sum_errors
    cdef public int sums_accepted
    cdef public long long rtt_spike, delayed_for_ns
    cdef public object ongoing, said
    cdef public long long gap_said

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
