"""bench/accuracy: the same scenarios from the same seed, the kernel's trace read, and the arithmetic."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest

from tcpharness.analysis.finding import Finding, FlowKey
from tcpharness.evidence import LinkOutcome
from tcpharness.fault.ledger import Entry
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.segment import ACK, PSH
from tcpharness.scenario.load import load

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from accuracy_far import (  # noqa: E402
    Come,
    FarTruth,
    arrivals,
    far_truths,
    needed_frames,
    weigh_far,
    weigh_need,
    weigh_timeouts,
)
from accuracy_scenarios import scenario_text  # noqa: E402
from accuracy_trace import Sent, read_trace, sent_by  # noqa: E402
from accuracy_truth import Score, Truth, Weighed, disagreements, said, weigh, weigh_numbers  # noqa: E402
from accuracy_tshark import score as tshark_score  # noqa: E402
from accuracy_tshark import score_far, shared_out  # noqa: E402

CLIENT, SERVER = "10.0.16.1", "10.0.16.2"
FLOW = (CLIENT, 40000, SERVER, 105)
ENDS = "family=AF_INET sport=40000 dport=105 saddr=10.0.16.1 daddr=10.0.16.2 saddrv6=:: daddrv6=::"


def test_the_same_seed_draws_the_same_scenarios() -> None:
    assert [scenario_text(7, n) for n in range(20)] == [scenario_text(7, n) for n in range(20)]


def test_another_seed_or_number_draws_others() -> None:
    drawn = {scenario_text(seed, n).partition("\n")[2] for seed in (1, 2) for n in range(100)}
    assert len(drawn) == 200


def test_all_that_is_drawn_can_be_loaded() -> None:
    for number in range(200):
        (case,) = load(scenario_text(3, number), f"{number}.yaml")
        assert len(case.endpoints) == 2


def test_all_sorts_of_trouble_are_drawn() -> None:
    texts = "".join(scenario_text(1, n) for n in range(100))
    sorts = (
        "bursts", "loss", "reordering", "duplication", "lost ACKs", "no SACK", "no timestamps", "jitter",
        "a small window", "a delay that grows", "a lost SYN", "cubic", "reno", "bbr", "ip: 4", "ip: 6",
    )  # fmt: skip
    assert [sort for sort in sorts if sort not in texts] == []


# --- the kernel's trace


def line(name: str, fields: str, at: str = "5.000100", cpu: int = 0) -> str:
    return f"  python-7  [{cpu:03}] ..s1. {at}: {name}: {fields}\n"


def stack(*functions: str, cpu: int = 0) -> str:
    lines = "".join(f" => {function}\n" for function in functions)
    return line("<stack trace>", "", cpu=cpu).replace(": <stack trace>: ", ": <stack trace>") + lines


def read(*texts: str) -> list[Sent]:
    found, lost = read_trace("".join(texts).splitlines(keepends=True), epoch_ns=0)
    assert lost == 0
    return found.get(FLOW, [])


AGAIN = line("tcp_retransmit_skb", f"skbaddr=1 skaddr=2 {ENDS} state=TCP_ESTABLISHED err=0")
QUEUE = stack("__tcp_retransmit_skb", "tcp_retransmit_skb", "tcp_xmit_retransmit_queue.part.0", "tcp_ack")


@pytest.mark.parametrize(
    ("functions", "kind"),
    [
        (("__tcp_retransmit_skb", "tcp_send_loss_probe"), "tlp"),
        (("__tcp_retransmit_skb", "tcp_retransmit_timer"), "rto"),
        (("__tcp_retransmit_skb", "tcp_xmit_retransmit_queue.part.0"), "fast"),
        (("__tcp_retransmit_skb", "something_new"), ""),
    ],
)
def test_the_stack_tells_the_kind(functions: tuple[str, ...], kind: str) -> None:
    assert [sent.kind for sent in read(AGAIN, stack(*functions))] == [kind]


def test_recovery_after_a_timeout_is_slow_start() -> None:
    lost = line("tcp_cong_state_set", f"{ENDS} cong_state=4")
    mended = line("tcp_cong_state_set", f"{ENDS} cong_state=0")
    assert [s.kind for s in read(lost, AGAIN, QUEUE, mended, AGAIN, QUEUE)] == ["slow_start", "fast"]


def test_a_syn_is_one_whoever_sends_it() -> None:
    syn = line("tcp_retransmit_skb", f"skbaddr=1 skaddr=2 {ENDS} state=TCP_SYN_SENT err=0")
    assert [sent.kind for sent in read(syn, stack("tcp_retransmit_timer"))] == ["syn"]


def test_what_could_not_be_sent_is_none() -> None:
    assert read(AGAIN.replace("err=0", "err=-11"), stack("tcp_retransmit_timer")) == []


def test_stacks_of_two_processors_may_be_mixed() -> None:
    other = line("tcp_cong_state_set", f"{ENDS} cong_state=0", cpu=1)
    assert [sent.kind for sent in read(AGAIN, other, QUEUE)] == ["fast"]


def test_lost_events_are_counted() -> None:
    assert read_trace(["CPU:1 [LOST 12 EVENTS]\n"], 0)[1] == 12


def test_a_segment_belongs_to_the_event_just_behind_it() -> None:
    early, late = Sent(5_000_000, "fast", ()), Sent(9_000_000, "rto", ())
    assert sent_by([early, late], 4_990_000) is early
    assert sent_by([early, late], 5_100_000) is late
    assert sent_by([early, late], 9_020_000) is late  # the clocks differ a little
    assert sent_by([early, late], 9_100_000) is None


def test_what_may_be_either_and_is_one_of_them_is_left_open() -> None:
    either = finding(1, "rto")
    either.detail["or"] = "tlp"
    weighed = weigh([truth(1, "tlp")], {1: either})
    assert weighed.scores == {"retransmission": Score(right=1)}
    assert (weighed.left_open, weighed.misses) == ({"tlp": 1}, [])
    assert weigh([truth(1, "fast")], {1: either}).scores["fast"].missed == 1


# --- the arithmetic


def truth(frame: int, kind: str) -> Truth:
    return Truth(frame, frame, FLOW, kind, traced=True)


def finding(frame: int, kind: str, name: str = "retransmission", src: str = CLIENT) -> Finding:
    return Finding(name, "warning", frame, frame, FlowKey(src, 40000, SERVER, 105), "because", kind=kind)


def test_each_segment_is_right_wrong_or_missed() -> None:
    true = [truth(1, "fast"), truth(2, "rto"), truth(3, "tlp"), truth(4, "syn"), truth(5, "fast")]
    found = [
        finding(1, "fast"),
        finding(2, "slow_start"),
        finding(4, "syn", "synack_retransmission"),
        finding(5, "recovery"),
        finding(6, "fast"),
    ]
    weighed = weigh(true, {f.frame: f for f in found})
    assert weighed.scores == {
        "retransmission": Score(right=4, wrong=1, missed=1),
        "fast": Score(right=2, wrong=1, missed=0),
        "rto": Score(right=0, wrong=0, missed=1),
        "slow_start": Score(right=0, wrong=1, missed=0),
        "tlp": Score(right=0, wrong=0, missed=1),
        "syn": Score(right=1, wrong=0, missed=0),
    }
    assert len(weighed.misses) == 3  # frames 2, 3 and 6


def test_only_what_the_host_has_sent_is_its() -> None:
    mine, other = finding(1, "fast"), finding(2, "fast", src=SERVER)
    gap = finding(3, "", name="gap")
    assert said([mine, other, gap], CLIENT) == {1: mine}


def test_precision_and_recall() -> None:
    score = Score(right=3, wrong=1, missed=2)
    assert (score.precision, score.recall) == (0.75, 0.6)
    assert (Score().precision, Score().recall) == (None, None)
    score.add(Score(right=1))
    assert score == Score(right=4, wrong=1, missed=2)


def test_a_run_in_which_the_kernel_counts_otherwise_tells_nothing() -> None:
    true = [truth(1, "fast")]
    assert disagreements(true, {"TcpRetransSegs": 1}) == []
    assert disagreements(true, {"TcpRetransSegs": 2}) == ["1 segments sent again, TcpRetransSegs 2"]
    assert disagreements(true, {}) == ["no counters"]


def test_of_what_was_not_traced_only_that_it_was_sent_again_is_weighed() -> None:
    weighed = weigh([Truth(1, 1, FLOW, "", traced=False)], {1: finding(1, "fast")})
    assert weighed.scores == {"retransmission": Score(right=1)}


def test_tshark_s_lines_go_back_to_the_captures_that_were_appended() -> None:
    told = "2\t10.0.16.1\t\t1\t\t\t\n5\t\tfd00::1\t1\t1\t\t\n6\t10.0.16.1\t\t\t\t\t1\n"
    first, none, last = shared_out(told, [3, 0, 4])
    assert first == {2: ("10.0.16.1", {"tcp.analysis.retransmission"})}
    assert none == {}
    assert sorted(last) == [2, 3]
    scores = tshark_score([truth(3, "fast")], last, CLIENT)
    assert scores["retransmission"] == Score(missed=1)
    assert scores["or out of order"] == Score(right=1)


def test_some_are_compared_by_number() -> None:
    found = [finding(n, "", name="dsack") for n in (1, 2, 3)] + [finding(4, "", name="dsack", src=SERVER)]
    found += [finding(5, "", name="receiver_stall")] * 3
    weighed = Weighed()
    counters = {"TcpExtTCPDSACKRecv": 1, "TcpExtTCPDSACKOfoRecv": 1, "TcpExtTCPToZeroWindowAdv": 2}
    weigh_numbers(weighed, found, CLIENT, counters)
    assert weighed.scores["dsack"] == Score(right=2, wrong=1)
    assert weighed.scores["receiver_stall"] == Score(right=2)  # the kernel does not count all
    assert weighed.misses == ["3 dsack, TcpExtTCPDSACKRecv + TcpExtTCPDSACKOfoRecv 2"]


# --- the receiver, and what came of it


def framed(seq: int, length: int, number: int = 0, src: int = 1) -> bytes:
    """A data segment of the client's (or the server's), told from its equals by its IP id."""
    ends = (f"10.0.16.{src}", f"10.0.16.{3 - src}")
    return encode(Frame(*ends, 40000, 105, seq=seq, ack=1, flags=PSH | ACK, payload=bytes(length), id=number))


def taken(frames: list[bytes]) -> list[tuple[int, bytes]]:
    return list(enumerate(frames))


FIRST, SECOND, THIRD = framed(1, 100, 1), framed(101, 100, 2), framed(201, 100, 3)
FIRST_AGAIN = framed(1, 100, 4)


def ledger(*ways: tuple[bytes, int]) -> LinkOutcome:
    """Each frame that came to the middlebox, and how many of it went out."""
    entries = [
        Entry(n, n, "forward", None, ("client", crc32(f)), (("server", crc32(f)),) * copies, f[:96], len(f))
        for n, (f, copies) in enumerate(ways, 1)
    ]
    return LinkOutcome("client-server", entries)


def come_of(*ways: tuple[bytes, int], came: list[bytes]) -> list[Come]:
    sent = taken([frame for frame, _ in ways])
    return arrivals(sent, taken(came), "client", "server", [ledger(*ways)])


def test_the_ledger_joins_both_captures() -> None:
    ways = [(FIRST, 0), (SECOND, 2), (FIRST, 1)]  # lost, doubled, and the same bytes again
    came = [framed(9, 9, src=2), SECOND, FIRST, SECOND]
    assert come_of(*ways, came=came) == [Come(2, 2, 0), Come(3, 3, 0), Come(4, 2, 1)]


def test_what_a_receiver_can_know() -> None:
    ways = [(FIRST, 0), (SECOND, 1), (FIRST_AGAIN, 1), (THIRD, 0), (framed(201, 100, 5), 1)]
    came = [SECOND, FIRST_AGAIN, framed(201, 100, 5)]
    true = {3: truth(3, "fast"), 5: truth(5, "rto")}
    assert far_truths(come_of(*ways, came=came), taken(came), true) == [
        FarTruth(2, "again", "fast"),
        FarTruth(3, "unseen", "rto"),  # nothing has come behind it: it looks like new data
    ]


def test_what_was_overtaken_or_doubled_at_a_receiver() -> None:
    ways = [(FIRST, 1), (SECOND, 2), (FIRST_AGAIN, 1)]
    came = [SECOND, FIRST_AGAIN, SECOND, FIRST]  # the first one last of all
    assert far_truths(come_of(*ways, came=came), taken(came), {3: truth(3, "fast")}) == [
        FarTruth(2, "again", "fast"),
        FarTruth(3, "copy"),
        FarTruth(4, "late"),
    ]


def test_the_receiver_s_findings_are_weighed_by_frame() -> None:
    true = [
        FarTruth(1, "again", "fast"),
        FarTruth(2, "unseen", "rto"),
        FarTruth(3, "late"),
        FarTruth(4, "copy"),
    ]
    found = [finding(1, "rto"), finding(2, "rto"), finding(3, "fast"), finding(4, "", name="duplicate_frame")]
    weighed = weigh_far(true, found, CLIENT)
    assert weighed.scores == {
        "retransmission": Score(right=1, wrong=1),
        "out_of_order": Score(missed=1),
        "duplicate_frame": Score(right=1),
        "fast": Score(missed=1),
        "rto": Score(wrong=1),
    }
    assert weighed.unseen == 1
    assert weighed.misses == [
        "frame 3: not again, called retransmission: because",
        "frame 3: late, called retransmission: because",
    ]


@pytest.mark.parametrize(
    ("first", "needed"), [(0, True), (1, False)], ids=["the first one was lost", "it came, its ACK was lost"]
)
def test_whether_it_was_needed_is_what_came_before(first: int, needed: bool) -> None:
    ways = [(FIRST, first), (SECOND, 1), (framed(1, 200, 4), 1)]
    came = [FIRST] * first + [SECOND, ways[2][0]]
    again = Truth(3, 3, FLOW, "rto", traced=True)
    assert needed_frames(taken([w for w, _ in ways]), come_of(*ways, came=came), [again]) == {3: needed}


def test_needs_that_are_told_rightly_wrongly_and_not_at_all() -> None:
    true = [replace(truth(n, "rto"), needed=n != 2) for n in (1, 2, 3)]
    ours = {n: finding(n, "rto") for n in (1, 2, 3)}
    for number, told in ((1, "yes"), (2, "yes"), (3, "unknown")):
        ours[number].detail["needed"] = told
    misses: list[str] = []
    assert weigh_need(true, ours, misses) == {
        "needed: yes": Score(right=1, wrong=1, missed=1),
        "needed: no": Score(missed=1),
    }
    assert misses == ["frame 2: needed no, called yes by the ACK before it"]


def test_timeouts_of_which_nothing_was_lost() -> None:
    """Frames 1 and 2 are one row, 3 was needed, 4 was not and nobody said so."""
    needs = {1: False, 2: False, 3: True, 4: False}
    true = [replace(truth(n, "rto"), needed=need, end=max(n, 2)) for n, need in needs.items()]
    found = [finding(9, "echo", name="spurious_timeout"), finding(10, "echo", name="spurious_timeout")]
    for each, frame in zip(found, (1, 3), strict=True):
        each.detail["timeout_frame"] = frame
    misses: list[str] = []
    assert weigh_timeouts(true, found, CLIENT, misses) == Score(right=1, wrong=1, missed=1)
    assert misses == ["frame 3: a timeout that was needed, called spurious by echo"]
    assert weigh_timeouts(true, [replace(found[1], kind="f_rto")], CLIENT, []) == Score(missed=2)


def test_tshark_at_the_receiver() -> None:
    said_by_tshark = {
        1: (CLIENT, {"tcp.analysis.retransmission"}),
        2: (CLIENT, {"tcp.analysis.out_of_order"}),
        3: (SERVER, {"tcp.analysis.retransmission"}),
    }
    assert score_far({1, 2}, {4}, said_by_tshark, CLIENT) == {
        "retransmission": Score(right=1, missed=1),
        "out_of_order": Score(wrong=1, missed=1),
    }
