"""The pytest plugin: what it collects, whom it asks, what it reports. A script stands in for the child."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Each pytest inside forgets what it imported; what is slow, or can't be imported twice, is here before.
import tcpharness.analysis.catalog
import tcpharness.scenario.load  # noqa: F401
from tcpharness.lab.door import NoPrivilege, enter
from tcpharness.pytest_plugin import Played, Server

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
ALONE = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"  # no other plugins, and ours once, whether it is installed or not
LOADED = ["-p", "no:cacheprovider", "-p", "tcpharness.pytest_plugin"]
SCENARIO = """\
scenario: Two hosts talk
ip: [4, 6]
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 1 KiB, close]}
expect: {findings: {client: {}}}
"""
# Answers by the file's name, keeps a list of what it was asked, and dies at "dies".
CHILD = """\
import json, os, sys
log = open(os.path.join(os.environ["CHILD_LOG"], f"asked-{os.getpid()}"), "a", buffering=1)
for line in sys.stdin:
    request = json.loads(line)
    print(request.get("case") or request["file"], file=log)
    name = os.path.basename(request["file"])
    if name.startswith("dies"):
        sys.exit("no more memory")
    if name.startswith("rambles"):
        print("Traceback", flush=True)
        continue
    known = ("fail", "void", "skip", "error")
    outcome = next((word for word in known if name.startswith(word)), "pass")
    text = "" if outcome == "pass" else f"because of {outcome}"
    found = [{"name": "handshake", "frame": 1}, {"name": "fin_close", "frame": 9}]
    result = {"captures": {"client": {"findings": found}, "server": {"error": "killed"}},
              "endpoints": {"client": {"error": None}}}
    print(json.dumps({"id": request["id"], "outcome": outcome, "text": text, "result": result}), flush=True)
