"""Faults in virtual time, read as transcripts: what comes in, what goes out."""

from __future__ import annotations

import random
import zlib

import pytest
from talk import ADDRESSES, HOSTS, MACS, MS, SYN_OPTIONS, Talk

from tcpharness.fault.engine import HOLD_NS
from tcpharness.packet.checksum import ip_verdict, verdict
from tcpharness.packet.segment import decode, flags_text

BOTH = pytest.mark.parametrize("ip", [4, 6])


# --- which frame -------------------------------------------------------------------------------

# when, then the client's or server's lines after the handshake; "x": it is dropped
MATCHES = {
    "the nth new data segment": (
        "{from: client, data: 2}",
        ["c P. 1 abc", "c . 4", "x c P. 4 def", "c P. 7 ghi", "c P. 4 def"],
    ),
    "every transmission of it, while times lasts": (
        "{from: client, data: 2, times: 3}",
        ["c P. 1 abc", "x c P. 4 def", "x c P. 4 def", "c P. 1 abc", "x c P. 4 def", "c P. 4 def"],
    ),
    "also when it comes again in another cut": (
        "{from: client, data: 2, times: every}",
        ["c P. 1 abc", "x c P. 4 def", "x c P. 1 abcdef", "x c P. 5 ef", "c P. 1 abcd"][:3],
    ),
    "the segment with a byte": ("{from: client, byte: 5}", ["c P. 1 abc", "x c P. 4 def", "c P. 7 g"]),
    "exact flags": ("{from: client, flags: F.}", ["c P. 1 abc", "x c F. 4"]),
    "flags among others": ("{from: client, flags: has F}", ["c P. 1 abc", "x c FP. 4 de"]),
    "exact flags leave others alone": ("{from: client, flags: F.}", ["c FP. 1 abc", "x c F. 4"]),
    "the nth of what else matches": ("{from: client, flags: ., nth: 3}", ["c . 1", "x c . 1", "c . 1"]),
    "the other direction is counted by itself": (
        "{from: client, nth: 3, flags: .}",
        ["s . 1", "c . 1", "s . 1", "x c . 1"],
    ),
    "a text": ("{contains: HELLO}", ["c P. 1 HE", "c P. 3 LLO", "x c P. 6 aHELLOb"]),
    "what was sent before": ("{from: client, retransmitted: true}", ["c P. 1 abc", "x c P. 1 abc"]),
    "only what was not": (
        "{from: client, retransmitted: false, len: 3, nth: 2}",
        ["c P. 1 abc", "c P. 1 abc", "x c P. 4 def"],
    ),
    "a length": ('{from: client, len: "4.."}', ["c P. 1 abc", "x c P. 4 defg"]),
    "a receiver": ("{to: client, flags: .}", ["c . 1", "x s . 1"]),
    "a header field": ("{from: client, win: 500, len: 3}", ["x c P. 1 abc", "c . 4"]),
    "a ttl": ("{from: client, ttl: 63}", ["c . 1", "c P. 1 abc"]),
    "a state": ("{from: client, state: established, len: 3}", ["c . 1", "x c P. 1 abc"]),
    "closing": ("{from: server, state: closing}", ["s . 1", "c F. 1", "x s . 1"]),
    "every time": ("{from: client, len: 3, times: every}", ["x c P. 1 abc", "x c P. 1 abc", "x c P. 4 def"]),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", MATCHES)
def test_a_match_means_its_frame_and_no_other(name: str, ip: int) -> None:
    when, lines = MATCHES[name]
    talk = Talk(f"{{when: {when}, do: drop}}", ip)
    talk.opens()
    for line in lines:
        dropped = line.startswith("x ")
        side, words = line.removeprefix("x ").split(" ", 1)
        out = talk.client(words) if side == "c" else talk.server(words)
        receiver = "server" if side == "c" else "client"
        assert out == ([] if dropped else [f"{receiver} {words}"]), line


def test_counting_is_by_flow() -> None:
    talk = Talk("{when: {from: client, data: 1}, do: drop}")
    assert talk.client("S 0", sport=1) == ["server S 0"]
    assert talk.client("S 0", sport=2) == ["server S 0"]
    assert talk.client("P. 1 abc", sport=1) == []
    assert talk.client("P. 1 abc", sport=2) == []
    assert talk.engine.fired == {"fault 1": 2}


def test_positions_are_counted_across_the_wrap_of_sequence_numbers() -> None:
    talk = Talk("{when: {from: client, byte: 5}, do: drop}", isn={"client": (1 << 32) - 4, "server": 9000})
    talk.opens()
    assert talk.client("P. 1 abc") == ["server P. 1 abc"]
    assert talk.client("P. 4 def") == []
    assert talk.client("P. 7 ghi") == ["server P. 7 ghi"]


def test_a_fault_after_another() -> None:
    faults = (
        "{name: one, when: {contains: b}, do: drop}, {when: {from: client, len: 1, after: one}, do: drop}"
    )
    talk = Talk(faults)
    talk.opens()
    assert [talk.client(line) for line in ("P. 1 a", "P. 2 b", "P. 2 c", "P. 3 d")] == [
        ["server P. 1 a"],
        [],
        [],
        ["server P. 3 d"],
    ]


def test_a_time_is_counted_from_the_first_frame() -> None:
    talk = Talk("{when: {from: client, time: 10ms, len: 0}, do: drop}")
    talk.opens()
    assert talk.client(". 1") == ["server . 1"]
    talk.now_ns += 10 * MS
    assert talk.client(". 1") == []


def test_a_connection_that_begins_anew_is_counted_anew() -> None:
    talk = Talk("{when: {from: client, data: 1}, do: drop}")
    talk.opens()
    assert talk.client("P. 1 abc") == []
    assert talk.client("R 1") == ["server R 1"]
    talk.isn = {"client": 500_000, "server": 700_000}
    talk.opens()
    assert talk.client("P. 1 abc") == []


# --- what is done ------------------------------------------------------------------------------


def played(do: str, line: str = "P. 1 abcdef", ip: int = 4, **fields: object) -> Talk:
    talk = Talk(f"{{name: f, when: {{from: client, contains: abc}}, do: {do}}}", ip)
    talk.opens()
    talk.result = talk.frame("client", line, **fields)
    return talk


def sent(talk: Talk) -> list[bytes]:
    return [data for _, data in talk.result]


def test_duplicate() -> None:
    talk = played("duplicate")
    assert talk.texts(talk.result) == ["server P. 1 abcdef"] * 2
    assert len(sent(played("{duplicate: 3}"))) == 4


def test_delay_lets_others_overtake() -> None:
    talk = played("{delay: 20ms}")
    assert sent(talk) == []
    assert talk.client("P. 7 x") == ["server P. 7 x"]
    assert talk.engine.next_deadline() == 4 * MS + 20 * MS
    assert talk.due(18 * MS) == []
    assert talk.due(2 * MS) == ["server P. 1 abcdef"]
    assert talk.engine.is_idle


def test_hold_until_later_segments_have_passed() -> None:
    talk = played("{hold: 2}")
    assert talk.server(". 1") == ["client . 1"]
    assert talk.client("P. 7 x") == ["server P. 7 x"]
    assert talk.client("P. 8 y") == ["server P. 8 y", "server P. 1 abcdef"]


def test_hold_ends_by_itself() -> None:
    talk = played("{hold: 2}")
    assert talk.due(HOLD_NS - 1) == []
    assert talk.due(1) == ["server P. 1 abcdef"]


def test_hold_follows_on_a_link_with_a_delay() -> None:
    talk = Talk("{when: {contains: abc}, do: {hold: 1}}", delay_ns=5 * MS)
    talk.opens()
    talk.due(50 * MS)
    talk.client("P. 1 abc")
    talk.client("P. 4 d")
    assert talk.due(50 * MS) == ["server P. 4 d", "server P. 1 abc"]


def test_release_gives_all_that_waits() -> None:
    talk = Talk("{when: {contains: abc}, do: {hold: 9}}, {when: {contains: x}, do: {delay: 1s}}")
    talk.opens()
    talk.client("P. 1 abc")
    talk.client("P. 4 x")
    assert sorted(talk.texts(talk.engine.flush())) == ["server P. 1 abc", "server P. 4 x"]
    assert talk.engine.is_idle


@BOTH
@pytest.mark.parametrize(
    ("do", "word"),
    [
        ("{corrupt: tcp}", "incorrect"),
        ("{corrupt: {byte: 2, bit: 0}}", "incorrect"),
        ("{corrupt: {byte: 2, bit: 0, checksum: fix}}", "correct"),
        ("{set: {win: 3}}", "correct"),
        ("{set: {win: 3, checksum: keep}}", "incorrect"),
    ],
)
def test_checksums_follow_or_do_not(do: str, word: str, ip: int) -> None:
    (data,) = sent(played(do, ip=ip))
    assert verdict(decode(data)).word == word


def test_a_flipped_bit_is_the_one_named() -> None:
    (data,) = sent(played("{corrupt: {byte: 2, bit: 1}}"))
    assert decode(data).payload == b"a`cdef"


def test_a_byte_behind_the_payload_changes_nothing() -> None:
    (data,) = sent(played("{corrupt: {byte: 99, bit: 1}}"))
    assert decode(data).payload == b"abcdef"


def test_the_ip_checksum_is_made_wrong_for_ipv4_alone() -> None:
    (data,) = sent(played("{corrupt: ip}"))
    assert ip_verdict(decode(data)).word == "incorrect"
    assert verdict(decode(data)).word == "correct"
    (same,) = sent(played("{corrupt: ip}", ip=6))
    assert verdict(decode(same)).word == "correct"


FIELDS = {
    "win: 0": ("win", 0), "ttl: 3": ("ttl", 3), "tos: 184": ("tos", 184), "seq: 5": ("seq", 5),
    "ack: 6": ("ack", 6), "urg: 7": ("urg", 7), "sport: 8": ("sport", 8), "dport: 9": ("dport", 9),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("written", FIELDS)
def test_set_a_field(written: str, ip: int) -> None:
    (data,) = sent(played(f"{{set: {{{written}}}}}", ip=ip))
    name, value = FIELDS[written]
    segment = decode(data)
    assert getattr(segment, name) == value
    assert verdict(segment).word == "correct"


def test_set_ipv4_fields() -> None:
    (data,) = sent(played("{set: {id: 99, df: false}}"))
    segment = decode(data)
    assert (segment.id, segment.df) == (99, False)
    assert ip_verdict(segment).word == "correct"


def test_set_flags_and_checksum() -> None:
    (data,) = sent(played("{set: {flags: FPU}}"))
    assert flags_text(decode(data).flags) == "FPU"
    (data,) = sent(played("{set: {cksum: 4660}}"))
    assert decode(data).cksum == 4660


@pytest.mark.parametrize(
    ("strip", "gone"), [("mss", "mss"), ("wscale", "wscale"), ("sack_ok", "sack_ok"), ("timestamps", "tsval")]
)
def test_strip_an_option(strip: str, gone: str) -> None:
    talk = Talk(f"{{when: {{from: client, flags: S}}, do: {{set: {{strip: {strip}}}}}}}")
    segment = talk.only(talk.frame("client", "S 0", options=SYN_OPTIONS))
    assert getattr(segment, gone) in (-1, False)
    assert verdict(segment).word == "correct"
    assert {"mss": segment.mss, "wscale": segment.wscale}.get(
        "wscale" if strip == "mss" else "mss"
    ) is not None


OPTIONS = {
    "mss: 536": ("mss", 536), "wscale: 2": ("wscale", 2), "tsval: 5": ("tsval", 5), "tsecr: 6": ("tsecr", 6),
    "sack_ok: false": ("sack_ok", False),
}  # fmt: skip


@pytest.mark.parametrize("written", OPTIONS)
def test_set_an_option(written: str) -> None:
    name, value = OPTIONS[written]
    talk = Talk(f"{{when: {{from: client, flags: S}}, do: {{set: {{{written}}}}}}}")
    assert getattr(talk.only(talk.frame("client", "S 0", options=SYN_OPTIONS)), name) == value


def test_several_actions_on_one_frame() -> None:
    talk = played("[{set: {ttl: 3}}, duplicate, {delay: 1ms}]")
    assert sent(talk) == []
    talk.now_ns += MS
    assert [decode(data).ttl for _, data in talk.engine.due(talk.now_ns)] == [3, 3]


# --- inject ------------------------------------------------------------------------------------

WINDOW = 500 << 7
SEQUENCES = {
    "rcv_nxt": range(9001, 9002), "next": range(9004, 9005), "next+10": range(9014, 9015),
    "next-1": range(9003, 9004), "in_window": range(9002, 9001 + WINDOW),
    "out_of_window": range(9001 + WINDOW, 1 << 31), "77": range(77, 78),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("word", SEQUENCES)
def test_numbers_of_an_injected_segment(word: str, ip: int) -> None:
    do = f"{{inject: {{to: client, from: server, flags: R, seq: {word}}}}}"
    talk = Talk(f"{{when: {{contains: abc}}, do: {do}}}", ip)
    talk.opens()
    talk.server("P. 1 xyz", ttl=60)
    first, second = talk.frame("client", "P. 1 abc")
    segment = decode(first[1])
    assert (HOSTS[first[0]], flags_text(segment.flags)) == ("client", "R")
    assert segment.seq in SEQUENCES[word]
    assert (segment.src, segment.dst) == (ADDRESSES[ip]["server"], ADDRESSES[ip]["client"])
    assert (segment.sport, segment.dport, segment.ttl) == (105, 40000, 60)
    assert verdict(segment).word == "correct"
    assert first[1][:6] == MACS["client"]
    assert talk.texts([second]) == ["server P. 1 abc"]


def test_inject_to_a_side_that_has_not_spoken_yet() -> None:
    talk = Talk(
        "{when: {from: client, flags: S}, do: {inject: {to: client, from: server, flags: R., ack: next}}}"
    )
    first, _ = talk.frame("client", "S 0")
    segment = decode(first[1])
    assert (HOSTS[first[0]], flags_text(segment.flags), segment.ack) == ("client", "R.", 1001)
    assert (segment.src, segment.sport) == (ADDRESSES[4]["server"], 105)


def test_inject_with_everything_said() -> None:
    fields = (
        "flags: none, win: 9, ttl: 2, tos: 4, cksum: 1, seq: 5, ack: 6, mss: 700, wscale: 1, sack_ok: true"
    )
    talk = played(f"{{inject: {{to: server, from: client, {fields}}}}}")
    segment = decode(sent(talk)[0])
    assert (segment.flags, segment.win, segment.ttl, segment.tos) == (0, 9, 2, 4)
    assert (segment.cksum, segment.seq, segment.ack) == (1, 5, 6)
    assert (segment.mss, segment.wscale, segment.sack_ok) == (700, 1, True)


def test_kill_is_an_event_and_the_frame_goes_on() -> None:
    talk = played("{kill: server}")
    assert talk.texts(talk.result) == ["server P. 1 abcdef"]
    (event,) = talk.engine.take_fired()
    assert (event.fault, event.kills) == ("f", (("server", "KILL"),))


# --- the ledger --------------------------------------------------------------------------------


def test_every_frame_has_one_entry() -> None:
    talk = Talk(
        "{name: lost, when: {contains: abc}, do: drop}, {name: twice, when: {contains: x}, do: duplicate}"
    )
    talk.opens()
    talk.client("P. 1 abc")
    (once, again) = talk.frame("client", "P. 1 x")
    fates = [(e.number, e.fate, e.fault, len(e.went_out)) for e in talk.engine.entries]
    assert fates == [
        (1, "forward", None, 1),
        (2, "forward", None, 1),
        (3, "forward", None, 1),
        (4, "drop", "lost", 0),
        (5, "duplicate", "twice", 2),
    ]
    last = talk.engine.entries[-1]
    assert last.came_in == ("client", zlib.crc32(once[1]))
    assert last.went_out == (("server", zlib.crc32(again[1])),) * 2


def test_an_altered_frame_has_both_digests() -> None:
    talk = played("{set: {win: 1}}")
    entry = talk.engine.entries[-1]
    (data,) = sent(talk)
    assert entry.came_in is not None
    assert entry.came_in[1] != entry.went_out[0][1] == zlib.crc32(data)


def test_what_comes_after_the_end_is_noted_and_gone() -> None:
    talk = Talk("{when: {contains: abc}, do: drop}")
    talk.engine.stop()
    assert talk.client("P. 1 abc") == []
    (entry,) = talk.engine.entries
    data = talk.segment("client", "server", "P. 1 abc")
    assert (entry.fate, entry.came_in, entry.went_out) == ("consume", ("client", zlib.crc32(data)), ())


@pytest.mark.parametrize("seed", range(5))
def test_what_no_fault_names_passes_unchanged_and_in_order(seed: int) -> None:
    rng = random.Random(seed)
    talk = Talk("{when: {contains: never}, do: drop}")
    frames = []
    for _ in range(300):
        sender, receiver = rng.choice([("client", "server"), ("server", "client")])
        flags = rng.choice(["S", "S.", ".", "P.", "F.", "R", "none", "FPU", "SF"])
        good = talk.segment(sender, receiver, f"{flags} {rng.randrange(1 << 20)} {'x' * rng.randrange(40)}")
        broken = bytearray(good)
        for _ in range(rng.choice([0, 0, 3])):
            broken[rng.randrange(12, len(broken))] = rng.randrange(256)
        frames.append(
            (sender, receiver, bytes(broken[: rng.choice([len(broken), rng.randrange(14, len(broken))])]))
        )
    engine = talk.engine
    out = [send for sender, _, data in frames for send in engine.frame(0, HOSTS.index(sender), data)]
    assert out == [(HOSTS.index(receiver), data) for _, receiver, data in frames]
    assert len(engine.entries) == len(frames)
