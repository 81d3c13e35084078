"""What a description must have to be one: keys that need each other, placeholders, names of fields."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tcpharness.scenario.compound import Fields
from tcpharness.scenario.monitor import Command, Description
from tcpharness.scenario.problem import nearest, one_of, quoted

BRACED = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
READ_WORDS = ("pcap", "out", "host", "vantage", "iface", "address")
LIVE_WORDS = ("iface", "out", "host", "vantage", "address", "canary", "ended")


def check_description(made: Description, fields: Fields) -> bool:
    """Tells what can't be right; True when all is."""
    problems = [*_verbs(made), *_companions(made), *_canary(made)]
    problems += [*_session(made), *_says_something(made)]
    for key, text in problems:
        if key in fields:
            fields.wrong(key, text)
        else:
            fields.scope.wrong(fields.at, text)
    return not problems and _placeholders(made, fields)


Problem = tuple[str, str]  # the key it stands at, the text


def _verbs(made: Description) -> Iterator[Problem]:
    if made.read is not None and (made.live or made.ask):
        yield "read", "it reads captures and watches a host as well; expected one of them"
    if made.read is None and made.live is None and made.ask is None:
        yield "", "nothing says how it is started; expected one of read, live, ask"
    if made.live is not None and made.ready is None:
        yield "live", "nothing says when it is ready; expected ready as well"


def _companions(made: Description) -> Iterator[Problem]:
    if made.live is None:
        given = {"ready": made.ready, "beside": made.beside, "settled": made.settled}
        for key in [key for key, value in given.items() if value]:
            yield key, f"{quoted(key)} means nothing without live"
    if made.setup and made.read:
        yield "setup", '"setup" means nothing with read'
    if made.every_ns and (made.ask is None or made.live is not None):
        yield "every", '"every" means nothing without ask, or beside live'


def _canary(made: Description) -> Iterator[Problem]:
    if made.sees and made.read is not None:
        yield "sees", '"sees" means nothing with read: the canary is in every capture'
    if made.asks_kernel and made.ask is None and not made.fields.src:
        yield "sees", "what it says of the canary could not be told apart; expected ask, or fields with src"


def _session(made: Description) -> Iterator[Problem]:
    if (made.per == "session") != (made.feed is not None):
        yield "per", "per: session and feed belong together; expected both"
    if made.feed is not None and made.feed.pipe and made.output.format in ("json", "prometheus"):
        yield "output", "its records must come one by one, to be told apart; expected lines of them"
    if made.per == "session" and made.read is None:
        yield "per", "only what reads captures lives for a session; expected read"


def _says_something(made: Description) -> Iterator[Problem]:
    if not made.names and not made.fields.name:
        yield "output", "nothing makes a finding of a record; expected fields with name, or names"
    if any(rule.own for rule in made.names) and not made.fields.name:
        yield "names", "its own names are compared, but no field holds them; expected fields: {name: ...}"
    groups = {g for text in made.output.pattern for g in re.compile(text).groupindex}
    if made.output.pattern and (missing := sorted(used_fields(made) - groups)):
        yield "output", f"no group of the pattern is called {' or '.join(missing)}; {one_of(sorted(groups))}"


def used_fields(made: Description) -> set[str]:
    """All fields of a record that are looked at."""
    f = made.fields
    paths = {p for part in (f.name, f.time, f.src, f.sport, f.dst, f.dport, f.frame, f.count, f.level, f.text)
             for p in part}  # fmt: skip
    tests = [t for rule in made.names for group in rule.when for t in group] + list(made.output.only)
    return paths | {t.field for t in tests} | {path for rule in made.names for path in rule.count}


# --- placeholders


def _placeholders(made: Description, fields: Fields) -> bool:
    """A word in braces that is nearly one of ours is a slip; any other is a program's own."""
    reading = READ_WORDS if made.read else LIVE_WORDS
    known = (*reading, *made.options)
    right = True
    for key, command in _commands(made):
        for word in BRACED.findall(" ".join(command.words)):
            close = nearest(word, known)
            if word not in known and close is not None:
                fields.scope.wrong(
                    command.at, f"unknown {{{word}}}, did you mean {{{close}}}; {one_of(known)}"
                )
                right = False
        if key == "read" and made.feed is None and "{pcap}" not in " ".join(command.words):
            fields.scope.wrong(command.at, "it never names the capture; expected {pcap} somewhere")
            right = False
    return right


def _commands(made: Description) -> Iterator[tuple[str, Command]]:
    for key in ("read", "live", "ask", "settled", "setup"):
        command = getattr(made, key)
        if command is not None:
            yield key, command
    for beside in made.beside:
        yield "beside", beside.run
