"""Fixtures for tests that run monitors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tcpharness.lab.door import NoPrivilege, enter
from tcpharness.lab.spawner import Spawner


@pytest.fixture(scope="session")
def spawner() -> Iterator[Spawner]:
    try:
        enter()
    except NoPrivilege as error:
        pytest.skip(str(error))
    with Spawner.start() as started:
        yield started
