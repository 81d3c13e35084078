"""`tcpharness analyze`: what is printed, of one file and of several, and the exit status."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from struct import pack

import pytest

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.finding import LEVELS
from tcpharness.cli import FAILED, LACKING, OK, USAGE, main
from tcpharness.command_line import LEVELS as OFFERED
from tcpharness.packet.notation import parse_line
from tcpharness.packet.pcap import Writer

LOST = """\
    0.000000001 > S 0:0(0) <mss 1460>
    0.001 < S. 0:0(0) ack 1 <mss 1460>
    0.002 > . 1:1(0) ack 1
    0.003 > P. 1:11(10) ack 1
    0.303 > P. 1:11(10) ack 1
    0.304 < . 1:1(0) ack 11
"""
OTHER = LOST + "    0.400 10.0.0.3.5 > 10.0.0.2.106: S 7:7(0) <mss 1460>\n"


def capture(text: str, path: Path) -> Path:
    with path.open("wb") as file:
        writer = Writer(file)
        for line in text.splitlines():
            segment = parse_line(line)
            writer.write(1_700_000_000_000_000_000 + segment.time_ns, segment.data)
    return path


@pytest.fixture
def lost(tmp_path: Path) -> str:
    return str(capture(LOST, tmp_path / "lost.pcap"))


@pytest.fixture
def other(tmp_path: Path) -> str:
    return str(capture(OTHER, tmp_path / "other.pcap"))


def said(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(["analyze", *arguments])
    return (status, *capsys.readouterr())


def test_levels_are_those_of_findings() -> None:
    assert OFFERED == LEVELS


def test_findings_are_listed_and_counted(lost: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said([lost], capsys)
    assert (status, err) == (OK, "")
    assert out.startswith(f"{lost}: 6 frames, 1 flow\ntime ")
    assert "\nlevel    finding               count  first at  frame  flow of the first\n" in out
    assert "\nwarning  retransmission (rto)  1      0.303000  5      10.0.0.1.40000 > 10.0.0.2.105\n" in out


@pytest.mark.parametrize(("level", "status"), [("error", OK), ("warning", FAILED), ("note", FAILED)])
def test_fail_on(level: str, status: int, lost: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said([lost, "--fail-on", level], capsys)[0] == status
    assert said([lost, "--fail-on", level, "--where", "frame == 4"], capsys)[0] == OK


def test_several_files_are_summed_up(lost: str, other: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said([lost, other], capsys)
    assert status == OK
    assert "\n2 files: 13 frames, 3 flows\nlevel    finding " in out
    assert re.search(r"\nwarning +retransmission \(rto\) +2 +2 +10.0.0.1.40000 > 10.0.0.2.105\n", out)


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    lost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no capture at all")
    status, out, err = said([str(tmp_path / "none"), str(text), lost], capsys)
    assert status == OK
    assert f"{tmp_path / 'none'}: No such file or directory\n" in err
    assert f"{text}: not a capture: it begins with 6e6f2063" in err
    assert "\n1 file: 6 frames, 1 flow\n" in out
    assert said([str(text), str(tmp_path / "none")], capsys)[0] == USAGE


def test_the_flows_that_are_followed_at_once_are_bounded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first connection is given up for others, so its repeat is the beginning of another."""
    lines = LOST.splitlines(keepends=True)
    others = [f"    0.2{n:02} 10.0.1.{n}.9 > 10.0.0.2.105: S 1:1(0)\n" for n in range(20)]
    path = str(capture("".join([*lines[:4], *others, *lines[4:]]), tmp_path / "many.pcap"))
    assert "21 flows" in said([path], capsys)[1]
    assert "retransmission (rto)" in said([path, "--most-flows", "21"], capsys)[1]
    _, few, _ = said([path, "--most-flows", "8"], capsys)
    assert "22 flows" in few
    assert "retransmission (rto)" not in few


