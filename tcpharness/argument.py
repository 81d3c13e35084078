"""Words of the command line as values, for argparse. What they need is imported when they are met."""

from __future__ import annotations

import argparse


def nanoseconds(text: str) -> int:
    from tcpharness.scenario.quantity import time_ns

    try:
        return time_ns(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def limits(text: str) -> dict[str, float]:
    from tcpharness.verdict.score import read_limits

    try:
        return read_limits(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
