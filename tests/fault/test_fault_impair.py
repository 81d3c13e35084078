"""A link's impairments in virtual time: each alone, exactly; chance the same whenever frames come."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import mean, pstdev

import pytest
from virtual import ADDRESSES, HOSTS, MACS, MS

from tcpharness.fault.engine import Engine, Port, Send
from tcpharness.fault.impair import WAIT_NS
from tcpharness.fault.ledger import Entry, load
from tcpharness.packet.address import address_bytes
from tcpharness.packet.checksum import verdict
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.segment import decode
from tcpharness.scenario.impairment import CERTAIN, Impairment, Loss

PERCENT = CERTAIN // 100
ALWAYS = CERTAIN
BOTH = pytest.mark.parametrize("ip", [4, 6])


def engine(impairment: Impairment, seed: str = "7", ip: int = 4, faults: Sequence[object] = ()) -> Engine:
    ports = [
        Port(host, mac, address_bytes(address))
        for host, mac, address in zip(HOSTS, MACS, ADDRESSES[ip], strict=True)
    ]
    return Engine(faults, ports, impairments={"client": impairment}, seed=seed)  # type: ignore[arg-type]


def data(number: int, length: int = 100, sport: int = 40000, ip: int = 4, ack: int = 1) -> bytes:
    """The client's segment that begins with byte `number` * `length` of its stream."""
    src, dst = ADDRESSES[ip]
    seq = 5000 + number * length
    packet = encode(
        Frame(src, dst, sport, 105, seq=seq, ack=ack, flags=0x18, win=1000, payload=bytes(length))
    )
    return MACS[1] + MACS[0] + packet[12:]


def play(box: Engine, frames: Sequence[bytes], every_ns: int = MS) -> list[tuple[int, bytes]]:
    """Frames from the client, evenly spaced, until nothing is left; (time, frame) of all that came out."""
    out: list[tuple[int, bytes]] = []

    def came(now_ns: int, sends: Sequence[Send]) -> None:
        out.extend((now_ns, frame) for _, frame in sends)

    for number, frame in enumerate(frames):
        now_ns = number * every_ns
        while (at := box.next_deadline()) is not None and at <= now_ns:
            came(at, box.due(at))
        came(now_ns, box.frame(now_ns, 0, frame))
    while (at := box.next_deadline()) is not None:
        came(at, box.due(at))
    assert box.is_idle
    return out


