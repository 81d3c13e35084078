"""The pytest plugin: scenario files are collected as tests, with the verdicts of `tcpharness run`.

Opt-in by file: YAML with a top-level `scenario` key under the paths that pytest is given. Cases are
played by a child process (`tcpharness serve`), many at once, so that pytest itself needs no
privileges and imports nothing heavy; under pytest-xdist each worker has a child of its own and asks
when a test's turn comes.

For tests in Python there is the `lab` fixture:

    def test_mine(lab):
        result = lab("scenarios/handshake/open.yaml")     # a path, or the text of a scenario
        result.assert_pass()
        assert result.findings("client", "handshake")
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

ANSWER_KEY = pytest.StashKey["Server"]()
# For tests of this plugin: another program that speaks the same lines.
SERVER_VARIABLE = "TCPHARNESS_SERVE"
LAST_WORDS = 4000  # characters of a dead child's stderr


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix in (".yaml", ".yml") and looks_like_scenario(file_path):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


def looks_like_scenario(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return any(line.startswith(b"scenario:") for line in file.read(1 << 20).splitlines())
    except OSError:  # not readable: none of ours to complain about
        return False


class ScenarioFile(pytest.File):
    """A scenario file; its cases are the items."""

    def collect(self) -> Iterable[pytest.Item]:
        from tcpharness.analysis.detector import DetectorError
        from tcpharness.own_detectors import install
        from tcpharness.scenario.load import ScenarioErrors
        from tcpharness.scenario_file import load_whole

        try:
            install()
            cases = load_whole(self.path.read_bytes(), shown(self.path))
        except (ScenarioErrors, DetectorError) as errors:
            raise self.CollectError(str(errors)) from None
        for case in cases:
            values = case.id.removeprefix(shown(self.path)).strip("[]")
            yield ScenarioItem.from_parent(
                self, name=values or "run", case_id=case.id, line=case.at.line, title=case.name
            )


def shown(path: Path) -> str:
    """As a person would write it from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


class ScenarioFailure(Exception):
    """The verdict's text."""