def test_several_at_once_say_the_same(
    lost: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no capture at all")
    files = [lost, str(tmp_path / "none"), other, str(text), lost]
    for options in ([], ["-v"], ["--jsonl"], ["--filter", "port 106"], ["--fail-on", "warning"]):
        alone = said([*files, *options], capsys)
        assert said([*files, *options, "--parallel", "3"], capsys) == alone


def test_a_detector_that_fails_in_another_process_is_told(
    lost: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("def fails_elsewhere(segment, this, other):\n    1 // 0\nDETECTORS = [fails_elsewhere]\n")
    try:
        status, _, err = said([lost, other, "--parallel", "2", "--detectors", str(mine)], capsys)
    finally:
        BY_NAME.pop("fails_elsewhere", None)
    assert status == USAGE
    assert err.startswith(f"tcpharness: {mine}:2: fails_elsewhere at frame 1: ZeroDivisionError: ")


def test_where_is_refused_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(["nowhere.pcap", "--where", "frme == 3"], capsys)
    assert (status, out) == (USAGE, "")
    assert err == "tcpharness: --where: column 1: frme is no name; did you mean frame?\n  frme == 3\n  ^\n"


def test_where_applies_to_json_too(lost: str, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--where", 'detector == "retransmission" and detail.elapsed_ns == 300ms']
    whole = json.loads(said([lost, "--json", *where], capsys)[1])
    assert [f["frame"] for f in whole["findings"]] == [5]
    lines = said([lost, "--jsonl", *where], capsys)[1].splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["rto"]


def test_json_holds_every_level_unless_one_is_asked_for(
    lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said([lost, "--jsonl"], capsys)[1].splitlines()
    assert "info" in {json.loads(line)["level"] for line in lines}
    lines = said([lost, "--jsonl", "--level", "note"], capsys)[1].splitlines()
    assert {json.loads(line)["level"] for line in lines} == {"note", "warning"}


def test_standard_input(
    lost: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(lost).read_bytes())))
    assert said(["-"], capsys)[1].startswith("-: 6 frames, 1 flow\n")


# --- packet lines ------------------------------------------------------------------------------


def test_packets_with_their_findings_beneath(
    lost: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")  # half an hour off, so that an hour's rounding would show
    time.tzset()
    try:
        out = said([lost, "-v"], capsys)[1]
    finally:
        monkeypatch.undo()
        time.tzset()
    again = out.index("03:43:20.303000 IP (tos 0x0, ttl 64, ")
    lines = out[again:].splitlines()
    assert lines[1].startswith("    10.0.0.1.40000 > 10.0.0.2.105: Flags [P.], cksum 0x")
    assert lines[1].endswith(", seq 1:11, ack 1, win 1000, length 10")
    assert lines[2].startswith("    ^ warning retransmission (rto): ")
    assert out.count(" Flags [") == 6
    assert "\nwarning  retransmission (rto)  1      0.303000  5 " in out


def test_where_leaves_packets_out(
    lost: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(lost).read_bytes())))
    out = said(["-", "-v", "--where", 'detector == "retransmission"'], capsys)[1]
    assert out.count(" Flags [") == 1
    assert out.startswith("-: 6 frames, 1 flow\n")


# --- the capture filter: the real tcpdump ------------------------------------------------------


@pytest.mark.skipif(not shutil.which("tcpdump", path="/usr/bin:/usr/sbin"), reason="tcpdump is not installed")
class TestFilter:
    def test_only_what_it_lets_through(self, other: str, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, err = said([other, "--filter", "dst port 106"], capsys)
        assert (status, err) == (OK, "")
        assert out.startswith(f"{other}: 1 frame, 1 flow\n")

    def test_nanoseconds_survive(self, lost: str, capsys: pytest.CaptureFixture[str]) -> None:
        out = said([lost, "--filter", "tcp", "--json"], capsys)[1]
        assert json.loads(out)["flows"][0]["first_ns"] == 1_700_000_000_000_000_001

    def test_compressed(self, lost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        packed = tmp_path / "lost.pcap.gz"
        packed.write_bytes(gzip.compress(Path(lost).read_bytes()))
        assert "6 frames" in said([str(packed), "--filter", "port 105"], capsys)[1]

    def test_an_expression_that_is_none(self, lost: str, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, err = said([lost, "--filter", "port and"], capsys)
        assert (status, out) == (USAGE, "")
        assert err == f"tcpharness: {lost}: tcpdump: can't parse filter expression: syntax error\n"

    def test_an_expression_is_never_an_option(self, lost: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert said([lost, "--filter=-D"], capsys)[0] == USAGE

    def test_a_truncated_file_is_said_and_the_rest_analysed(
        self, lost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        short = tmp_path / "short.pcap"
        short.write_bytes(Path(lost).read_bytes()[:-5])
        status, out, err = said([str(short), "--filter", "tcp"], capsys)
        assert status == OK
        assert "5 frames" in out
        assert "truncated dump file" in err

    def test_a_damaged_compressed_file(
        self, lost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        packed = tmp_path / "lost.pcap.gz"
        packed.write_bytes(gzip.compress(Path(lost).read_bytes())[:-40])
        status, _, err = said([str(packed), "--filter", "tcp"], capsys)
        assert "gzip ends in the middle" in err
        assert status in (OK, USAGE)  # whether a packet came before the damage is up to the compression

    def test_a_refusal_does_not_wait_for_the_end_of_a_pipe(self) -> None:
        command = [sys.executable, "-m", "tcpharness", "analyze", "-", "--filter", "port and"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin
            assert process.stderr
            process.stdin.write(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
            process.stdin.flush()  # and it stays open
            assert process.wait(timeout=30) == USAGE
            assert b"can't parse filter expression: syntax error" in process.stderr.read()

    def test_from_a_pipe_as_a_process(self, lost: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tcpharness", "analyze", "-", "--filter", "port 105"],
            input=Path(lost).read_bytes(), capture_output=True, check=True,
        )  # fmt: skip
        assert done.stdout.startswith(b"-: 6 frames, 1 flow\n")


def test_without_tcpdump_a_filter_is_lacking(
    lost: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tcpharness.capture_file.PLACES", "/nowhere")
    status, out, err = said([lost, "--filter", "tcp"], capsys)
    assert (status, out) == (LACKING, "")
    assert err == "tcpharness: --filter needs tcpdump, which is not installed: apt install tcpdump\n"


def test_two_captures_of_one_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    near = capture("0.000 > S 0:0(0) <mss 1460,nop,wscale 7>", tmp_path / "near.pcap")
    far = capture("0.001 > S 0:0(0) <mss 1460> [ttl 63]", tmp_path / "far.pcap")
    assert main(["analyze", str(far), "--compare", str(near), "--fail-on", "warning"]) == FAILED
    assert "option_stripped" in capsys.readouterr().out
    assert main(["analyze", str(near), "--compare", str(far), "--json"]) == OK
    assert "option_stripped" not in capsys.readouterr().out


@pytest.mark.parametrize("capture_filter", [[], ["--filter", "tcp"]])
def test_without_a_capture_to_compare_with_there_is_no_answer(
    capture_filter: list[str], lost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("hello, world")
    text = str(tmp_path / "text")
    for other, why in (("/nowhere.pcap", "No such file"), (text, "(not a capture|file format)")):
        assert main(["analyze", lost, "--compare", other, *capture_filter]) == USAGE
        out, problem = capsys.readouterr()
        assert out == ""
        assert re.fullmatch(f"tcpharness: --compare: {other}: .*{why}.*\n", problem)


def test_of_a_damaged_capture_the_beginning_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near = capture("0.000 > S 0:0(0) <mss 1460,nop,wscale 7>", tmp_path / "near.pcap")
    far = capture("0.001 > S 0:0(0) <mss 1460> [ttl 63]", tmp_path / "far.pcap")
    near.write_bytes(near.read_bytes() + b"\0")
    assert main(["analyze", str(far), "--compare", str(near)]) == OK
    out, problem = capsys.readouterr()
    assert "option_stripped" in out
    assert f"{near}: truncated at byte" in problem


def asked(lines: Sequence[str], where: Path) -> tuple[list[str], int, str]:
    """What `analyze --serve` answers to these lines, its status, its last words."""
    command = [sys.executable, "-m", "tcpharness", "analyze", "--serve", "socket"]
    with subprocess.Popen(command, cwd=where, stderr=subprocess.PIPE, text=True) as process:
        with socket.socket(socket.AF_UNIX) as ours:
            deadline = time.monotonic() + 20
            while ours.connect_ex(str(where / "socket")) and time.monotonic() < deadline:
                assert process.poll() is None
                time.sleep(0.01)
            with ours.makefile("rw") as stream:
                answers = []
                for line in lines:
                    stream.write(line + "\n")
                    stream.flush()
                    answers.append(stream.readline().strip())
        _, said = process.communicate(timeout=20)
    return answers, process.returncode, said


def test_one_process_answers_for_many_captures(
    lost: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps({"capture": path, "findings": f"{path}.jsonl"}) for path in (lost, other, lost)]
    answers, status, _ = asked(lines, tmp_path)
    assert [json.loads(answer) for answer in answers] == [{"did": lost}, {"did": other}, {"did": lost}]
    assert status == OK
    for path in (lost, other):
        assert Path(f"{path}.jsonl").read_text() == said(["--jsonl", path], capsys)[1] != ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("what?", "'what?' is no question; expected {\"capture\": FILE"),
        ('{"capture": "/nowhere.pcap", "findings": "x"}', "/nowhere.pcap: No such file or directory"),
        ('{"capture": "/dev/null", "findings": "x"}', "/dev/null: "),
    ],
)
def test_what_it_cannot_answer_ends_it(line: str, words: str, tmp_path: Path) -> None:
    answers, status, said = asked([line], tmp_path)
    assert (answers, status) == ([""], USAGE)
    assert words in said


def test_captures_or_a_socket_and_not_both(lost: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], [lost, "--serve", "socket"]):
        status, _, err = said(arguments, capsys)
        assert status == USAGE
        assert "analyze needs captures, or --serve" in err
