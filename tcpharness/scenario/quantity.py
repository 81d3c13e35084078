"""Quantities as people write them: `50ms`, `64 KiB`, `10mbit`, `"3.."`. Text in, integers out.

Units are part of the text: a bare `50` is refused where a time is meant, because half of all readers
would take it for seconds. Every function raises ValueError whose text says what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tcpharness.scenario.model import Count

TIMES: Mapping[str, int] = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
}
SIZES: Mapping[str, int] = {
    "B": 1,
    "kB": 1_000,
    "KiB": 1 << 10,
    "MB": 1_000_000,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
# iproute2's spelling: lower case, decimal.
RATES: Mapping[str, int] = {"bit": 1, "kbit": 1_000, "mbit": 1_000_000, "gbit": 1_000_000_000}

# Chances are counted in billionths.
CHANCES: Mapping[str, int] = {"%": 10_000_000}

LARGEST = 1 << 62  # of any quantity; leaves room for sums in 64 bits

TIME = "a time such as 50ms (ns, us, ms, s, m)"
SIZE = "a size such as 64 KiB (B, kB, KiB, MB, MiB, GiB)"
RATE = "a rate such as 10mbit (bit, kbit, mbit, gbit)"
CHANCE = "a share such as 1% (at most 100%)"
COUNT = 'a count such as 3, "3..", "..2" or "1..4"'

AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*|%)")
WHOLE = re.compile(r"[0-9]{1,19}")


def time_ns(text: str) -> int:
    """`50ms` -> 50_000_000."""
    return _quantity(text, TIMES, TIME)


def size_bytes(text: str) -> int:
    """`64 KiB` -> 65536."""
    return _quantity(text, SIZES, SIZE)


def rate_bits(text: str) -> int:
    """`10mbit` -> 10_000_000 bits per second."""
    return _quantity(text, RATES, RATE)


def chance(text: str) -> int:
    """`1%` -> 10_000_000 billionths."""
    share = _quantity(text, CHANCES, CHANCE)
    if share > 100 * CHANCES["%"]:
        raise ValueError(f"is more than all; expected {CHANCE}")
    return share


def count(text: str) -> Count:
    """`3` -> exactly three; `3..` at least; `..2` at most; `1..4` between, both included."""
    return _range(text, _whole, COUNT)


def size_count(text: str) -> Count:
    """A size or a range of sizes: `200 KiB`, `1 B..`, `..64 KiB`. `0` needs no unit."""
    return _range(text, size_bytes, f'{SIZE}, or a range such as "..64 KiB"')


def time_count(text: str) -> Count:
    """A time or a range of times, in nanoseconds: `..1s`, `200ms..2s`."""
    return _range(text, time_ns, f'{TIME}, or a range such as "..1s"')


def rate_count(text: str) -> Count:
    """A rate or a range of rates: `..50mbit`, `1mbit..2mbit`."""
    return _range(text, rate_bits, f'{RATE}, or a range such as "..50mbit"')


def _quantity(text: str, units: Mapping[str, int], expected: str) -> int:
    found = AMOUNT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"is not a quantity; expected {expected}")
    number, unit = found.groups()
    if not unit:
        if number == "0":
            return 0
        raise ValueError(f"has no unit; expected {expected}")
    if unit not in units:
        raise ValueError(f'has the unknown unit "{unit}"{_spelling(unit, units)}; expected {expected}')
    return _scaled(number, units[unit], expected)


def _spelling(unit: str, units: Mapping[str, int]) -> str:
    folded = {name.lower(): name for name in units}
    known = folded.get(unit.lower())
    return f', did you mean "{known}"' if known else ""


def _scaled(number: str, factor: int, expected: str) -> int:
    """Decimal arithmetic on integers: 0.1 s is exactly 100,000,000 ns."""
    whole, _, fraction = number.partition(".")
    if len(whole) > 19 or len(fraction) > 18:
        raise ValueError(f"has too many digits; expected {expected}")
    scaled, rest = divmod(int(whole + fraction) * factor, int("1" + "0" * len(fraction)))
    if rest:
        raise ValueError(f"is finer than its smallest unit; expected {expected}")
    if scaled > LARGEST:
        raise ValueError(f"is too large; expected {expected}")
    return scaled


def _whole(text: str) -> int:
    if not WHOLE.fullmatch(text) or int(text) > LARGEST:
        raise ValueError(f"is not a count; expected {COUNT}")
    return int(text)


def _range(text: str, bound: Callable[[str], int], expected: str) -> Count:
    written = text.strip()
    low_text, dots, high_text = (part.strip() for part in written.partition(".."))
    if not dots:
        exact = bound(written)
        return Count(exact, exact, written)
    if not low_text and not high_text:
        raise ValueError(f"has no bound; expected {expected}")
    low = bound(low_text) if low_text else 0
    high = bound(high_text) if high_text else None
    if high is not None and high < low:
        raise ValueError(f"can never hold, {high_text} is less than {low_text}; expected {expected}")
    return Count(low, high, written)
