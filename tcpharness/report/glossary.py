"""What `tcpharness explain` knows besides the detectors: flags, fields, options, counters, settings."""

from __future__ import annotations

from tcpharness.report.glossary_counters import COUNTERS
from tcpharness.report.glossary_every_counter import EVERY_COUNTER
from tcpharness.report.glossary_faults import FAULT_WORDS
from tcpharness.report.glossary_headers import FLAGS, IP_FIELDS, TCP_FIELDS
from tcpharness.report.glossary_lab import LAB_WORDS
from tcpharness.report.glossary_options import IP_OPTIONS, TCP_OPTIONS
from tcpharness.report.glossary_scripts import SCRIPT_WORDS
from tcpharness.report.glossary_sockets import SETTING_WORDS, SOCKET_VALUES, TRACEPOINTS
from tcpharness.report.header_picture import header_picture, option_picture
from tcpharness.report.term import Term

_WITH_A_PAGE = frozenset(term.name for term in COUNTERS)  # of their own, longer ones
TERMS: tuple[Term, ...] = (
    *FLAGS,
    *TCP_FIELDS,
    *IP_FIELDS,
    *TCP_OPTIONS,
    *IP_OPTIONS,
    *COUNTERS,
    *EVERY_COUNTER,
    *SCRIPT_WORDS,
    *FAULT_WORDS,
    *LAB_WORDS,
    *SOCKET_VALUES,
    *TRACEPOINTS,
    *(term for term in SETTING_WORDS if term.name not in _WITH_A_PAGE),
)


def find_terms(word: str) -> list[Term]:
    """All terms of that name or spelling, upper and lower case alike; exact case first."""
    exact = [t for t in TERMS if word == t.name or word in t.also]
    folded = word.casefold()
    loose = [t for t in TERMS if folded == t.name.casefold() or folded in {a.casefold() for a in t.also}]
    return exact or loose


def all_words() -> list[str]:
    """Every word that is understood, for suggestions."""
    return [word for term in TERMS for word in (term.name, *term.also)]


def picture(term: Term) -> str | None:
    """The header with the field marked, and an option's own bytes; None for what is in no header."""
    if not term.header:
        return None
    parts = [f"{term.header}:", header_picture(term.header, term.field or term.name)]
    return "\n".join([*parts, "", option_picture(term.layout)] if term.layout else parts)
