"""Fuzzes the readers, the decoder, the analysis and the notation, for as long as is asked for.

    python tests/fuzz/run.py --executions 10000000 --jobs 2
    python tests/fuzz/run.py --target analysing --seconds 60
    python tests/fuzz/run.py --compare --executions 1000000   (compiled against interpreted)
    python tests/fuzz/run.py --atheris decoding_capture       (coverage decides; needs the atheris package)

An input that breaks something is written to --out, and is to become a regression test beside its mending.
Exit status 1 when there was one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from itertools import islice
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # from a checkout it runs without being installed
# Slower than this for one small input is a hang in the making; measured twice, for machines are shared.
MOST_NS, NS_A_BYTE = 500_000_000, 100_000
MOST_GROWTH_KB = 150_000
BATCH = 2_000
# Of 32 executions, how many are of each target.
SHARES = {
    "decoding": 12, "reading": 9, "analysing": 6, "decoding_capture": 1, "dripping": 1, "isolated": 1,
    "notation": 2,
}  # fmt: skip


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--executions", type=int, help="in all; default: until --seconds are over")
    parser.add_argument("--seconds", type=float, help="stop after this long")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", help="only this one")
    parser.add_argument("--out", type=Path, default=Path("fuzz-broken"), help="where breaking inputs are put")
    parser.add_argument("--interpreted", action="store_true", help="not the compiled modules")
    parser.add_argument(
        "--compare", action="store_true", help="compiled against interpreted, the same inputs"
    )
    parser.add_argument("--atheris", metavar="TARGET", help="let atheris choose the inputs")
    parser.add_argument("--digests", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def sources_only() -> None:
    """From here on, tcpharness is imported from its text, also where compiled modules lie beside it."""
    inside = FileFinder.path_hook((SourceFileLoader, SOURCE_SUFFIXES))

    def hook(path: str) -> object:
        if Path(path).is_relative_to(ROOT / "tcpharness"):
            return inside(path)
        raise ImportError

    sys.path_hooks.insert(0, hook)  # type: ignore[arg-type]
    sys.path_importer_cache.clear()


def inputs(seed: int, target: str | None) -> Iterator[tuple[str, bytes]]:
    """(target, input) without end; the same seed gives the same ones."""
    from fuzz_corpus import STORIES, contents
    from fuzz_mutate import Mutator

    random = Random(seed)
    mutator = Mutator(contents(), random)
    lines = [line.strip().encode() for text in STORIES.values() for line in text.strip().splitlines()]
    frames = [
        bytes(piece[16:]) for parts in mutator.parts if parts and parts.record for piece in parts.pieces
    ]
    names = [target] if target else [name for name, share in SHARES.items() for _ in range(share)]
    while True:
        name = names[int(random.random() * len(names))]
        if name == "notation":
            yield name, bytes(mutator.plain(bytearray(lines[int(random.random() * len(lines))])))
        elif name == "decoding":
            frame = bytearray(frames[int(random.random() * len(frames))])
            for _ in range(1 + int(random.random() * 3)):
                if frame:
                    frame[int(random.random() * min(len(frame), 100))] = mutator.byte()
            if random.random() < 0.3:
                del frame[int(random.random() * (len(frame) + 1)) :]
            yield name, bytes((int(random.random() * 256), int(random.random() * 256))) + bytes(frame)
        else:
            yield name, mutator.make()


def one_job(args: argparse.Namespace) -> int:
    """Prints the executions every ten seconds and at the end; the number of inputs that broke something."""
    from fuzz_targets import TARGETS

    broken = done = 0
    digest = hashlib.sha256()
    begin = said = time.monotonic()
    memory = resident_kb()
    for name, data in inputs(args.seed, args.target):
        why = telling_of(name, data, digest) if args.digests else failure(TARGETS[name], data)
        done += 1
        if why:
            broken += 1
            print(f"{name}: {why}\n  {kept(args.out, name, data)}", flush=True)
        if args.digests and (done % args.digests == 0 or done == args.executions):
            print("digest", done, digest.hexdigest(), flush=True)
        if done % BATCH and done != args.executions:
            continue
        now = time.monotonic()
        if now - said > 10:
            said = now
            print(f"{done} executions, {done / (now - begin):.0f} a second, {broken} broken", flush=True)
        if done == args.executions or (args.seconds and now - begin > args.seconds):
            break
    grown = resident_kb() - memory
    if grown > MOST_GROWTH_KB:
        broken += 1
        print(f"memory has grown by {grown} kB", flush=True)
    rate = done / max(time.monotonic() - begin, 1e-9)
    print(f"{done} executions, {rate:.0f} a second, {broken} broken, {grown} kB more memory", flush=True)
    return broken


def failure(target: object, data: bytes) -> str:
    """Why the input breaks something, in a line; empty when it doesn't."""
    took = []
    for _ in range(2):
        begin = time.process_time_ns()
        try:
            target(data)  # type: ignore[operator]
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:300]}"
        took.append(time.process_time_ns() - begin)
        if took[-1] < MOST_NS + NS_A_BYTE * len(data):
            return ""
    return f"takes {min(took) / 1e6:.0f} ms for {len(data)} bytes"


