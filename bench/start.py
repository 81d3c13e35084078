"""What a short command costs as a process: a capture of 500 packets analysed, a word explained; medians.

python bench/start.py [RUNS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.pcap import Writer
from tcpharness.packet.segment import ACK, PSH, SYN

PACKETS = 500


def talk(path: Path) -> None:
    """One conversation, 100 bytes and an acknowledgement in turn; every tenth piece is sent again."""
    ahead, back = ("10.0.0.1", "10.0.0.2", 40000, 105), ("10.0.0.2", "10.0.0.1", 105, 40000)
    frames = [Frame(*ahead, 0, 0, SYN), Frame(*back, 0, 1, SYN | ACK), Frame(*ahead, 1, 1, ACK)]
    seq = 1
    while len(frames) < PACKETS:
        data = Frame(*ahead, seq, 1, PSH | ACK, win=500, payload=bytes(100))
        seq += 100
        frames += [data] * (2 if seq % 1000 < 100 else 1) + [Frame(*back, 1, seq, ACK, win=500)]
    with path.open("wb") as file:
        writer = Writer(file)
        for number, frame in enumerate(frames[:PACKETS]):
            writer.write(number * 1_000_000, encode(frame))


def median_ms(command: list[str], runs: int) -> float:
    times = []
    for _ in range(runs + 1):
        start = time.monotonic_ns()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        times.append((time.monotonic_ns() - start) / 1e6)
    return statistics.median(times[1:])  # the first may have to write bytecode


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "talk.pcap"
        talk(capture)
        own = [sys.executable, "-m", "tcpharness"]
        commands = {
            "python alone": [sys.executable, "-c", "pass"],
            f"analyze, {PACKETS} packets": [*own, "analyze", str(capture)],
            f"analyze -v, {PACKETS} packets": [*own, "analyze", "-v", str(capture)],
            "explain retransmission": [*own, "explain", "retransmission"],
        }
        for name, command in commands.items():
            print(f"{name:<28} {median_ms(command, runs):7.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
