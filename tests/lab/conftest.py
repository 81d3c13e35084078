"""Fixtures for tests that build real labs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from built_lab import BuildLab, plan_of
from playing import Ground

from tcpharness.lab.build import Lab
from tcpharness.lab.spawner import Spawner


@pytest.fixture
def build_lab(spawner: Spawner, tmp_path: Path) -> Iterator[BuildLab]:
    """`build_lab("hosts: [a, b]\\nlinks: [[a, b]]", ip=6)` is a lab that is closed after the test."""
    labs: list[Lab] = []

    def build(network: str, *, ip: int = 4) -> Lab:
        lab = Lab(plan_of(network, ip=ip, number=len(labs)), spawner, tmp_path)
        lab.__enter__()
        labs.append(lab)
        return lab

    yield build
    for lab in labs:
        lab.__exit__(None, None, None)


@pytest.fixture
def ground(spawner: Spawner, tmp_path: Path) -> Ground:
    """What `playing.play(ground, *endpoints)` builds its labs on."""
    return Ground(spawner, tmp_path)
