"""Results as JUnit XML: `failure` is an expectation that failed, `error` a void run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from tcpharness.report.terminal import failure_text
from tcpharness.verdict.result import Result

# Controls, surrogates, and the two that are no characters.
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
TAGS = {"fail": "failure", "void": "error", "skip": "skipped"}


def results_as_junit(results: Sequence[Result]) -> str:
    """One suite, a test case for each case."""
    outcomes = [r.verdict.outcome for r in results]
    suite = Xml.Element(
        "testsuite",
        name="tcpharness",
        tests=str(len(results)),
        failures=str(outcomes.count("fail")),
        errors=str(outcomes.count("void")),
        skipped=str(outcomes.count("skip")),
        time=f"{sum(r.duration_ns for r in results) / 1e9:.3f}",
    )
    for result in results:
        suite.append(test_case(result))
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def test_case(result: Result) -> Xml.Element:
    case = Xml.Element(
        "testcase", classname=result.case.file, name=result.case.id, time=f"{result.duration_ns / 1e9:.3f}"
    )
    tag = TAGS.get(result.verdict.outcome)
    if tag:
        text = failure_text(result)
        message = (result.verdict.reason or text.strip()).splitlines()[0]
        Xml.SubElement(case, tag, message=printable(message)).text = printable(text)
    return case


def printable(text: str) -> str:
    """Without the characters that XML 1.0 can't hold (section 2.2)."""
    return UNPRINTABLE.sub("", text)
