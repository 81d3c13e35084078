"""The schema knows what the loader knows, and the shipped scenarios keep to both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tcpharness.scenario.load import load
from tcpharness.scenario.scenario_keys import SCENARIO, SCENARIO_KEYS
from tcpharness.scenario.schema import schema, schema_text
from tcpharness.scenario.yaml_tree import read_tree

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "scenarios").rglob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


def plain(text: str) -> Any:
    root = read_tree(text, "x.yaml").root
    assert root is not None
    return root.plain_value()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_shipped_scenario_loads_and_fits_the_schema_that_it_names(path: Path, validator: Any) -> None:
    text = path.read_text()
    assert load(text, str(path.relative_to(ROOT)))
    first = text.partition("\n")[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == ROOT / "scenarios" / "schema.json"
    assert [error.message for error in validator.iter_errors(plain(text))] == []


def test_the_schema_in_the_repository_is_current(request: pytest.FixtureRequest) -> None:
    path = ROOT / "scenarios" / "schema.json"
    if request.config.getoption("--update-golden"):
        path.write_text(schema_text())
    assert path.read_text() == schema_text(), "run: tcpharness schema > scenarios/schema.json"


def test_every_key_of_the_loader_is_in_the_schema_with_its_meaning() -> None:
    properties = schema()["properties"]
    assert list(properties) == list(SCENARIO_KEYS)
    assert all(properties[key]["description"] == rule.about for key, rule in SCENARIO_KEYS.items())
    assert schema()["required"] == [key for key, rule in SCENARIO.keys.items() if rule.required]


def test_finding_names_are_offered() -> None:
    findings = schema(["gap"])["$defs"]["vantage_findings"]["properties"]
    assert set(findings) == {"gap", "one_of"}


@pytest.mark.parametrize(
    "wrong",
    [
        "timeout: 50",
        "timeout: 50 MS",
        "hosts: client",
        "links: [[client]]",
        "unknown: 1",
        "endpoints: {a: {on: b, do: [{close: , send: 1 B}]}}",
        "endpoints: {a: {on: b, listen: 70000}}",
        "faults: [{when: {}, do: dorp}]",
        "faults: [{do: drop}]",
        'expect: {findings: {a: {gap: "4."}}}',
        "expect: {nothing: 1}",
        "ip: 5",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(wrong: str, validator: Any) -> None:
    rest = {"scenario": "A", "hosts": ["client", "server"], "expect": {"findings": {"client": {}}}}
    assert not validator.is_valid({**rest, **plain(wrong)})
    assert validator.is_valid(rest)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_leaves_its_timing_to_the_kernel_says_what_decides(path: Path) -> None:
    said = re.search(r"^timing: kernel *(.*)$", path.read_text(), re.MULTILINE)
    assert said is None or said[1].startswith("# ")
