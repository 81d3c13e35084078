"""Every key of `when`, as transcripts (see virtual.py): which frame does a fault mean?"""

from __future__ import annotations

import pytest
from virtual import MACS, check, engine, frame, play

OPEN = """
0.000 > S 100:100(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>
0.001 < S. 500:500(0) ack 101 <mss 1460,sackOK,TS val 9 ecr 1,nop,wscale 7>
0.002 > . 101:101(0) ack 501
"""


def test_data_n_names_the_nth_new_segment_and_each_time_it_is_sent_again() -> None:
    check(
        "- {when: {from: client, data: 2, times: 2}, do: drop}",
        OPEN
        + """
0.003 > P. 101:111(10) ack 501
0.004 < P. 501:511(10) ack 111
0.005 < P. 511:521(10) ack 111
0.006 > P. 111:121(10) ack 521
    nothing
0.007 > P. 121:131(10) ack 521
0.008 > P. 101:111(10) ack 521
0.009 > P. 111:121(10) ack 521
    nothing
0.010 > P. 111:121(10) ack 521
""",
    )


def test_data_n_is_found_in_a_larger_or_smaller_retransmission() -> None:
    check(
        "- {when: {from: client, data: 2, times: every}, do: drop}",
        OPEN
        + """
0.003 > P. 101:111(10) ack 501
0.004 > P. 111:121(10) ack 501
    nothing
0.005 > P. 101:131(30) ack 501
    nothing
0.006 > P. 111:113(2) ack 501
    nothing
0.007 > P. 113:121(8) ack 501
""",
    )


def test_a_retransmission_with_something_new_at_its_end_is_a_new_segment() -> None:
    check(
        "- {when: {from: client, data: 2}, do: drop}",
        OPEN
        + """
0.003 > P. 101:111(10) ack 501
0.004 > P. 101:121(20) ack 501
    nothing
""",
    )


def test_byte_n_names_the_segment_that_carries_it() -> None:
    check(
        "- {when: {from: client, byte: 11, times: every}, do: drop}",
        OPEN
        + """
0.003 > P. 101:111(10) ack 501
0.004 > P. 111:121(10) ack 501
    nothing
0.005 > P. 110:112(2) ack 501
    nothing
0.006 > P. 112:121(9) ack 501
""",
    )


def test_streams_longer_than_sequence_numbers_go_on_counting() -> None:
    """The ISN is eight bytes before the wrap; positions are not."""
    check(
        """
        - {when: {from: client, byte: 21}, do: drop}
        - {when: {from: client, data: 2, times: 2}, do: {delay: 1ms}}
        """,
        """
0.000 > S 4294967288:4294967288(0)
0.001 < S. 4294967295:4294967295(0) ack 4294967289
0.002 > . 4294967289:4294967289(0) ack 0
0.003 > P. 4294967289:3(10) ack 0
0.004 > P. 3:13(10) ack 0
    nothing
    0.005 > P. 3:13(10) ack 0
0.006 > P. 13:23(10) ack 0
    nothing
0.007 > P. 4294967289:3(10) ack 0
0.008 > P. 3:13(10) ack 0
    nothing
    0.009 > P. 3:13(10) ack 0
0.010 > P. 13:23(10) ack 0
""",
    )


