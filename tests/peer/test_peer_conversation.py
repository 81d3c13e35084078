"""Scripts played in virtual time against segments written by hand: a transcript each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tcpharness.packet.notation import format_segment, parse_line
from tcpharness.packet.segment import Segment, decode
from tcpharness.peer.conversation import Conversation, bare
from tcpharness.peer.numbers import Numbers, Side
from tcpharness.scenario.load import load
from tcpharness.scenario.model import ScriptStep

MS = 1_000_000
OWN, OTHER = Side("10.0.0.1", 40000), Side("10.0.0.2", 105)
SCENARIO = """
scenario: An example
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {{on: server, listen: 105}}
  peer:
    on: client
    {opening}
    script:
{script}
expect: {{findings: {{client: {{}}}}}}
"""


def steps(script: str, opening: str = "connect: server") -> tuple[ScriptStep, ...]:
    indented = "".join(f"      {line}\n" for line in script.strip("\n").splitlines())
    case = load(SCENARIO.format(opening=opening, script=indented), "x.yaml")[0]
    return next(e.script for e in case.endpoints if e.name == "peer")


class Play:
    """One conversation: times in milliseconds, what is sent as lines with relative numbers."""

    def __init__(self, script: str, opening: str = "connect: server") -> None:
        self.talk = Conversation(steps(script, opening), Numbers(OWN, OTHER, isn=1000))
        self.sent: list[str] = []
        self._note(self.talk.begin(0))

    def comes(self, line: str, at_ms: float = 0) -> Play:
        """A segment of the other side, whose ISN is 500; numbers as on the wire."""
        self.talk.take(segment(line), int(at_ms * MS))
        self._note(self.talk.advance(int(at_ms * MS)))
        return self

    def until(self, at_ms: float) -> Play:
        while (at_ns := self.talk.next_deadline()) is not None and at_ns <= at_ms * MS:
            before = at_ns
            self._note(self.talk.advance(before))
            if self.talk.next_deadline() == before:
                raise AssertionError("it does not get on")
        return self

    def _note(self, frames: list[bytes]) -> None:
        for frame in frames:
            sent = decode(frame)
            isn = self.talk.numbers.outgoing
            self.sent.append(bare(format_segment(sent, isn=isn)))


def segment(line: str) -> Segment:
    return parse_line("0.0 < " + line)


def test_an_active_open_fills_in_what_is_left_out() -> None:
    play = Play("""
- send: S 0:0(0) win 1000 <mss 1460>
- expect: S. 0:0(0) ack 1
- send: .
- send: P. [payload "HELLO"]
- expect: . ack 6
- send: F.
""")
    play.comes("S. 500:500(0) ack 1001").comes(". 501:501(0) ack 1006")
    assert play.sent == [
        "S 0:0(0) win 1000 <mss 1460>",
        ". 1:1(0) ack 1 win 1000",
        "P. 1:6(5) ack 1 win 1000",
        "F. 6:6(0) ack 1 win 1000",
    ]
    assert play.talk.is_over
    assert play.talk.mismatch is None
    assert (play.talk.sent_bytes, play.talk.received_bytes) == (5, 0)


def test_a_segment_that_waits_is_for_the_next_expect() -> None:
    play = Play("""
- send: S
- {send: S, after: 50ms}
- expect: S.
- send: R 1:1(0)
""")
    play.comes("S. 500:500(0) ack 1001", 10)
    assert play.sent == ["S 0:0(0) win 65535"]
    assert play.talk.next_deadline() == 50 * MS
    play.until(50)
    assert [line[0] for line in play.sent] == ["S", "S", "R"]


def test_another_segment_than_expected_shows_both_and_the_packets() -> None:
    play = Play("""
