"""Our findings beside tshark's tcp.analysis, frame by frame, over captures; each difference with its reason.

    bench/parity FOLDER... [--show N] [--family NAME]

For each family: what both say, what only one says and why (a condition that is checked against the segment
and the state before it; docs/parity.md has the list), and what stays unexplained, by frame. tshark is one
opinion, not the truth. Frames inside ICMP errors are left out.
Exit status: 0, 1 when more than 0.5 % of a family is unexplained, 3 no tshark.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from parity_facts import Account, account, captures
from parity_reasons import FAMILIES, Family, reason

MOST_UNEXPLAINED = 0.005
CHUNK_S = 600
FIELDS = tuple(sorted({name for family in FAMILIES.values() for name in family.theirs}))


@dataclass
class Tally:
    """One family over all captures; frames."""

    both: int = 0
    otherwise: Counter[str] = field(default_factory=Counter)  # both, by another name: "theirs: ours"
    theirs: Counter[str] = field(default_factory=Counter)  # only tshark, by "name: reason"
    ours: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def all(self) -> int:
        return self.both + self.theirs.total() + self.ours.total() + len(self.unexplained)


def tshark(path: Path) -> dict[int, set[str]]:
    """Frame -> the fields that tshark sets for it; every TCP frame is there. Raises RuntimeError."""
    wanted = [argument for name in FIELDS for argument in ("-e", name)]
    command = [
        "tshark", "-n", "-r", str(path), "-o", "tcp.check_checksum:TRUE", "-Y", "tcp && !icmp && !icmpv6",
        "-T", "fields", "-E", "occurrence=f", "-e", "frame.number", *wanted,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHUNK_S, check=False)
    if done.returncode and not done.stdout:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "tshark failed")
    found = {}
    for line in done.stdout.splitlines():
        number, *values = line.split("\t")
        found[int(number)] = {name for name, value in zip(FIELDS, values, strict=True) if is_set(name, value)}
    return found


def is_set(name: str, value: str) -> bool:
    """Flags are there or not; a reset is 1, a bad checksum 0."""
    if name == "tcp.flags.reset":
        return value in ("1", "True")
    if name == "tcp.checksum.status":
        return value in ("0", "Bad")
    return bool(value)


def compare(theirs: dict[int, set[str]], ours: Account, name: str, tallies: dict[str, Tally]) -> None:
    """Every frame that both have decoded as TCP."""
    for frame in sorted(theirs.keys() & ours.facts.keys()):
        named = ours.names(frame)
        for family in FAMILIES.values():
            weigh(family, theirs[frame], named, frame, ours, name, tallies[family.name])


def weigh(
    family: Family, said: set[str], named: set[str], frame: int, ours: Account, capture: str, tally: Tally
) -> None:
    facts = ours.facts[frame]
    they = {family.theirs[name] for name in said & family.theirs.keys()}
    we = family.ours_of(named, facts)
    if they and we:
        tally.both += 1
        if not they & we:
            tally.otherwise[f"{', '.join(sorted(they))}: {', '.join(sorted(we))}"] += 1
        return
    if not they and not we:
        return
    why = reason(family, they, we, facts, named)
    label = ", ".join(sorted(they or we))
    if why:
        (tally.theirs if they else tally.ours)[f"{label}: {why}"] += 1
    else:
        who = "tshark" if they else "tcpharness"
        tally.unexplained.append(f"{capture} frame {frame}: only {who} says {label}; {evidence(ours, frame)}")


def evidence(ours: Account, frame: int) -> str:
    facts = ours.facts[frame]
    findings = "; ".join(f"{f.name}: {f.text}" for f in ours.findings.get(frame, ())) or "no finding"
    return (
        f"{facts.order.name.lower()}, {facts.length} bytes, {facts.ahead:+} of the highest,"
        f" ack {facts.advance:+} with {facts.outstanding} outstanding, win {facts.win}, room {facts.room};"
        f" {findings}"
    )


def lines(tallies: dict[str, Tally], most: int) -> Iterator[str]:
    for name, tally in tallies.items():
        whole = tally.all()
        share = len(tally.unexplained) / whole if whole else 0.0
        yield (
            f"\n{name}: {whole} frames; both {tally.both}, only tshark {tally.theirs.total()},"
            f" only tcpharness {tally.ours.total()}, unexplained {len(tally.unexplained)} ({share:.2%})"
        )
        for title, counter in (
            ("both, by another name", tally.otherwise), ("only tshark", tally.theirs),
            ("only tcpharness", tally.ours),
        ):  # fmt: skip
            for text, count in counter.most_common():
                yield f"  {title:22} {count:7}  {text}"
        yield from (f"  unexplained: {text}" for text in tally.unexplained[:most])
        if len(tally.unexplained) > most:
            yield f"  and {len(tally.unexplained) - most} more"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="+", type=Path)
    parser.add_argument(
        "--show", type=int, default=10, metavar="N", help="so many unexplained frames a family"
    )
    options = parser.parse_args()
    if shutil.which("tshark") is None:
        print("tshark is not installed: apt-get install tshark", file=sys.stderr)
        return 3
    tallies = {name: Tally() for name in FAMILIES}
    files = frames = 0
    for path in captures(options.folder):
        try:
            theirs, ours = tshark(path), account(path)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as problem:
            print(f"{path}: left out: {problem}", file=sys.stderr)
            continue
        files, frames = files + 1, frames + len(theirs.keys() & ours.facts.keys())
        compare(theirs, ours, f"{path.parent.name}/{path.name}", tallies)
    print(f"{files} captures, {frames} TCP segments that both have decoded")
    print("\n".join(lines(tallies, options.show)))
    worst = max(
        (len(tally.unexplained) / tally.all() for tally in tallies.values() if tally.all()), default=0.0
    )
    return 1 if worst > MOST_UNEXPLAINED else 0


if __name__ == "__main__":
    sys.exit(main())
