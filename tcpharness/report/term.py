"""One entry of the glossary."""

from __future__ import annotations

from dataclasses import dataclass

from tcpharness.report.header_picture import Field


@dataclass(frozen=True, slots=True)
class Term:
    """What a word means: what it is, what a person who monitors TCP makes of it, and the source."""

    name: str
    kind: str  # flag, header field, option, counter, setting, command
    meaning: str
    watch: str  # what to make of it, what to do
    source: str
    also: tuple[str, ...] = ()  # other spellings that find it
    header: str = ""  # in which it stands: TCP, IPv4, IPv6
    field: str = ""  # the cell of that header's picture, its name when ""
    layout: tuple[Field, ...] = ()  # of an option