- send: S 0:0(0)
- expect: S. 0:0(0) ack 1
""").comes("R. 0:0(0) ack 1001 win 0", 3)
    wrong = play.talk.mismatch
    assert wrong is not None
    assert (wrong.error, wrong.expected) == ("unexpected", "S. 0:0(0) ack 1")
    assert wrong.actual == "R. 0:0(0) ack 1 win 0 (differs in flags)"
    assert str(wrong.at) == "x.yaml:12:9"
    assert wrong.packets == (
        "0.000000 10.0.0.1.40000 > 10.0.0.2.105: S 0:0(0) win 65535",
        "0.003000 10.0.0.2.105 > 10.0.0.1.40000: R. 0:0(0) ack 1 win 0",
    )


def test_at_most_ten_packets_are_shown() -> None:
    play = Play("""
- send: S
- {send: "R 1:1(0)", times: 20}
- expect: S.
""")
    play.until(6000)
    assert play.talk.mismatch is not None
    assert play.talk.mismatch.error == "silence"
    assert play.talk.mismatch.actual == "nothing within 5000 ms"
    assert len(play.talk.mismatch.packets) == 10


def test_the_least_is_waited_for_and_the_rest_may_come_at_any_time() -> None:
    script = """
- send: S
- {expect: S. 0:0(0) ack 1, times: "1..2"}
- send: .
- expect: . ack 1
- send: R
"""
    synack = "S. 500:500(0) ack 1001"
    plain = Play(script).comes(synack).comes(". 501:501(0) ack 1001")
    assert plain.talk.is_over
    assert plain.talk.mismatch is None
    once_more = Play(script).comes(synack).comes(synack).comes(". 501:501(0) ack 1001")
    assert once_more.talk.mismatch is None
    too_often = Play(script).comes(synack).comes(synack).comes(synack)
    assert too_often.talk.mismatch is not None
    assert too_often.talk.mismatch.expected == ". ack 1"


def test_none_at_least_waits_for_nothing() -> None:
    script = """
- send: S
- {expect: S., times: "0.."}
- send: R 1:1(0)
- {expect: nothing, for: 100ms}
"""
    play = Play(script)
    assert [line[0] for line in play.sent] == ["S", "R"]
    for at_ms in (1, 2, 3):
        play.comes("S. 500:500(0) ack 1001", at_ms)
    assert play.until(100).talk.is_over
    assert play.talk.mismatch is None
    broken = Play(script).comes("R. 0:0(0) ack 1001", 99)
    assert broken.talk.mismatch is not None
    assert broken.talk.mismatch.expected == "nothing for 100 ms"


def test_what_comes_after_the_silence_is_not_held_against_it() -> None:
    play = Play("""
- send: S
- {expect: nothing, for: 100ms}
- expect: S.
""").comes("S. 500:500(0) ack 1001", 130)  # the timer is late, the segment later than the silence
    assert play.talk.is_over
    assert play.talk.mismatch is None


BRANCHES = """
- send: S
- any of:
    open: [expect: S. 0:0(0) ack 1, send: R]
    closed: [expect: R. ack 1]
    filtered: [{expect: nothing, for: 300ms}]
"""


@pytest.mark.parametrize(
    ("line", "took", "sent"),
    [
        ("S. 500:500(0) ack 1001", "open", 2),
        ("R. 0:0(0) ack 1001", "closed", 1),
        (None, "filtered", 1),
    ],
)
def test_one_of_several_answers(line: str | None, took: str, sent: int) -> None:
    play = Play(BRANCHES)
    if line is not None:
        play.comes(line, 5)
    play.until(300)
    assert play.talk.is_over
    assert play.talk.mismatch is None
    assert play.talk.taken == [took]
    assert len(play.sent) == sent


def test_none_of_several_answers() -> None:
    play = Play(BRANCHES).comes(". 1:1(0) ack 1", 5)
    assert play.talk.mismatch is not None
    assert play.talk.mismatch.expected == "any of S. 0:0(0) ack 1 | R. ack 1 | nothing for 300 ms"


def test_a_second_connection_between_the_same_ports() -> None:
    play = Play("""
- send: S
- expect: S. 0:0(0) ack 1
- send: R
- send: S 100000:100000(0)
- expect: S. 0:0(0) ack 100001
- send: . 100001:100001(0) ack 1
""")
    play.comes("S. 500:500(0) ack 1001").comes("S. 90000:90000(0) ack 101001")
    assert play.talk.mismatch is None
    assert play.sent[-1] == ". 100001:100001(0) ack 1 win 65535"


def test_a_sack_block_is_of_the_other_stream() -> None:
    play = Play("""