def numbers(frames: Sequence[bytes], length: int = 100) -> list[int]:
    return [(decode(frame).seq - 5000) // length for frame in frames]


def acts(box: Engine) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in box.entries:
        for act in entry.acts:
            found[act] = found.get(act, 0) + 1
    return found


def lost(box: Engine) -> list[int]:
    return [e.number for e in box.entries if "loss" in e.acts]


# --- time


def test_a_delay_of_one_direction_is_exact_and_the_other_has_none() -> None:
    box = engine(Impairment(delay_ns=10 * MS))
    assert [at for at, _ in play(box, [data(n) for n in range(3)])] == [10 * MS, 11 * MS, 12 * MS]
    assert len(box.frame(0, 1, data(0)[6:12] + data(0)[:6] + data(0)[12:])) == 1


def test_a_rate_sends_one_after_the_other() -> None:
    frames = [data(n, 1000) for n in range(4)]
    each_ns = len(frames[0]) * 8 * 100  # at 10 Mbit/s a bit takes 100 ns
    box = engine(Impairment(rate_bits=10_000_000))
    assert [at for at, _ in play(box, frames, 0)] == [each_ns * n for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("queue", "kept"),
    [
        ({"queue_frames": 3}, [0, 1, 2]),
        ({"queue_bytes": 2 * len(data(0))}, [0, 1]),
        ({"queue_bytes": 3 * len(data(0)) - 1}, [0, 1]),
    ],
)
def test_a_full_queue_drops_the_last_to_come(queue: dict[str, int], kept: list[int]) -> None:
    box = engine(Impairment(rate_bits=1_000_000, **queue))  # type: ignore[arg-type]
    assert numbers([frame for _, frame in play(box, [data(n) for n in range(6)], 0)]) == kept
    assert [(e.fate, e.acts) for e in box.entries if e.acts] == [("drop", ("queue",))] * (6 - len(kept))


def test_a_queue_takes_more_once_it_has_sent() -> None:
    box = engine(Impairment(rate_bits=1_000_000, queue_frames=1))
    each_ns = len(data(0)) * 8 * 1000
    assert len(play(box, [data(n) for n in range(10)], each_ns)) == 10
    assert not acts(box)


@pytest.mark.parametrize(("shape", "spread"), [("uniform", 5 / 3**0.5), ("normal", 5)])
def test_jitter_is_spread_around_the_delay(shape: str, spread: float) -> None:
    """Seldom enough that no frame has to wait for the one before."""
    box = engine(Impairment(delay_ns=40 * MS, jitter_ns=5 * MS, shape=shape))  # type: ignore[arg-type]
    out = play(box, [data(n) for n in range(4000)], 100 * MS)
    times = [at / MS - n * 100 for n, (at, _) in enumerate(out)]
    assert mean(times) == pytest.approx(40, abs=0.5)
    assert pstdev(times) == pytest.approx(spread, rel=0.05)
    if shape == "uniform":
        assert min(times) >= 35
        assert max(times) <= 45


def test_jitter_keeps_the_order() -> None:
    box = engine(Impairment(delay_ns=40 * MS, jitter_ns=30 * MS, shape="normal"))
    out = play(box, [data(n) for n in range(500)])
    assert numbers([frame for _, frame in out]) == list(range(500))


# --- chance


@BOTH
def test_loss_is_what_is_asked_for(ip: int) -> None:
    """100,000 frames at 1 %: between the 0.05th and the 99.95th percentile of the binomial distribution."""
    box = engine(Impairment(loss=Loss(good=PERCENT)), ip=ip)
    for n in range(100_000):
        box.frame(n, 0, data(n, ip=ip) if n < 200 else _renumbered(data(0, ip=ip), n))
    assert 897 <= acts(box)["loss"] <= 1105


def _renumbered(frame: bytes, number: int) -> bytes:
    at = 38 if frame[12:14] == b"\x08\x00" else 58
    return frame[:at] + (5000 + number * 100).to_bytes(4, "big") + frame[at + 4 :]


def test_the_same_seed_loses_the_same_frames_and_another_others() -> None:
    frames = [data(n) for n in range(2000)]
    runs = []
    for seed in ("7", "7", "8"):
        box = engine(Impairment(loss=Loss(good=5 * PERCENT)), seed)
        play(box, frames)
        runs.append(lost(box))
    assert runs[0] == runs[1] != runs[2]


def test_chance_does_not_hang_on_when_frames_come() -> None:
    """Two flows, interleaved in whatever way, from whatever ports: the same bytes are lost."""
    everything = Impairment(
        loss=Loss(enter=5 * PERCENT, leave=30 * PERCENT), duplicate=5 * PERCENT, corrupt=5 * PERCENT
    )
    found = []
    for seed in range(4):
        chance = random.Random(seed)
        lanes = [[data(n, sport=40000 + seed * 7 + flow) for n in range(300)] for flow in (0, 1)]
        frames = [lanes[0].pop(0), lanes[1].pop(0)]  # who comes first is the first
        while any(lanes):
            frames.append(chance.choice([lane for lane in lanes if lane]).pop(0))
        box = engine(everything)
        play(box, frames)
        found.append(sorted((_flow(e, seed), decode(e.head).seq, e.acts) for e in box.entries))
    assert found[0] == found[1] == found[2] == found[3]
    assert any("loss" in acts for _, _, acts in found[0])


def _flow(entry: Entry, seed: int) -> int:
    return decode(entry.head).sport - 40000 - seed * 7


def test_every_transmission_has_a_chance_of_its_own() -> None:
    box = engine(Impairment(loss=Loss(good=50 * PERCENT)))
    play(box, [data(0)] * 200)
    assert 60 < acts(box)["loss"] < 140


def test_bursts_are_as_long_and_as_many_as_asked_for() -> None:
    """Mean length 1 / leave; share of the bad state enter / (enter + leave)."""
    box = engine(Impairment(loss=Loss(enter=2 * PERCENT, leave=25 * PERCENT)))
    play(box, [_renumbered(data(0), n) for n in range(20_000)])
    gone = [bool(e.acts) for e in box.entries]
    bursts = sum(now and not before for before, now in zip([False, *gone], gone, strict=False))
    assert sum(gone) / bursts == pytest.approx(4, rel=0.1)
    assert sum(gone) / len(gone) == pytest.approx(2 / 27, rel=0.15)


def test_a_segment_lost_in_a_burst_gets_through_in_the_end() -> None:
    box = engine(Impairment(loss=Loss(enter=ALWAYS, leave=25 * PERCENT)))
    assert play(box, [data(0)] * 60)


def test_a_pure_ack_hangs_on_what_it_acknowledges() -> None:
    """However many come between: the same acknowledgments are lost."""
    gone = []
    for step in (1, 3):
        box = engine(Impairment(loss=Loss(good=20 * PERCENT)))
        play(box, [data(0, 0, ack=1 + 300 * n) for n in range(0, 300, step)])
        gone.append({decode(e.head).ack for e in box.entries if e.acts})
    assert gone[1] == {ack for ack in gone[0] if (ack - 1) % 900 == 0}


def test_what_is_no_tcp_is_lost_as_well() -> None:
    box = engine(Impairment(loss=Loss(good=50 * PERCENT)))
    frame = data(0)[:23] + b"\x11" + data(0)[24:]
    assert 60 < 200 - len(play(box, [frame] * 200)) < 140


# --- what is done


def test_a_duplicate_follows_at_once() -> None:
    box = engine(Impairment(duplicate=ALWAYS, delay_ns=MS))
    assert play(box, [data(0)]) == [(MS, data(0))] * 2
    (entry,) = box.entries
    assert (entry.fate, entry.acts, len(entry.went_out)) == ("duplicate", ("duplicate",), 2)


@BOTH
def test_corruption_is_one_bit_that_the_checksum_tells(ip: int) -> None:
    box = engine(Impairment(corrupt=ALWAYS), ip=ip)
    for n, (_, frame) in enumerate(play(box, [data(n, ip=ip) for n in range(50)])):
        sent = data(n, ip=ip)
        turned = [a ^ b for a, b in zip(sent, frame, strict=True)]
        assert sum(bits.bit_count() for bits in turned) == 1
        assert not any(turned[: len(sent) - 100])
        assert verdict(decode(frame)).word == "incorrect"


def test_corruption_of_a_bare_segment_leaves_its_flow_alone() -> None:
    box = engine(Impairment(corrupt=ALWAYS))
    frames = [data(0, 0, ack=n + 1) for n in range(50)]
    for sent, (_, frame) in zip(frames, play(box, frames), strict=True):
        assert sent[:38] == frame[:38]
        assert sent != frame


@pytest.mark.parametrize("by", [1, 3])
def test_a_reordered_frame_goes_behind_the_next_ones(by: int) -> None:
    box = engine(Impairment(reorder=10 * PERCENT, overtaken_by=by))
    out = numbers([frame for _, frame in play(box, [data(n) for n in range(400)])])
    assert sorted(out) == list(range(400)) != out
    assert acts(box)["reorder"] == sum(e.fate == "hold" for e in box.entries) > 10
    first = next(n for n, number in enumerate(out) if n != number)
    assert out.index(first) >= first + by


def test_a_reordered_frame_does_not_wait_for_ever() -> None:
    box = engine(Impairment(reorder=ALWAYS, overtaken_by=3, delay_ns=MS))
    assert play(box, [data(0)]) == [(MS + WAIT_NS, data(0))]


def test_at_the_end_nobody_waits() -> None:
    for end in (Engine.flush, lambda box: box.let_go(MS)):
        box = engine(Impairment(reorder=ALWAYS))
        assert box.frame(0, 0, data(0)) == ()
        assert not box.is_idle
        assert end(box) == [(1, data(0))]
        assert box.is_idle


# --- beside faults


def test_what_a_fault_has_named_is_not_left_to_chance() -> None:
    from talk import case_of

    faults = case_of("{when: {from: client, data: 1, times: every}, do: {set: {ttl: 9}}}").faults
    box = engine(Impairment(loss=Loss(good=ALWAYS), delay_ns=MS), faults=faults)
    out = play(box, [data(n) for n in range(3)])
    assert [(at, decode(frame).ttl) for at, frame in out] == [(MS, 9)]
    assert [(e.fate, e.fault, e.acts) for e in box.entries] == [
        ("alter", "fault 1", ()), ("drop", None, ("loss",)), ("drop", None, ("loss",)),
    ]  # fmt: skip


def test_the_ledger_of_another_process_has_the_acts_too() -> None:
    box = engine(Impairment(loss=Loss(good=50 * PERCENT), duplicate=50 * PERCENT, reorder=50 * PERCENT))
    play(box, [data(n) for n in range(50)])
    assert load(box.ledger.dump(), HOSTS) == box.entries


# --- a link that is down


def test_a_link_that_is_down_carries_nothing_and_writes_it_down() -> None:
    box = engine(Impairment())
    box.cut(down=True)
    assert play(box, [data(0), data(1)]) == []
    box.cut(down=False)
    assert len(play(box, [data(2)])) == 1
    assert [(e.fate, e.acts) for e in box.entries] == [("drop", ("down",))] * 2 + [("forward", ())]


def test_what_is_on_its_way_arrives_when_the_link_goes_down() -> None:
    box = engine(Impairment(delay_ns=10 * MS))
    box.frame(0, 0, data(0))
    box.cut(down=True)
    assert box.due(10 * MS) == [(1, data(0))]


def test_a_frame_may_take_its_link_down_and_another_up_again() -> None:
    """Both behind themselves; frames are counted while it is down."""
    from talk import Talk

    talk = Talk("{when: {from: client, data: 1}, do: down}, {when: {from: client, data: 3}, do: up}")
    talk.opens()
    assert talk.client("P. 1 abc") == ["server P. 1 abc"]
    assert talk.server(". 1") == []
    assert talk.client("P. 4 def") == []
    assert talk.client("P. 7 ghi") == []
    assert talk.server(". 1") == ["client . 1"]
    last = talk.engine.entries[-2]
    assert (last.fate, last.faults, last.acts) == ("drop", ("fault 2",), ("down",))


def test_a_fault_waits_for_an_endpoint() -> None:
    from talk import Talk

    talk = Talk("{when: {from: client, len: 3, endpoint: server, blocked: true}, do: drop}")
    talk.opens()
    assert talk.client("P. 1 abc") == ["server P. 1 abc"]
    talk.engine.reach("server blocked")
    assert talk.client("P. 4 abc") == []
