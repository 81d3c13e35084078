"""The language as JSON Schema 2020-12, for editors: written from the same tables that the loader reads by.

A schema knows no other names of a file, so references (a host, an endpoint, a fault) are any text
here; `tcpharness list` and `run` say more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from tcpharness.scenario.load import catalogue
from tcpharness.scenario.scenario_keys import SCENARIO
from tcpharness.scenario.shape import Json

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(findings: Iterable[str] | None = None) -> Json:
    """The schema as a dict. `findings` (the catalogue's) are offered as names under `expect.findings`."""
    offered = (catalogue() or ()) if findings is None else findings
    defs: Json = {
        "matrix_value": {
            "type": "string",
            "pattern": r"\$\{[^}]+\}",
            "description": 'A value of the matrix: "${name}".',
        }
    }
    SCENARIO.schema(defs)
    _offer(defs, sorted(offered))
    root = defs.pop("scenario")
    return {
        "$schema": DIALECT,
        "title": "tcpharness scenario",
        "description": "What to build, what goes wrong, and what must be seen.",
        **root,
        "$defs": dict(sorted(defs.items())),
    }


def schema_text(findings: Iterable[str] | None = None) -> str:
    """What `tcpharness schema` prints, and what scenarios/schema.json holds."""
    return json.dumps(schema(findings), indent=1, ensure_ascii=False) + "\n"


def _offer(defs: Json, findings: list[str]) -> None:
    """Names to complete; the loader knows whether they exist, so others are no error here."""
    for found in (defs["vantage_findings"], defs["finding_counts"]):
        count = found["additionalProperties"]
        found["properties"] = {**found.get("properties", {}), **dict.fromkeys(findings, count)}