def telling_of(name: str, data: bytes, digest: hashlib._Hash) -> str:
    from fuzz_targets import telling

    try:
        digest.update(telling(data))
    except Exception as error:
        digest.update(repr(error).encode())
        return f"{type(error).__name__}: {str(error)[:300]}"
    return ""


def kept(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def resident_kb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") // 1024


# --- several processes --------------------------------------------------------------------------


def start(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "run.py"), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def several_jobs(args: argparse.Namespace) -> int:
    each = [f"--out={args.out}"]
    if args.executions:
        each.append(f"--executions={-(-args.executions // args.jobs)}")
    if args.seconds:
        each.append(f"--seconds={args.seconds}")
    each += [f"--target={args.target}"] if args.target else []
    each += ["--interpreted"] if args.interpreted else []
    running = [start(*each, f"--seed={args.seed * 1000 + job}") for job in range(args.jobs)]
    broken = 0
    for job, process in enumerate(running):
        said, _ = process.communicate()
        lines = said.splitlines()
        broken += process.returncode != 0
        print("\n".join(f"job {job}: {line}" for line in lines if "broken" not in line or line is lines[-1]))
    return broken


def compare(args: argparse.Namespace) -> int:
    """Both builds over the same inputs; their digests are the same after every batch."""
    count = args.executions or 100_000
    batch = first_difference(args, count, BATCH)
    if not batch:
        print(f"{count} inputs: both builds say the same")
        return 0
    done = first_difference(args, batch, 1)
    _, data = next(islice(inputs(args.seed, "analysing"), done - 1, None))
    print(f"the builds differ about {kept(args.out, 'compare', data)}")
    return 1


def first_difference(args: argparse.Namespace, count: int, batch: int) -> int:
    """How many executions until the digests, made after every batch, differ; 0 when they don't."""
    options = [f"--executions={count}", f"--seed={args.seed}", "--target=analysing", f"--out={args.out}"]
    both = [start(*options, f"--digests={batch}", *more) for more in ([], ["--interpreted"])]
    found = []
    for process in both:
        said, _ = process.communicate()
        found.append([line.split() for line in said.splitlines() if line.startswith("digest")])
    differences = (int(mine[1]) for mine, other in zip(*found, strict=True) if mine != other)
    return next(differences, 0)


def by_coverage(args: argparse.Namespace) -> int:
    import atheris  # type: ignore[import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["tcpharness"]):
        from fuzz_targets import TARGETS
    from fuzz_corpus import contents
    from fuzz_mutate import Mutator

    mutator = Mutator(contents(), Random(args.seed))

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        mutator.random.seed(seed)
        changed = mutator.mutate(data) if seed & 3 else bytes(atheris.Mutate(data, most))
        return changed[:most]

    target = TARGETS[args.atheris]
    limits = [f"-runs={args.executions}"] if args.executions else []
    limits += [f"-max_total_time={args.seconds:.0f}"] if args.seconds else []
    # The first folder gets what is new; the corpus in the repository is only read.
    args.out.mkdir(parents=True, exist_ok=True)
    folders = [str(args.out), str(HERE / "corpus")]
    command = [sys.argv[0], "-max_len=8192", f"-artifact_prefix={args.out}/", *limits, *folders]
    atheris.Setup(command, lambda data: target(data) and None, custom_mutator=mutate)
    atheris.Fuzz()
    return 0


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    if args.interpreted:
        sources_only()
    if args.compare:
        return compare(args)
    if args.atheris:
        return by_coverage(args)
    if args.jobs > 1:
        return min(several_jobs(args), 1)
    return min(one_job(args), 1)


if __name__ == "__main__":
    sys.exit(main())
