"""What installed packages offer, without asking importlib.metadata where nobody offers anything."""

from __future__ import annotations

import sys
from pathlib import Path

DETECTORS = "tcpharness.detectors"  # the entry point group of detectors


def any_package_has_some(group: str) -> bool:
    """By a look into their entry points alone: importlib.metadata takes longer than a small capture does."""
    mark = f"[{group}]".encode()
    folders = [Path(folder) for folder in sys.path if folder]
    return any(mark in file.read_bytes() for folder in folders for file in folder.glob("*/entry_points.txt"))