@pytest.mark.slow
def test_many_wraps_are_counted_on() -> None:
    """Nine gigabytes in segments of 60 kB."""
    playing = engine("- {when: {from: client, byte: 9000000001}, do: drop}")
    step, seq = 60_000, 101
    for line in OPEN.strip().splitlines():
        now_ns, port, data = frame(line)
        playing.frame(now_ns, port, data)
    _, _, data = frame("0.003 > P. 101:60101(60000) ack 501")
    dropped = []
    for number in range(9_000_000_000 // step + 2):
        data = data[:38] + seq.to_bytes(4, "big") + data[42:]
        if not playing.frame(0, 0, data):
            dropped.append(number)
        seq = (seq + step) % (1 << 32)
    assert dropped == [9_000_000_000 // step]


def test_nth_counts_what_satisfies_all_else_in_each_direction() -> None:
    check(
        "- {when: {nth: 2, len: '1..', times: every}, do: drop}",
        OPEN
        + """
0.003 > P. 101:111(10) ack 501
0.004 < P. 501:511(10) ack 111
0.005 > . 111:111(0) ack 511
0.006 > P. 101:111(10) ack 511
    nothing
0.007 < P. 511:521(10) ack 111
    nothing
0.008 > P. 111:121(10) ack 521
""",
    )


def test_times_bounds_it_per_flow_whichever_direction() -> None:
    check(
        "- {when: {len: '1..', times: 2}, do: drop}",
        OPEN
        + """
0.003 > P. 101:111(10) ack 501
    nothing
0.004 < P. 501:511(10) ack 111
    nothing
0.005 > P. 101:111(10) ack 511
0.006 < P. 501:511(10) ack 111
""",
    )


def test_flows_are_counted_apart_and_the_same_ports_may_be_used_again() -> None:
    check(
        "- {when: {from: client, flags: S}, do: drop}",
        """
0.000 > S 100:100(0)
    nothing
0.001 > S 100:100(0)
0.002 10.0.0.1.40001 > 10.0.0.2.105: S 700:700(0)
    nothing
0.003 < R. 0:0(0) ack 101
0.004 > S 9000:9000(0)
    nothing
0.005 > S 9000:9000(0)
""",
        versions=[4],
    )


@pytest.mark.parametrize(
    ("when", "meant"),
    [
        ("from: client", "SAPFR"),
        ("from: server", "sdf"),
        ("to: server", "SAPFR"),
        ("from: server, to: client", "sdf"),
        ("flags: S", "S"),
        ("flags: S.", "s"),
        ("flags: has S", "Ss"),
        ("flags: has .", "sAPdfFR"),
        ("flags: R.", "R"),
        ("flags: has R", "R"),
        ("len: 10", "Pd"),
        ("len: '1..'", "Pd"),
        ("len: 0", "SsAfFR"),
        ("contains: HELLO", "P"),
        ("from: server, contains: HELLO", ""),
        ("state: syn_sent", "S"),
        ("state: syn_received", "s"),
        ("state: established", "APd"),
        ("state: closing", "fF"),
        ("state: closed", "R"),
        ("time: 4ms", "dfFR"),
        ("ttl: 65", "d"),
        ("tos: 8", "d"),
        ("win: 77", "P"),
        ("seq: 500", "s"),
        ("ack: 101", "s"),
        ("mss: 1460", "Ss"),
        ("wscale: 7", "Ss"),
        ("sack_ok: true", "Ss"),
        ("sack_ok: false", "APdfFR"),
        ("tsval: 9", "s"),
        ("tsecr: 1", "s"),
        ("dport: 40000", "sdf"),
        ("sport: 105, dport: 40000", "sdf"),
        ("offset: 5", "APdfFR"),
        ("reserved: 1", "F"),
        ("urg: 0", "SsAPdfFR"),
        ("flow: client", "SsAPdfFR"),
        ("flow: other", ""),
    ],
)
@pytest.mark.parametrize("version", [4, 6])
def test_each_key(when: str, meant: str, version: int) -> None:
    """One conversation; each letter is a frame of it, in order."""
    conversation = dict(
        zip("SsAPdfFR", [*OPEN.strip().splitlines(), *REST.strip().splitlines()], strict=True)
    )
    playing = engine(f"- {{when: {{{when}, times: every}}, do: drop}}", version)
    found = ""
    for letter, line in conversation.items():
        now_ns, port, data = frame(line, version)
        found += "" if playing.frame(now_ns, port, data) else letter
    assert found == meant
    assert playing.fired == {"fault 1": len(meant)}


REST = """
0.003 > P. 101:111(10) ack 501 win 77 [payload "xxHELLOxxx"]
0.004 < P. 501:511(10) ack 111 [ttl 65, tos 8]
0.005 < F. 511:511(0) ack 111
0.006 > F. 111:111(0) ack 512 [reserved 1]
0.007 > R. 112:112(0) ack 512
"""


@pytest.mark.parametrize(
    ("when", "extra", "meant"),
    [
        ("id: 7", "id 7", True),
        ("id: 7", "id 8", False),
        ("df: true", "df on", True),
        ("df: false", "df on", False),
        ("df: false", "df off", True),
        ("ip_len: 40", "ttl 64", True),
        ("ip_cksum: 1", "ip_cksum 0x1", True),
        ("cksum: 2", "cksum 0x2", True),
    ],
)
def test_fields_of_an_ipv4_header(when: str, extra: str, meant: bool) -> None:
    playing = engine(f"- {{when: {{{when}}}, do: drop}}")
    now_ns, port, data = frame(f"0.000 > . 1:1(0) ack 1 [{extra}]")
    assert bool(playing.frame(now_ns, port, data)) != meant


def test_retransmitted_is_what_was_sent_before_syn_and_fin_too() -> None:
    check(
        "- {when: {from: client, retransmitted: true, times: every}, do: drop}",
        """
0.000 > S 100:100(0)
0.001 > S 100:100(0)
    nothing
0.002 < S. 500:500(0) ack 101
0.003 > . 101:101(0) ack 501
0.004 > . 101:101(0) ack 501
0.005 > P. 101:111(10) ack 501
0.006 > P. 101:111(10) ack 501
    nothing
0.007 > P. 106:116(10) ack 501
    nothing
0.008 > F. 116:116(0) ack 501
0.009 > F. 116:116(0) ack 501
    nothing
0.010 > . 100:100(0) ack 501
""",
    )


def test_retransmitted_false_is_everything_else() -> None:
    check(
        "- {when: {from: client, retransmitted: false, len: '1..', times: every}, do: drop}",
        OPEN
        + """
0.003 > P. 101:111(10) ack 501
    nothing
0.004 > P. 101:111(10) ack 501
""",
    )


def test_after_another_fault_is_from_the_next_frame_on() -> None:
    check(
        """
        - {name: first, when: {from: server, flags: S.}, do: {delay: 5ms}}
        - {when: {after: first, times: every}, do: drop}
        """,
        """
0.000 > S 100:100(0)
0.001 < S. 500:500(0) ack 101
    nothing
    0.006 < S. 500:500(0) ack 101
0.007 > . 101:101(0) ack 501
    nothing
""",
    )


def test_after_a_fault_of_another_link() -> None:
    playing = engine(
        "- {name: here, when: {after: x}, do: drop}\n- {name: x, when: {flags: has U}, do: drop}"
    )
    line = "0.000 > . 1:1(0) ack 1"
    assert play(playing, line) == line
    playing.reach("x")
    assert play(playing, line) == f"{line}\n    nothing"


def test_the_state_is_what_the_hosts_sent_not_what_arrived() -> None:
    check(
        "- {when: {flags: S.}, do: drop}\n- {when: {state: established}, do: drop}",
        """
0.000 > S 100:100(0)
0.001 < S. 500:500(0) ack 101
    nothing
0.002 > . 101:101(0) ack 501
    nothing
""",
    )


def test_a_close_from_both_sides_ends_in_closed() -> None:
    check(
        "- {when: {state: closed, times: every}, do: drop}",
        OPEN
        + """
0.003 > F. 101:101(0) ack 501
0.004 < . 501:501(0) ack 102
0.005 < F. 501:501(0) ack 102
0.006 > . 102:102(0) ack 502
    nothing
""",
    )


def test_a_simultaneous_open_comes_to_be_established() -> None:
    check(
        "- {when: {state: established}, do: drop}",
        """
0.000 > S 100:100(0)
0.001 < S 500:500(0)
0.002 > S. 100:100(0) ack 501
0.003 < S. 500:500(0) ack 101
0.004 > P. 101:111(10) ack 501
    nothing
""",
    )


def test_a_second_syn_in_a_connection_does_not_make_it_another() -> None:
    check(
        "- {when: {from: client, data: 2}, do: drop}",
        OPEN
        + """
0.003 > P. 101:111(10) ack 501
0.004 > S 7777:7777(0)
0.005 > P. 111:121(10) ack 501
    nothing
""",
    )


def test_a_flow_whose_beginning_was_not_seen_counts_from_its_first_segment() -> None:
    check(
        "- {when: {from: client, data: 2, state: established}, do: drop}",
        """
0.000 > P. 101:111(10) ack 501
0.001 < . 501:501(0) ack 111
0.002 > P. 111:121(10) ack 501
    nothing
""",
    )


def test_what_is_no_tcp_is_meant_only_by_faults_that_ask_nothing_of_tcp() -> None:
    udp = MACS[1] + MACS[0] + frame("0.0 > . 1:1(0) ack 1")[2][12:23] + b"\x11" + bytes(40)
    arp = MACS[1] + MACS[0] + b"\x08\x06" + bytes(28)
    plain = engine("- {when: {from: client, times: every}, do: drop}")
    tcp = engine("- {when: {from: client, len: 0, times: every}, do: drop}")
    for data in (udp, arp):
        assert list(plain.frame(0, 0, data)) == []
        assert list(tcp.frame(0, 0, data)) == [(1, data)]


@pytest.mark.parametrize("version", [4, 6])
def test_what_only_claims_to_be_tcp_is_passed_on(version: int) -> None:
    """Cut short, with an impossible offset, or a fragment: no question about TCP is asked of it."""
    whole = frame("0.000 > P. 1:11(10) ack 1", version)[2]
    at = 14 + (20 if version == 4 else 40)
    broken = [whole[:length] for length in range(14, len(whole))]
    broken += [whole[: at + 12] + bytes([offset << 4]) + whole[at + 13 :] for offset in (0, 4, 15)]
    if version == 4:
        broken += [whole[:20] + b"\x20\x00" + whole[22:], whole[:20] + b"\x00\x01" + whole[22:]]
    for data in broken:
        playing = engine("- {when: {len: '0..', times: every}, do: drop}", version)
        assert list(playing.frame(0, 0, data)) == [(1, data)]
        assert len(playing.entries) == 1