- send: S <sackOK>
- expect: S.
- send: . ack 1 <nop, nop, sack 1 {101:201}>
- expect: . <sack 1 {11:21}>
""")
    play.comes("S. 500:500(0) ack 1001 <sackOK>")
    last = play.talk.numbers
    assert play.sent[-1] == ". 1:1(0) ack 1 win 65535 <nop,nop,sack 1 {101:201}>"
    assert last.peer_isn == 500
    play.comes(". 501:501(0) ack 1001 <sack 1 {1011:1021}>")
    assert play.talk.mismatch is None


def test_the_last_timestamp_is_echoed() -> None:
    play = Play("""
- send: S <TS val 100 ecr 0>
- expect: S. <TS ecr 100>
- send: . <TS val 101 ecr last,nop,nop>
""").comes("S. 500:500(0) ack 1001 <TS val 77 ecr 100>")
    assert play.sent[-1].endswith("<TS val 101 ecr 77,nop,nop>")


def test_an_icmp_error_quotes_what_came_last() -> None:
    talk = Conversation(
        steps("""
- expect: S
- send: icmp frag_needed mtu 1280
""", "listen: 106"), Numbers(OWN, OTHER, 1000))  # fmt: skip
    talk.begin(0)
    syn = segment("S 500:500(0)")
    talk.take(syn, 0)
    (frame,) = talk.advance(0)
    assert frame[14 + 9] == 1
    assert frame[14 + 20 : 14 + 22] == b"\3\4"
    assert frame[14 + 26 : 14 + 28] == (1280).to_bytes(2, "big")
    assert frame[14 + 28 :].startswith(syn.data[14:])


def test_a_pause_until_a_condition() -> None:
    play = Play("""
- send: S
- pause: {until: server blocked}
- send: R
""")
    assert play.talk.waiting is not None
    assert (play.talk.waiting.subject, play.talk.waiting.state) == ("server", "blocked")
    assert play.talk.next_deadline() is None
    play._note(play.talk.release(7 * MS))
    assert [line[0] for line in play.sent] == ["S", "R"]
    never = Play("""
- send: S
- pause: {until: server blocked}
""")
    assert never.talk.give_up("server was done", 9) == []
    assert never.talk.mismatch is not None
    assert never.talk.mismatch.actual == "server was done"


def test_an_ack_of_nothing_is_told_where_another_way_could_have_led() -> None:
    play = Play("""
- send: S
- any of:
    - [expect: S.]
    - [expect: R.]
- send: .
""").comes("R. 0:0(0) ack 1001")
    assert play.talk.mismatch is not None
    assert "has not opened" in play.talk.mismatch.actual


def test_a_segment_damaged_on_the_way_is_no_answer() -> None:
    play = Play("""
- send: S
- expect: S.
""")
    play.comes("S. 500:500(0) ack 1001 [cksum bad]")
    assert play.talk.mismatch is not None
    assert play.talk.mismatch.actual.endswith("[cksum bad] (differs in checksum)")


def test_what_it_waits_for_is_told(golden: Callable[[str, str], None]) -> None:
    waits = [
        Play("- send: S\n- expect: S. ack 1"),
        Play(BRANCHES),
        Play("- send: S\n- {expect: nothing, for: 1s}"),
        Play("- send: S\n- pause: {until: server closed}"),
        Play("- send: S\n- {send: R, after: 1s}"),
    ]
    golden("peer_waits", "".join(play.talk.doing() + "\n" for play in waits))


def test_a_script_that_failed_lets_the_other_side_go() -> None:
    play = Play("""
- send: S
- expect: S. ack 2
""").comes("S. 500:500(0) ack 1001")
    assert play.sent[-1] == "R. 1:1(0) ack 1 win 65535"
    assert Play("- expect: S", "listen: 106").comes("F 7:7(0)").sent == []