class ScenarioItem(pytest.Item):
    """One case."""

    def __init__(self, *, case_id: str, line: int, title: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case_id = case_id
        self.line = line
        self.title = title

    def request(self) -> dict[str, Any]:
        return {"file": shown(self.path), "case": self.case_id}

    def runtest(self) -> None:
        answer = server_of(self.config).answer(self.nodeid, self.request())
        if answer["outcome"] == "skip":
            pytest.skip(answer["text"])
        if answer["outcome"] != "pass":
            raise ScenarioFailure(f"{answer['outcome']}: {self.title}\n{answer['text']}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, ScenarioFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.line - 1, self.case_id


# --- the child that plays ----------------------------------------------------------------------


def heed_interrupts() -> None:
    """SIGINT is what ends the child; a shell that starts us in the background has it ignored by all of us."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Server:
    """`tcpharness serve` as a child: requests by name, answers as they come."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._words: IO[str] | None = None  # what the child says on stderr
        self._number = 0
        self._asked: dict[str, int] = {}  # and not answered to anybody yet
        self._answers: dict[int, dict[str, Any]] = {}

    def ask(self, name: str, request: dict[str, Any]) -> None:
        """Sends a request without waiting for its answer. A child that is gone is found out by `answer`."""
        stdin = self._started().stdin
        assert stdin is not None
        self._number += 1
        self._asked[name] = self._number
        with contextlib.suppress(OSError):
            stdin.write(json.dumps({"id": self._number, **request}) + "\n")
            stdin.flush()

    def answer(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request, asked now if it was not before. Raises ScenarioFailure."""
        if name not in self._asked:
            self.ask(name, request)
        number = self._asked.pop(name)
        while number not in self._answers:
            self._read_one()
        return self._answers.pop(number)

    def close(self) -> None:
        """End of input is the child's end; nobody waits for what nobody wants to know any more."""
        process = self._process
        if process is None:
            return
        if len(self._asked) > len(self._answers):
            process.send_signal(signal.SIGINT)  # it takes its labs down
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        while process.stdout.read(1 << 16):
            pass  # so that it is not kept from ending
        process.wait()
        process.stdout.close()
        if self._words is not None:
            self._words.close()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            command = os.environ.get(SERVER_VARIABLE)
            argv = [sys.executable, command] if command else [sys.executable, "-m", "tcpharness", "serve"]
            self._words = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
            try:
                self._process = subprocess.Popen(
                    argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, text=True,
                    preexec_fn=heed_interrupts,
                )  # fmt: skip
            except OSError as error:
                self._words.close()
                raise ScenarioFailure(f"{' '.join(argv)} can't be started: {error}") from None
        return self._process

    def _read_one(self) -> None:
        process = self._started()
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ScenarioFailure(
                f"the process that plays scenarios has ended with status {process.wait()}{self._said()}"
            )
        try:
            answer = json.loads(line)
            self._answers[answer["id"]] = answer
        except (ValueError, LookupError, TypeError):
            raise ScenarioFailure(f"the process that plays scenarios said {line!r}{self._said()}") from None

    def _said(self) -> str:
        """The end of what it said on stderr, for a message."""
        assert self._words is not None
        self._words.seek(0)
        words = self._words.read().strip()[-LAST_WORDS:]
        return f"; it said:\n{words}" if words else " without a word"


def server_of(config: pytest.Config) -> Server:
    if ANSWER_KEY not in config.stash:
        config.stash[ANSWER_KEY] = Server()
    return config.stash[ANSWER_KEY]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Everything that is selected is asked for at once: the child plays many side by side."""
    config = session.config
    distributed = hasattr(config, "workerinput") or getattr(config.option, "dist", "no") != "no"
    if distributed or config.option.collectonly or config.option.maxfail:
        return
    with contextlib.suppress(ScenarioFailure):  # every test will say so
        for item in session.items:
            if isinstance(item, ScenarioItem):
                server_of(config).ask(item.nodeid, item.request())


def pytest_sessionfinish(session: pytest.Session) -> None:
    if ANSWER_KEY in session.config.stash:
        session.config.stash[ANSWER_KEY].close()


# --- for tests in Python -----------------------------------------------------------------------


@dataclass(frozen=True)
class Played:
    """What a scenario came to; `result` is the whole of it, as in result.json."""

    outcome: str  # pass, fail, void, skip, error
    text: str
    result: dict[str, Any] = field(default_factory=dict)

    def assert_pass(self) -> None:
        """Fails the test with the verdict's text; skips it when the machine lacks something."""
        __tracebackhide__ = True
        if self.outcome == "skip":
            pytest.skip(self.text)
        if self.outcome != "pass":
            pytest.fail(f"{self.outcome}\n{self.text}", pytrace=False)

    def findings(self, vantage: str, name: str | None = None) -> list[dict[str, Any]]:
        """The findings at a vantage, all or those of a name; LookupError where nothing was analysed."""
        capture = self._part("captures", vantage)
        if "findings" not in capture:
            raise LookupError(f"the capture at {vantage} was not analysed: {capture.get('error') or 'text'}")
        return [f for f in capture["findings"] if name in (None, f["name"])]

    def endpoint(self, name: str) -> dict[str, Any]:
        """How an endpoint ended; LookupError when there is none of that name."""
        return self._part("endpoints", name)

    def _part(self, kind: str, name: str) -> dict[str, Any]:
        parts: dict[str, dict[str, Any]] = self.result.get(kind, {})
        if name not in parts:
            there = ", ".join(parts) or f"none: {self.outcome}: {self.text}"
            raise LookupError(f"no {name} among the {kind}; there are {there}")
        return parts[name]


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Callable[..., Played]:
    """`lab(path or text, **values) -> Played`: plays one case of a scenario.

    `values` choose among the cases of a matrix, as in `lab("open.yaml", ip=6)`. When they leave several
    the test fails: it would otherwise pass on a part of the scenario.
    """
    server = server_of(request.config)
    rounds = itertools.count(1)

    def play(scenario: str | Path, **values: object) -> Played:
        __tracebackhide__ = True
        text = str(scenario)
        asked = {"file": near(text, request.path)}
        if "\n" in text:
            asked = {"text": text, "file": f"{request.node.name.replace('/', '_')}.yaml"}
        case = the_case(asked, values)
        answer = server.answer(
            f"{request.node.nodeid} {next(rounds)}", asked | ({"case": case} if case else {})
        )
        return Played(answer["outcome"], answer["text"], answer.get("result", {}))

    return play


def the_case(asked: dict[str, str], values: dict[str, object]) -> str | None:
    """The id of the one case with those values; None for what can't be loaded, which the answer explains."""
    __tracebackhide__ = True
    from tcpharness.scenario.load import ScenarioErrors, load

    try:
        cases = load(asked["text"] if "text" in asked else Path(asked["file"]).read_bytes(), asked["file"])
    except (ScenarioErrors, OSError):
        return None
    wanted = {name: str(value) for name, value in values.items()}
    fitting = [case.id for case in cases if wanted.items() <= case.values.items()]
    if len(fitting) != 1:
        these = ", ".join(fitting or [case.id for case in cases])
        how = "several cases fit" if fitting else f"no case has {wanted}"
        pytest.fail(f"{how}: {these}; choose one, as in lab(..., ip=4)", pytrace=False)
    return fitting[0]


def near(file: str, test: Path) -> str:
    """A scenario's path: from here, or else from where the test's file is."""
    beside = test.parent / file
    return shown(beside) if not Path(file).exists() and beside.exists() else file
