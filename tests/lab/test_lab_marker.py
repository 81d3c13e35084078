"""The end marker in files: counted, and taken out of text."""

from __future__ import annotations

from pathlib import Path

import pytest
from built_lab import PAIR, BuildLab

from tcpharness.lab.marker import Markers, count_markers, without_markers

OURS = bytes.fromhex("060102030405 060102030405 88b5") + b"tcpharness 0102030405"
TEXT = b"""\
1.0 IP 10.0.0.1.40000 > 10.0.0.2.105: Flags [S], seq 1, length 0
2.0 06:01:02:03:04:05 > 06:01:02:03:04:05, ethertype Unknown (0x88b5), length 35:
\t0x0000:  7463 7068 6172 6e65 7373 2030 3130 3230  tcpharness.01020
\t0x0010:  3330 3430 35                             30405
3.0 02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype Unknown (0x88b6), length 20:
\t0x0000:  7463 7068 6172                           tcphar
"""


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"", 0),
        (b"header" + OURS + b"record" + OURS, 2),
        (b"header" + OURS[:14], 1),  # snaplen 14
        (b"header" + OURS[1:], 0),
        (b"payload that says \x88\xb5tcpharness", 0),
    ],
)
def test_markers_are_counted_in_raw_files(tmp_path: Path, content: bytes, count: int) -> None:
    file = tmp_path / "x.pcap"
    file.write_bytes(content)
    assert count_markers(file, text=False) == count


def test_no_file_has_no_markers(tmp_path: Path) -> None:
    assert count_markers(tmp_path / "x.pcap", text=False) == 0


def test_markers_are_taken_out_of_text(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_bytes(TEXT)
    assert count_markers(file, text=True) == 1
    without_markers(file)
    lines = TEXT.splitlines(keepends=True)
    assert file.read_bytes() == b"".join([lines[0], *lines[4:]])


@pytest.mark.netns
def test_a_marker_is_found_across_two_reads(build_lab: BuildLab, tmp_path: Path) -> None:
    file = tmp_path / "x.pcap"
    markers = Markers([(build_lab(PAIR).hosts["client"], "eth0")], file, text=False)
    (marker,) = markers.all
    assert not markers.found()  # no file yet
    with file.open("wb", buffering=0) as growing:
        growing.write(b"header" + marker.frame[:9])
        assert not markers.found()
        growing.write(marker.frame[9:])
        assert markers.found()
    markers.close()
