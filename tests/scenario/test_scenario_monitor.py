# ruff: noqa: E501
"""Descriptions of monitors: what is read, and every mistake at its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tcpharness.monitor.library import SHIPPED, load_shipped, shipped_names
from tcpharness.scenario.load import load
from tcpharness.scenario.monitor import Description
from tcpharness.scenario.monitor_load import load_description
from tcpharness.scenario.problem import ScenarioErrors
from tcpharness.scenario_file import load_whole

PAGE = Path(__file__).parents[2] / "docs" / "monitors.md"
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
SCENARIO = """\
scenario: A
hosts: [client, server]
links: [[client, server]]
endpoints: {server: {on: server, listen: 105}, client: {on: client, connect: server}}
"""


def test_every_shipped_description_is_right() -> None:
    assert shipped_names() == sorted(path.stem for path in SHIPPED.glob("*.yaml"))
    for name in shipped_names():
        description = load_shipped(name)
        assert description.name == name
        assert description.about
        assert description.version is not None


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("\n")[0])
def test_every_example_of_the_page_is_right(example: str) -> None:
    if example.startswith("monitor:"):
        assert isinstance(load_description(example, "m.yaml"), Description)
    else:
        rest = "expect: {findings: {client: {}}}\n"
        whole = example if example.startswith("scenario:") else SCENARIO + example
        assert load_whole(whole if "\nexpect:" in whole else whole + rest, "x.yaml")


MISTAKES = [
    ("output: {format: xml}", 'm.yaml:3:18: "xml" is not known here; expected one of jsonl, json, csv'),
    ("output: {format: lines}", "m.yaml:3:10: lines need a pattern; expected a regular expression"),
    ("output: {format: lines, pattern: '(x'}", "m.yaml:3:34: the regular expression cannot be right: missing )"),
    ("output: {format: csv, header: off}", "m.yaml:3:23: nothing names the columns; expected a list"),
    ("output: {format: jsonl}", "m.yaml:3:1: nothing makes a finding of a record; expected fields with name"),
    ("output: {format: jsonl}\nnames: {reset: 1}", "m.yaml:4:1: its own names are compared, but no field holds them"),
    ("output: {format: jsonl}\nnames: {reset: {n: '> x'}}", 'm.yaml:4:20: "> x" compares with no number'),
    ("output: {format: lines, pattern: '(?P<a>.)'}\nfields: {name: b}", "no group of the pattern is called b"),
    ("output: {format: lines, pattern: '(?P<a>.)'}\nfields: {name: b, time: c}", "no group of the pattern is called b or c"),
    ("output: {format: jsonl}\nfields: {nam: b}", 'm.yaml:4:10: unknown key "nam" in monitor fields, did you mean "name"'),
    ("fields: {name: b}", 'm.yaml:1:1: monitor description without "output"'),
    ("output: {format: jsonl}\nfields: {name: b}\nready: up", 'm.yaml:5:1: "ready" means nothing without live'),
    ("output: {format: jsonl}\nfields: {name: b}\nlive: x", "it reads captures and watches a host as well"),
    ("output: {format: jsonl}\nfields: {name: b}\nsees: kernel", 'm.yaml:5:1: "sees" means nothing with read'),
    ("output: {format: jsonl}\nfields: {name: b}\nper: session", "m.yaml:5:1: per: session and feed belong together"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), MISTAKES)
def test_mistakes_of_a_description(text: str, problem: str) -> None:
    with pytest.raises(ScenarioErrors) as errors:
        load_description(f"monitor: m\nread: cat {{pcap}}\n{text}\n", "m.yaml")
    assert problem in str(errors.value)


def test_what_asks_a_kernel_must_tell_the_canary_apart() -> None:
    text = "monitor: m\nlive: x\nready: y\nsees: kernel\noutput: {format: jsonl}\nfields: {name: b}\n"
    with pytest.raises(ScenarioErrors) as errors:
        load_description(text, "m.yaml")
    assert "m.yaml:4:1: what it says of the canary could not be told apart; expected ask" in str(errors.value)
    assert load_description(text + "ask: z\n", "m.yaml").asks_kernel
    assert load_description(text.replace("{name: b}", "{name: b, src: c}"), "m.yaml").asks_kernel


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("cat {pcaps}", "m.yaml:2:7: unknown {pcaps}, did you mean {pcap}; expected one of pcap, out, host, vantage"),
        ("cat it", "m.yaml:2:7: it never names the capture; expected {pcap} somewhere"),
    ],
)  # fmt: skip
def test_slips_in_a_command(command: str, problem: str) -> None:
    text = f"monitor: m\nread: {command}\noutput: {{format: jsonl}}\nfields: {{name: b}}\n"
    with pytest.raises(ScenarioErrors) as errors:
        load_description(text, "m.yaml")
    assert problem in str(errors.value)


def test_an_empty_file_should_have_been_a_description() -> None:
    with pytest.raises(ScenarioErrors) as errors:
        load_description("", "m.yaml")
    assert str(errors.value) == "m.yaml:1:1: the file is empty; expected a monitor's description"


IN_SCENARIOS = [
    ("monitors: [tsark]", 'x.yaml:5:12: unknown monitor "tsark", did you mean "tshark"'),
    (
        "monitors: {tshark: {with: {filtr: x}}}",
        'x.yaml:5:28: unknown option of tshark "filtr", did you mean "filter"',
    ),
    ("monitors: {m: {file: none.yaml}}", "x.yaml:5:12: none.yaml: No such file or directory"),
    ("monitors: {m: {use: tshark, read: x}}", "x.yaml:5:16: it is described here and elsewhere (use, read)"),
    ("monitors: {m: {read: 'x {pcap}'}}", 'x.yaml:5:12: monitor description without "output"'),
    ("monitors: {tshark: {at: sever}}", 'x.yaml:5:25: unknown vantage "sever", did you mean "server"'),
    ("expect: {monitors: {tshark: {client: {}}}}", 'x.yaml:5:21: unknown monitor "tshark"; there is none'),
    (
        "monitors: [tshark]\nexpect: {monitors: {tshark: {client: {reset: {within: 1s}}}}}",
        "x.yaml:6:47: there is no fault to count from",
    ),
]


@pytest.mark.parametrize(("text", "problem"), IN_SCENARIOS)
def test_mistakes_in_a_scenario(text: str, problem: str) -> None:
    rest = "" if "expect:" in text else "expect: {findings: {client: {}}}\n"
    with pytest.raises(ScenarioErrors) as errors:
        load_whole(f"{SCENARIO}{text}\n{rest}", "x.yaml")
    assert problem in str(errors.value)


def test_a_file_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text(
        "monitor: ours\nread: x {pcap} {rules}\noptions: {rules: {file: a}}\noutput: {format: jsonl}\nfields: {name: b}\n"
    )
    text = (
        SCENARIO + "monitors: {m: {file: ours.yaml, with: {rules: mine}}}\nexpect: {findings: {client: {}}}\n"
    )
    (case,) = load_whole(text, str(tmp_path / "x.yaml"))
    description = case.monitors[0].description
    assert description is not None
    assert description.name == "m"


def test_the_language_alone_opens_nothing() -> None:
    (case,) = load(SCENARIO + "monitors: [whatever]\nexpect: {findings: {client: {}}}\n", "x.yaml")
    assert case.monitors[0].description is None