print("end", file=log)
"""


@pytest.fixture
def asked(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The stand-in is set up; calling gives what it was asked, by all children."""
    child = pytester.path / "child.txt"
    child.write_text(CHILD)
    monkeypatch.setenv("TCPHARNESS_SERVE", str(child))
    monkeypatch.setenv("CHILD_LOG", str(pytester.path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv(ALONE, "1")
    return lambda: "".join(sorted(p.read_text() for p in pytester.path.glob("asked-*"))).splitlines()


def scenario(pytester: pytest.Pytester, name: str, text: str = SCENARIO) -> None:
    (pytester.path / name).write_text(text)


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*LOADED, *args)


def test_each_case_is_a_test(pytester: pytest.Pytester, asked: Callable[[], list[str]]) -> None:
    scenario(pytester, "good.yaml")
    result = run(pytester, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["good.yaml::ip=4 PASSED*", "good.yaml::ip=6 PASSED*"])
    assert asked() == ["good.yaml[ip=4]", "good.yaml[ip=6]", "end"]


def test_a_scenario_without_a_matrix_is_one_test(
    pytester: pytest.Pytester, asked: Callable[[], list[str]]
) -> None:
    scenario(pytester, "good.yml", SCENARIO.replace("ip: [4, 6]\n", ""))
    result = run(pytester, "-v")
    result.stdout.fnmatch_lines(["good.yml::run PASSED*"])
    assert asked() == ["good.yml", "end"]


@pytest.mark.parametrize(
    ("name", "outcomes", "words"),
    [
        ("fail.yaml", {"failed": 2}, "fail: Two hosts talk"),
        ("void.yaml", {"failed": 2}, "void: Two hosts talk"),
        ("error.yaml", {"failed": 2}, "error: Two hosts talk"),
        ("skip.yaml", {"skipped": 2}, "SKIPPED * because of skip"),
    ],
)
def test_outcomes(
    pytester: pytest.Pytester, asked: Callable[[], list[str]], name: str, outcomes: dict[str, int], words: str
) -> None:
    scenario(pytester, name)
    result = run(pytester, "-rs")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines([f"*{words}*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert asked()[-1] == "end"


def test_a_failure_is_the_verdicts_text(pytester: pytest.Pytester, asked: Callable[[], list[str]]) -> None:
    scenario(pytester, "fail.yaml")
    result = run(pytester)
    result.stdout.fnmatch_lines(["*fail.yaml?ip=4?*", "fail: Two hosts talk", "because of fail"])


def test_other_yaml_is_left_alone(pytester: pytest.Pytester, asked: Callable[[], list[str]]) -> None:
    scenario(pytester, "compose.yaml", "services: {web: {image: x}}\n")
    scenario(pytester, "nested.yaml", "tests:\n  scenario: mine\n")
    (pytester.path / "binary.yaml").write_bytes(bytes(range(256)))
    (pytester.path / "dangling.yaml").symlink_to("nowhere")
    assert run(pytester).ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert asked() == []


def test_a_faulty_scenario_says_where(pytester: pytest.Pytester, asked: Callable[[], list[str]]) -> None:
    scenario(pytester, "bad.yaml", SCENARIO.replace("listen: 105", "listen: 70000"))
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["bad.yaml:6:32: *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert asked() == []


def test_collecting_starts_nothing(pytester: pytest.Pytester, asked: Callable[[], list[str]]) -> None:
    scenario(pytester, "good.yaml")
    result = run(pytester, "--collect-only", "-q")
    result.stdout.fnmatch_lines(["good.yaml::ip=4", "good.yaml::ip=6"])
    assert asked() == []


def test_only_what_is_selected_is_asked_for(
    pytester: pytest.Pytester, asked: Callable[[], list[str]]
) -> None:
    scenario(pytester, "good.yaml")
    run(pytester, "-k", "6").assert_outcomes(passed=1, deselected=1)
    assert asked() == ["good.yaml[ip=6]", "end"]


def test_with_x_nothing_is_asked_ahead(pytester: pytest.Pytester, asked: Callable[[], list[str]]) -> None:
    scenario(pytester, "fail.yaml")
    run(pytester, "-x").assert_outcomes(failed=1)
    assert asked() == ["fail.yaml[ip=4]", "end"]


def test_a_child_that_dies(pytester: pytest.Pytester, asked: Callable[[], list[str]]) -> None:
    scenario(pytester, "dies.yaml")
    scenario(pytester, "good.yaml")
    result = run(pytester)
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["the process that plays scenarios has ended with status 1; it said:"])
    result.stdout.fnmatch_lines(["no more memory"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_child_that_dies_before_it_is_asked(
    pytester: pytest.Pytester, asked: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (pytester.path / "child.txt").write_text("import sys; sys.stdin.close(); sys.exit(3)\n")
    for n in range(40):
        scenario(pytester, f"good{n}.yaml")
    result = run(pytester)
    result.assert_outcomes(failed=80)
    result.stdout.fnmatch_lines(["*has ended with status 3 without a word"])


def test_a_child_that_cannot_be_started(
    pytester: pytest.Pytester, asked: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    scenario(pytester, "good.yaml")
    result = run(pytester)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["/no/such/python * can't be started: *No such file or directory*"])


def test_a_child_that_rambles(pytester: pytest.Pytester, asked: Callable[[], list[str]]) -> None:
    scenario(pytester, "rambles.yaml", SCENARIO.replace("ip: [4, 6]\n", ""))
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the process that plays scenarios said 'Traceback*"])


def test_under_xdist_each_worker_has_a_child(
    pytester: pytest.Pytester, asked: Callable[[], list[str]]
) -> None:
    pytest.importorskip("xdist")
    for name in ("good", "fail", "void"):
        scenario(pytester, f"{name}.yaml")
    pytester.runpytest_subprocess(*LOADED, "-p", "xdist", "-n", "2").assert_outcomes(passed=2, failed=4)
    assert len(list(pytester.path.glob("asked-*"))) == 2
    assert len([line for line in asked() if line != "end"]) == 6


# --- the fixture


LAB_TEST = """
import pytest
from pathlib import Path

TEXT = '''scenario: inline
hosts: [client, server]
'''

def test_by_path(lab):
    result = lab("good.yaml")
    result.assert_pass()
    assert len(result.findings("client")) == 2
    assert [f["frame"] for f in result.findings("client", "handshake")] == [1]
    assert result.endpoint("client") == {"error": None}

def test_by_text(lab):
    lab(TEXT).assert_pass()
    assert lab(Path("good.yaml")).outcome == "pass"

def test_failing(lab):
    lab("fail.yaml").assert_pass()

def test_skipping(lab):
    lab("skip.yaml").assert_pass()
"""


def test_the_lab_fixture(pytester: pytest.Pytester, asked: Callable[[], list[str]]) -> None:
    pytester.makepyfile(test_mine=LAB_TEST)
    result = run(pytester, "test_mine.py")
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["fail", "because of fail"])
    assert asked() == ["good.yaml", "test_by_text.yaml", "good.yaml", "fail.yaml", "skip.yaml", "end"]


def test_a_path_beside_the_test(pytester: pytest.Pytester, asked: Callable[[], list[str]]) -> None:
    folder = pytester.mkdir("deep")
    (folder / "beside.yaml").write_text(SCENARIO)
    (folder / "test_it.py").write_text("def test_it(lab):\n    lab('beside.yaml', ip=4).assert_pass()\n")
    run(pytester, "deep/test_it.py").assert_outcomes(passed=1)
    assert asked() == ["deep/beside.yaml[ip=4]", "end"]


def test_what_was_played_says_what_it_lacks() -> None:
    captures = {"client": {"error": "killed"}, "server": {"findings": []}}
    played = Played("void", "because", {"captures": captures})
    with pytest.raises(LookupError, match="no router among the captures; there are client, server"):
        played.findings("router")
    with pytest.raises(LookupError, match="the capture at client was not analysed: killed"):
        played.findings("client")
    with pytest.raises(LookupError, match="no client among the endpoints; there are none: void: because"):
        played.endpoint("client")


# --- the child, directly


def test_the_same_name_again_is_a_new_request(
    pytester: pytest.Pytester, asked: Callable[[], list[str]]
) -> None:
    server = Server()
    first = server.answer("a", {"file": "good.yaml"})
    second = server.answer("a", {"file": "good.yaml"})
    server.close()
    assert second["id"] == first["id"] + 1
    assert asked() == ["good.yaml", "good.yaml", "end"]


def test_closing_does_not_wait_for_what_nobody_wants(
    pytester: pytest.Pytester, asked: Callable[[], list[str]]
) -> None:
    (pytester.path / "child.txt").write_text("import signal\nsignal.pause()\n")
    server = Server()
    server.ask("a", {"file": "good.yaml"})
    process = server._started()
    server.close()
    assert process.returncode != 0


def test_closing_is_heeded_where_interrupts_are_ignored(
    pytester: pytest.Pytester, asked: Callable[[], list[str]]
) -> None:
    """As in the background of a shell without job control."""
    (pytester.path / "child.txt").write_text("import signal\nsignal.pause()\n")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        server = Server()
        server.ask("a", {"file": "good.yaml"})
        process = server._started()
        server.close()
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.returncode != 0


def test_closing_what_never_started() -> None:
    Server().close()


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    code = "import sys, pytest; before = set(sys.modules); import tcpharness.pytest_plugin; "
    code += "print(sorted(m.split('.')[0] for m in set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    loaded = set(eval(done.stdout))
    assert loaded <= {"tcpharness", *sys.stdlib_module_names}


CALLS = {
    "lab('good.yaml', ip=6)": ({"passed": 1}, ["good.yaml[ip=6]"], "*"),
    "lab('good.yaml')": (
        {"failed": 1},
        [],
        "several cases fit: good.yaml[[]ip=4], good.yaml[[]ip=6]; choose*",
    ),
    "lab('good.yaml', ip=7)": ({"failed": 1}, [], "no case has {'ip': '7'}*"),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_lab_plays_one_case_and_never_silently_a_part(
    pytester: pytest.Pytester, asked: Callable[[], list[str]], call: str
) -> None:
    outcomes, played, words = CALLS[call]
    scenario(pytester, "good.yaml")
    pytester.makepyfile(test_it=f"def test_it(lab):\n    {call}\n")
    result = run(pytester, "test_it.py")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines([words])
    assert [line for line in asked() if line != "end"] == played


# --- for real


# Whoever may start it can read it, and start it again.
PROBE = """import os, sys, pytest, yaml, pyroute2
sys.exit(sys.version_info[:2] != {} or not os.access(sys.executable, os.X_OK))"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anybody may use, with one scenario."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        shutil.copy(ROOT / "scenarios/handshake/refused.yaml", folder)
        yield folder


def play(folder: Path, python: list[str]) -> str:
    """What pytest prints about the scenario, played for real."""
    done = run_in(folder, [*python, "-m", "pytest", *LOADED, "-q"])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_in(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))]
    env = {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "TCPHARNESS_SERVE")}
    env |= {
        "PYTHONPATH": os.pathsep.join(paths),
        "HOME": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        ALONE: "1",
    }
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=100)


def may_build_labs() -> None:
    try:
        enter()
    except NoPrivilege as error:
        pytest.skip(str(error))


@pytest.mark.netns
def test_a_scenario_for_real(open_folder: Path) -> None:
    may_build_labs()
    assert "2 passed" in play(open_folder, [sys.executable])


@pytest.mark.netns
def test_a_scenario_for_real_as_an_ordinary_user(open_folder: Path) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to become somebody else")
    may_build_labs()
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    candidates = [sys.executable, shutil.which("python3", path=os.defpath)]
    for python in filter(None, candidates):  # one that an ordinary user can read
        probe = [*nobody, python, "-c", PROBE.format(sys.version_info[:2])]
        if run_in(open_folder, probe).returncode == 0:
            assert "2 passed" in play(open_folder, [*nobody, python])
            return
    pytest.skip("an ordinary user can't run Python with what the tests need here")
