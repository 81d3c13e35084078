"""Files that are damaged, that lie, or that are no captures: a line about each; what was readable counts."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from struct import pack

import pytest

from tcpharness.capture_file import is_being_written
from tcpharness.cli import OK, USAGE, main

CORPUS = Path(__file__).parent / "fuzz" / "corpus"
WHOLE = (CORPUS / "story_whole.pcap").read_bytes()
PCAPNG = (CORPUS / "little.pcapng").read_bytes()
EXPECTED = "; expected pcap or pcapng"
EDITCAP = "; `editcap -F pcap` converts it"
ERF = pack("<II", 0, 1_700_000_000) + pack(">BBHHH", 2, 4, 80, 0, 60)

Said = Callable[[bytes], tuple[int, str, str]]


@pytest.fixture
def said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """Exit status, standard output, and the one line about the file without its name."""

    def analyze(data: bytes) -> tuple[int, str, str]:
        path = tmp_path / "it"
        path.write_bytes(data)
        status = main(["analyze", str(path)])
        out, problem = capsys.readouterr()
        begin = f"tcpharness: {path}: "
        assert problem.count("\n") <= 1
        assert not problem or problem.startswith(begin)
        return status, out, problem.removeprefix(begin).rstrip("\n")

    return analyze


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"\x7fELF\2\1\1" + b"\0" * 60, "7f454c46 (a program (ELF))" + EXPECTED),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 60, "89504e47 (a PNG image)" + EXPECTED),
        (b"Dear all,\nplease find attached", "44656172 (text)" + EXPECTED),
        (b"<!DOCTYPE html><html>", "3c21444f (HTML: an error page, downloaded instead?)" + EXPECTED),
        (b"snoop\0\0\0\0\0\0\2\0\0\0\4", "736e6f6f (a snoop capture)" + EDITCAP),
        (ERF + b"\0" * 64, "00000000 (an ERF capture)" + EDITCAP),
        (b"BZh91AY&SY", "425a6839 (bzip2); unpack it with bunzip2"),
        (b"\0" * 64, "00000000" + EXPECTED),
        (gzip.compress(b"\x89PNG\r\n\x1a\n"), "89504e47 (a PNG image)" + EXPECTED),
    ],
)  # fmt: skip
def test_what_is_no_capture_says_what_it_is(data: bytes, problem: str, said: Said) -> None:
    status, out, line = said(data)
    assert (status, out) == (USAGE, "")
    assert line == (problem if not data else f"not a capture: it begins with {problem}")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (WHOLE[:3], "truncated at byte 3: too short to say which kind of capture it is"),
        (WHOLE[:10], "truncated at byte 10: the pcap header takes 24"),
        (WHOLE[:30], "truncated at byte 30: inside a record header"),
        (WHOLE[:70], "truncated at byte 70: a record of 74 bytes ends after 30"),
        (PCAPNG[:20], "truncated at byte 20: inside the section header"),
        (WHOLE[:24] + b"\xff" * 16, "byte 24: a record of 4294967295 bytes is not believable"),
        (gzip.compress(WHOLE)[:9], "truncated at byte 9: gzip ends in the middle"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 20, "zstd"),
    ],
)
def test_where_nothing_was_readable_the_status_says_so(data: bytes, problem: str, said: Said) -> None:
    status, out, line = said(data)
    assert (status, out) == (USAGE, "")
    assert problem in line


@pytest.mark.parametrize(
    ("data", "frames", "problem"),
    [
        (WHOLE[:-20], 8, "truncated at byte 1158: a record of 66 bytes ends after 46"),
        (WHOLE[:120], 1, "truncated at byte 120: inside a record header"),
        (WHOLE[:114] + b"\xff" * 16, 1, "byte 114: a record of 4294967295 bytes is not believable"),
        (gzip.compress(WHOLE)[:-20], 8, "gzip ends in the middle"),
        (PCAPNG[:-60], 5, "truncated at byte 664: inside a block header"),
        (PCAPNG[:-50], 5, "truncated at byte 674: a block of 36 bytes ends after 14"),
        (PCAPNG + b"\x06\0\0\0\3\0\0\0", 5, "byte 724: a block of 3 bytes is not believable"),
    ],
)
def test_what_came_before_is_analysed(data: bytes, frames: int, problem: str, said: Said) -> None:
    status, out, line = said(data)
    assert status == OK
    assert f": {frames} frame" in out
    assert problem in line


def test_a_header_alone_is_an_empty_capture(said: Said) -> None:
    status, out, line = said(WHOLE[:24])
    assert (status, line) == (OK, "")
    assert "0 frames" in out


def test_one_file_that_is_readable_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good").write_bytes(WHOLE)
    (tmp_path / "bad").write_bytes(b"hello")
    assert main(["analyze", str(tmp_path / "bad"), str(tmp_path / "good")]) == OK
    out, problems = capsys.readouterr()
    assert "good: 9 frames" in out
    assert problems.count("\n") == 1


def test_programs_get_the_problem_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad"
    path.write_bytes(b"hello")
    assert main(["analyze", "--json", str(path)]) == USAGE
    assert "not a capture" in capsys.readouterr().out


def test_a_file_that_is_still_being_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "growing"
    with path.open("wb") as writer:
        writer.write(WHOLE[:-20])
        writer.flush()
        assert main(["analyze", str(path)]) == OK
        out, problem = capsys.readouterr()
        assert "8 frames" in out
        assert ": still being written: truncated at byte 1158: " in problem
        assert main(["analyze", str(path)]) == OK  # asking does no harm to the writer, or to the next one
        writer.write(WHOLE[-20:])
    capsys.readouterr()
    assert main(["analyze", str(path)]) == OK
    out, problem = capsys.readouterr()
    assert "9 frames" in out
    assert problem == ""


def test_whether_somebody_writes(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"x")
    with path.open("rb") as reader:
        assert not is_being_written(reader)
        with path.open("ab"):
            assert is_being_written(reader)
        assert not is_being_written(reader)
    receive, send = os.pipe()
    with os.fdopen(receive, "rb") as pipe, os.fdopen(send, "wb"):
        assert not is_being_written(pipe)


@pytest.mark.parametrize(("data", "status"), [(WHOLE, OK), (WHOLE[:-20], OK), (b"hello", USAGE)])
def test_standard_input(data: bytes, status: int) -> None:
    command = [sys.executable, "-m", "tcpharness", "analyze", "-"]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == status, done.stderr
    assert (b"frames" in done.stdout) == (status == OK)


@pytest.mark.parametrize(
    ("linktype", "frame", "kind"),
    [
        (1, b"\2" * 12 + b"\x08\x06" + b"\0" * 28, "arp"),
        (101, b"\x45\0\0\x28\0\1\0\0\x40\x84\0\0\x0a\0\0\1\x0a\0\0\2" + b"\0" * 20, "sctp"),
        (189, b"\0" * 64, "linktype 189 (USB)"),
        (201, b"\0" * 20, "linktype 201 (Bluetooth HCI)"),
        (9999, b"\0" * 20, "linktype 9999"),
    ],
)
def test_a_capture_without_tcp_says_what_it_holds(linktype: int, frame: bytes, kind: str, said: Said) -> None:
    header = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype)
    status, out, line = said(header + pack("<IIII", 1_700_000_000, 0, len(frame), len(frame)) + frame)
    assert (status, line) == (OK, "")
    assert f": 1 frame, 0 flows; not TCP: 1 {kind}\n" in out
