"""What labs of tests are built on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playing import Ground

from tcpharness.lab.spawner import Spawner


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Builds labs, with `ground.lab(plan)`; one spawner for all of them."""
    with Spawner.start() as spawner:
        yield Ground(spawner, tmp_path_factory.mktemp("labs"))
