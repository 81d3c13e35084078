"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tcpharness.lab.spawner import Spawner

# A machine that shares its processors stops for longer than any deadline of a test in milliseconds.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/ from what came out")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)` compares with tests/golden/<name>.txt; --update-golden rewrites it."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"no {path.name} yet: run with --update-golden, then read the diff"
        assert text == path.read_text()

    return check


@pytest.fixture(scope="session")
def spawner() -> Iterator[Spawner]:
    """What starts a lab's processes; without the privileges for labs the test is skipped."""
    from tcpharness.lab.door import NoPrivilege, enter
    from tcpharness.lab.spawner import Spawner

    try:
        enter()
    except NoPrivilege as error:
        pytest.skip(str(error))
    with Spawner.start(preload=()) as started:
        yield started
