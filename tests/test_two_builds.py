"""One source, two speeds: the compiled core and plain Python find the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from random import Random

import pytest

import tcpharness
from tcpharness.analysis.capture import Options, analyze
from tcpharness.analysis.catalog import DETECTORS
from tcpharness.analysis.detector import Detector
from tcpharness.analysis.signs import Sign
from tcpharness.analysis.state import Side
from tcpharness.packet.notation import parse_line
from tcpharness.packet.pcap import Writer
from tcpharness.packet.segment import Segment
from tcpharness.packet.sums import is_compiled

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / room) for room in ("analysis", "fuzz")]
from distort import DISTORTIONS  # noqa: E402
from fuzz_mutate import Mutator  # noqa: E402
from test_analysis_distorted import healthy  # noqa: E402

CORPUS = HERE / "fuzz" / "corpus"
BESIDE = Path(__file__).parents[2] / "shared" / "data"
MUTATED = 1000
TELL = """
import sys
from io import BytesIO
from pathlib import Path
from tcpharness.analysis.capture import Options, analyze
from tcpharness.packet.sums import is_compiled
assert not is_compiled()
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        print(analyze(file))
"""


def test_where_a_build_is_expected_it_is_there() -> None:
    if os.environ.get("TCPHARNESS_COMPILED") == "expected":
        assert is_compiled(), "this environment was to have the compiled core: see the build's output"
    assert is_compiled() != Path(sys.modules[analyze.__module__].__file__ or "").name.endswith(".py")


@pytest.mark.skipif(not is_compiled(), reason="this build is plain Python: nothing to compare it with")
def test_both_builds_find_the_same(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    source = Path(tcpharness.__file__).parent
    shutil.copytree(
        source, plain / "tcpharness", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    )
    captures = [*CORPUS.iterdir(), *examples(tmp_path), *distorted(tmp_path), *mutated(tmp_path), *kept()]
    files = sorted(str(path) for path in captures if path.is_file())
    told = subprocess.run(
        [sys.executable, "-c", TELL, *files],
        env={**os.environ, "PYTHONPATH": str(plain)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    for name, expected in zip(files, told.stdout.splitlines(), strict=True):
        with open(name, "rb") as file:
            assert repr(analyze(file)) == expected, name


def examples(folder: Path) -> list[Path]:
    """Every detector's own examples as captures."""
    made = []
    for detector in DETECTORS:
        for number, (_, _, lines) in enumerate(detector.examples()):
            path = folder / f"{detector.name}-{number}.pcap"
            with path.open("wb") as file:
                writer = Writer(file)
                for line in lines:
                    try:
                        segment = parse_line(line)
                    except ValueError:
                        continue  # `end` and `drops` are no segments
                    writer.write(segment.time_ns, segment.data, segment.wire_len)
            made.append(path)
    return made


def distorted(folder: Path) -> list[Path]:
    """A healthy connection, captured badly in many ways."""
    made = []
    for number, change in enumerate(DISTORTIONS.values()):
        for version in (4, 6):
            frames = change(healthy(version, True))
            path = folder / f"distorted-{number}-{version}.pcap"
            with path.open("wb") as file:
                writer = Writer(file, frames[0].linktype)
                for frame in frames:
                    writer.write(frame.time_ns, frame.data, frame.wire_len)
            made.append(path)
    return made


def mutated(folder: Path) -> list[Path]:
    """What the fuzzer makes of the corpus."""
    mutator = Mutator([path.read_bytes() for path in sorted(CORPUS.iterdir())], Random(11))
    made = [folder / f"mutated-{number}" for number in range(MUTATED)]
    for path in made:
        path.write_bytes(mutator.make())
    return made


def kept() -> list[Path]:
    """Captures with the kernel's answers, where they lie beside the repository."""
    return sorted(BESIDE.rglob("*.pcap*")) if BESIDE.is_dir() else []


def every(segment: Segment, this: Side, other: Side) -> None:
    """Waits for each segment, so that none passes by."""


def test_what_passes_by_would_have_been_silent(tmp_path: Path) -> None:
    """The short way of nearly every segment and the long one leave the same behind."""
    watch = Detector(every, Sign.SEGMENT, "info")
    for path in [*sorted(CORPUS.iterdir()), *examples(tmp_path)]:
        if path.is_file():
            data = path.read_bytes()
            long = analyze(BytesIO(data), options=Options(detectors=(*DETECTORS, watch)))
            assert repr(analyze(BytesIO(data))) == repr(long), path.name
