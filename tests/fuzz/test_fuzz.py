"""A short run of the fuzzer, always with the same inputs; the long one is `python tests/fuzz/run.py`."""

from __future__ import annotations

import gzip
import sys
from io import BytesIO
from itertools import islice
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import pytest
from fuzz_corpus import CORPUS, corpus
from fuzz_mutate import Mutator, take_apart
from fuzz_targets import FIELDS, PLACES, TARGETS, Broken, Dripping, analysing, choices, hold, reading
from hypothesis import given
from hypothesis import strategies as st
from run import failure, inputs, main

from tcpharness.analysis.capture import analyze
from tcpharness.packet import segment

EXECUTIONS = {
    "decoding": 10_000, "reading": 12_000, "analysing": 5_000, "decoding_capture": 1_200, "dripping": 2_000,
    "isolated": 2_000, "notation": 6_000,
}  # fmt: skip
LINES_A_BYTE, LINES = 250, 20_000
FILES = corpus()


def unpacked(name: str, data: bytes) -> bytes:
    """Interpreters and their zlib pack the same contents differently."""
    return gzip.decompress(data) if name.endswith(".gz") else data


def test_the_corpus_is_what_it_is_made_of() -> None:
    kept = {path.name: path.read_bytes() for path in CORPUS.iterdir()}
    assert {name: unpacked(name, data) for name, data in kept.items()} == {
        name: unpacked(name, data) for name, data in FILES.items()
    }
    assert max(map(len, FILES.values())) < 4096


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_breaks(name: str) -> None:
    for _, data in islice(inputs(7, name), EXECUTIONS[name]):
        why = failure(TARGETS[name], data)
        assert not why, (why, data.hex()[:4000])


@pytest.mark.parametrize("name", sorted(FILES))
def test_what_the_corpus_holds_breaks_nothing(name: str) -> None:
    for each in TARGETS:
        assert not failure(TARGETS[each], FILES[name])


@given(st.sampled_from(sorted(FILES)), st.integers(0, 1 << 32))
def test_the_borders_of_pieces_make_no_difference(name: str, seed: int) -> None:
    data = FILES[name]
    pieces = Dripping(data, Random(seed))
    assert analyze(pieces) == analyze(BytesIO(data))  # type: ignore[arg-type]


def lines_of(data: bytes) -> int:
    """Lines of the project's own code that one analysis runs through; none where they are compiled."""
    count = 0

    def line(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if "tcpharness" not in frame.f_code.co_filename:
            return None
        count += 1
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        analysing(data)
    finally:
        sys.settrace(before)
    return count


def test_the_work_is_bounded_by_the_bytes() -> None:
    for _, data in islice(inputs(11, "analysing"), 150):
        assert lines_of(data) <= LINES_A_BYTE * len(data) + LINES, data.hex()


def test_every_attribute_of_a_segment_is_compared() -> None:
    named = {*FIELDS, *PLACES}
    left = [name for name in segment.Segment.__dict__ if not name.startswith("_") and name not in named]
    methods = {"clear", "forget_options", "sack_left", "sack_right"}
    addresses = {f"{side}_{what}" for side in ("src", "dst") for what in ("bytes", "high", "low")}
    # Addresses are compared as texts; `data` and `ip_options` by what is cut out of them.
    assert set(left) - methods <= addresses | {"data", "ip_options"}


def test_what_breaks_is_told_in_a_line() -> None:
    def broken(data: bytes) -> None:
        hold(data == b"", "not empty", len(data))

    assert failure(broken, b"abc") == "Broken: not empty: (3,)"
    assert failure(broken, b"") == ""
    with pytest.raises(Broken):
        broken(b"x")


def test_the_same_seed_gives_the_same_inputs() -> None:
    assert list(islice(inputs(3, None), 50)) == list(islice(inputs(3, None), 50))
    assert list(islice(inputs(3, None), 50)) != list(islice(inputs(4, None), 50))


def test_changes_leave_the_corpus_alone() -> None:
    data = FILES["story_loss.pcap"]
    mutator = Mutator([data], Random(1))
    assert len({mutator.make() for _ in range(200)}) > 150
    parts = take_apart(data)
    assert parts is not None
    assert bytes(parts.head) + b"".join(parts.pieces) == data


def test_most_changed_captures_are_still_captures() -> None:
    """A fuzzer whose inputs are refused at the first byte tests nothing behind it."""
    deep = 0
    for _, data in islice(inputs(5, "analysing"), 300):
        deep += choices(data) is not None and bool(analysing(data).flows)
    assert deep > 200


def test_the_runner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--executions", "300", "--out", str(tmp_path / "broken")]) == 0
    assert "300 executions" in capsys.readouterr().out
    assert not (tmp_path / "broken").exists()


def test_an_input_that_breaks_something_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(data: bytes) -> None:
        reading(data)
        hold(len(data) > 100, "short", len(data))

    monkeypatch.setitem(TARGETS, "reading", refuse)
    assert main(["--executions", "400", "--target", "reading", "--out", str(tmp_path)]) == 1
    kept = list(tmp_path.iterdir())
    assert kept
    assert all(len(path.read_bytes()) <= 100 for path in kept)
    assert "Broken: short" in capsys.readouterr().out


@pytest.mark.skipif(segment.__file__.endswith(".py"), reason="not compiled, so there is one build only")
def test_both_builds_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--compare", "--executions", "6000", "--out", str(tmp_path)]) == 0
    assert "both builds say the same" in capsys.readouterr().out
