"""A capture being read: how far it has come."""

from __future__ import annotations

import io

from tcpharness.capture_file import Input, Progress, fitted

SECOND = 1_000_000_000


def test_progress_is_shown_after_a_second_and_wiped() -> None:
    now = [0]
    out = io.StringIO()
    progress = Progress("a.pcap", 100_000_000, out, lambda: now[0])
    file = Input(io.BytesIO(b"x" * 40), lambda done: progress.at(done * 1_000_000))
    file.read(10)
    assert out.getvalue() == ""
    now[0] = 2 * SECOND
    file.read(10)
    file.read(10)  # too soon after the last
    assert out.getvalue() == "\ra.pcap: 20%, 20 MB read, 10.0 MB/s, 8 s left\x1b[K"
    now[0] = 3 * SECOND
    file.read(10)
    assert out.getvalue().endswith("\ra.pcap: 40%, 40 MB read, 13.3 MB/s, 4 s left\x1b[K")
    progress.gone()
    assert out.getvalue().endswith("\r\x1b[K")


def test_a_short_file_shows_nothing() -> None:
    out = io.StringIO()
    progress = Progress("a.pcap", 100, out, lambda: 5)
    progress.at(100)
    progress.gone()
    assert out.getvalue() == ""


def test_of_unknown_length() -> None:
    progress = Progress("standard input", 0, io.StringIO(), lambda: 0)
    assert progress.line(3_000_000, SECOND) == "standard input: 3 MB read, 3.0 MB/s"


def test_a_beginning_that_was_read_already_comes_first() -> None:
    file = Input(io.BytesIO(b"cd"), begin=b"ab")
    assert [file.read(), file.read(), file.read()] == [b"ab", b"cd", b""]


def test_a_line_that_is_too_long_keeps_its_end_and_stays_on_one_row() -> None:
    assert fitted("a.pcap: 3%, 1 s left", 80) == "a.pcap: 3%, 1 s left"
    assert fitted("/a/long/way/to/a.pcap: 3%", 12) == "...pcap: 3%"
    assert [len(fitted("x" * 100, columns)) for columns in (80, 100, 101)] == [79, 99, 100]
