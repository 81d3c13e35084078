"""The analysis beside tcptrace, tshark and tcpdump: whole processes on the same files, in turn; medians.

python bench/analyze.py [FOLDER] [--rounds 3] [--skip tshark ...]

The files are made by bench/traffic.py unless FOLDER has them. Rows: packets per second of processor time
(each of them works on one), the ratio to tshark and to tcptrace, resident memory (at least this script's
own). "interpreted" is the same sources without the compiled core. Checksums are verified by us and by
tcpdump -v, not by the others.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import tcpharness
from tcpharness.packet.sums import is_compiled

sys.path.insert(0, str(Path(__file__).parent))
from traffic import make

CACHE = str(Path(tempfile.gettempdir()) / "tcpharness-bench-cache")  # as an installed package has its own
SLOW_PACKETS = 200_000  # a slower program reads the beginning only


@dataclass
class Program:
    name: str
    argv: list[str]
    slow: bool = False
    env: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # a machine that others use as well gives less of its time
    resident_mb: float = 0.0

    def run(self, files: list[Path]) -> None:
        began = time.perf_counter()
        child = subprocess.Popen(
            [*self.argv, *map(str, files)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": CACHE, **self.env},
        )  # fmt: skip
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.seconds.append(time.perf_counter() - began)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.resident_mb = max(self.resident_mb, usage.ru_maxrss / 1024)
        assert child.returncode == 0, f"{self.name} ended with {child.returncode}"


def programs(plain: Path, skip: list[str]) -> list[Program]:
    ours = [sys.executable, "-P", "-m", "tcpharness", "analyze"]
    source = str(Path(tcpharness.__file__).parent.parent)
    found = [
        Program("tcpharness", ours, env={"PYTHONPATH": source}),
        Program("tcpharness, interpreted", ours, slow=True, env={"PYTHONPATH": str(plain)}),
        Program("tcptrace", ["tcptrace"]),
        Program("tcpdump -v", ["tcpdump", "-n", "-v", "-r"]),
        Program("tshark", ["tshark", "-r"], slow=True),
    ]
    return [p for p in found if p.name not in skip and shutil.which(p.argv[0])]


def plain_copy(folder: Path) -> Path:
    """The package's sources alone, so that nothing compiled is found."""
    source = Path(tcpharness.__file__).parent
    shutil.copytree(
        source, folder / "tcpharness", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    )
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=True)
    return folder


def count(file: Path) -> int:
    with file.open("rb") as reading:
        reading.seek(24)
        number = 0
        while record := reading.read(16):
            reading.seek(int.from_bytes(record[8:12], "little"), 1)
            number += 1
    return number


def beginning(file: Path, folder: Path, packets: int) -> Path:
    from traffic import cut

    target = folder / f"begin-{file.name}"
    cut(file, target, 262144, packets)
    return target


def measure(title: str, file: Path, scratch: Path, plain: Path, rounds: int, skip: list[str]) -> None:
    whole, begin = count(file), beginning(file, scratch, SLOW_PACKETS)
    table = programs(plain, skip)
    for _ in range(rounds):
        for program in table:
            program.run([begin if program.slow else file])
    rates = {p.name: min(whole, SLOW_PACKETS if p.slow else whole) / statistics.median(p.cpu) for p in table}
    print(f"\n{title}: {whole:,} packets")
    for program in table:
        rate = rates[program.name]
        beside = "".join(
            f"   {rate / rates[other]:6.2f} x {other}" for other in ("tshark", "tcptrace") if other in rates
        )
        print(f"  {program.name:24} {rate / 1e6:7.3f} M packets/s   {program.resident_mb:6.0f} MB{beside}")


def side_by_side(file: Path, rounds: int) -> None:
    """Two processors: one file in parts, and several files."""
    ours = [sys.executable, "-P", "-m", "tcpharness", "analyze"]
    env = {"PYTHONPATH": str(Path(tcpharness.__file__).parent.parent)}
    one, two = Program("1", ours, env=env), Program("2", [*ours, "--parallel", "2"], env=env)
    many, many2 = Program("4", ours, env=env), Program("4/2", [*ours, "--parallel", "2"], env=env)
    for _ in range(rounds):
        one.run([file])
        two.run([file])
        many.run([file] * 4)
        many2.run([file] * 4)
    medians = [statistics.median(p.seconds) for p in (one, two, many, many2)]
    print(
        f"\n--parallel 2: one file {medians[0] / medians[1]:.2f} x, "
        f"four files {medians[2] / medians[3]:.2f} x"
    )


def warm(file: Path, plain: Path) -> None:
    """Once each: files come from memory from now on, and nobody compiles sources any more."""
    for program in programs(plain, []):
        program.run([file])


def small(file: Path, plain: Path, rounds: int) -> None:
    table = programs(plain, [])
    for _ in range(rounds):
        for program in table:
            program.run([file])
    print("\n500 packets, a process:")
    for program in table:
        print(f"  {program.name:24} {statistics.median(program.seconds) * 1e3:6.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()) / "tcpharness-bench"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--flows", type=int, default=300_000)
    parser.add_argument("--skip", nargs="*", default=[])
    options = parser.parse_args()
    print("the analysis is", "compiled" if is_compiled() else "plain Python: build it first (pip install .)")
    make(options.folder, options.packets, options.flows)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        plain = plain_copy(scratch / "plain")
        folder_of = options.folder
        warm(folder_of / "small.pcap", plain)
        measure("96 bytes of each", folder_of / "snap.pcap", scratch, plain, options.rounds, options.skip)
        measure("whole packets", folder_of / "full.pcap", scratch, plain, options.rounds, options.skip)
        side_by_side(folder_of / "full.pcap", options.rounds)
        small(folder_of / "small.pcap", plain, 5)
        many = programs(plain, [])[0]
        many.run([folder_of / "flows.pcap"])
        print(f"\n{options.flows:,} flows: {many.resident_mb:.0f} MB, {many.seconds[0]:.1f} s")


if __name__ == "__main__":
    main()
