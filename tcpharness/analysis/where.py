"""The expression of `--where`: which findings are wanted.

    detector == "retransmission" and flow.dport == 105 and detail.elapsed_ns >= 200ms
    level >= "warning" and not kind in ("rto", "tlp")

or, and, not, parentheses; == != < <= > >= in; a name by itself holds when it is neither empty nor zero.
Times carry a unit, as everywhere; `level` is ordered; `time` counts from the capture's first segment.
What a finding does not have is equal to nothing, and neither smaller nor larger than anything.

Read by a tokenizer and a parser of its own; an expression can do nothing but compare.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from tcpharness.analysis.finding import LEVELS, Finding

Value = str | int | float | None
Test = Callable[[Finding, int], bool]  # the finding; when its capture began, in ns
Getter = Callable[[Finding, int], Value]

TIMES = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}
SIZES = {"B": 1, "kB": 1_000, "KiB": 1 << 10, "MB": 1_000_000, "MiB": 1 << 20}
DEEPEST = 50  # parentheses and `not` inside one another

TOKEN = re.compile(
    r"""\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)(?:\s*(?!(?:and|or|not|in)\b)(?P<unit>[A-Za-z]+)\b)?
    |(?P<text>"[^"]*"|'[^']*')
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<sign>==|!=|<=|>=|<|>|\(|\)|,)
    |(?P<end>$))""",
    re.VERBOSE,
)
KEYWORDS = ("and", "or", "not", "in")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Name(NamedTuple):
    """Something of a finding: what it is compared with, and how it is found."""

    of: str  # "text", "number", "time", "size", "level", "any"
    get: Getter


class Token(NamedTuple):
    kind: str  # "number", "text", "word", "keyword", "sign", "end"
    text: str
    at: int  # column, from 1
    value: str | int | float = ""
    unit: str = ""

    def shown(self) -> str:
        return "the end" if self.kind == "end" else self.text


class WhereError(ValueError):
    """The expression can't be read; the text names the column, shows it, and says what was expected."""

    def __init__(self, text: str, at: int, problem: str) -> None:
        super().__init__(f"--where: column {at}: {problem}\n  {text}\n  {' ' * (at - 1)}^")


def _of_flow(name: str) -> Getter:
    def get(finding: Finding, start_ns: int) -> Value:
        return None if finding.flow is None else getattr(finding.flow, name)

    return get


def _lasted(finding: Finding, start_ns: int) -> Value:
    return None if finding.end_ns is None else finding.end_ns - finding.time_ns


NAMES: dict[str, Name] = {
    "detector": Name("text", lambda f, start_ns: f.name),
    "name": Name("text", lambda f, start_ns: f.name),
    "level": Name("level", lambda f, start_ns: LEVELS.index(f.level)),
    "kind": Name("text", lambda f, start_ns: f.kind),
    "frame": Name("number", lambda f, start_ns: f.frame),
    "time": Name("time", lambda f, start_ns: f.time_ns - start_ns if f.frame else None),
    "lasted": Name("time", _lasted),
    "count": Name("number", lambda f, start_ns: f.count),
    "seq": Name("number", lambda f, start_ns: f.seq),
    "len": Name("size", lambda f, start_ns: f.len),
    "flow.src": Name("text", _of_flow("src")),
    "flow.dst": Name("text", _of_flow("dst")),
    "flow.sport": Name("number", _of_flow("sport")),
    "flow.dport": Name("number", _of_flow("dport")),
}
DETAIL = "detail."
EXPECTED = {
    "text": 'text in quotes such as "rto"',
    "level": f"one of {', '.join(f'{chr(34)}{level}{chr(34)}' for level in LEVELS)}",
    "number": "a number",
    "size": "a number, or a size such as 1 KiB (B, kB, KiB, MB, MiB)",
    "time": "a time such as 200ms (ns, us, ms, s, m)",
    "any": "text in quotes, a number, or a time such as 200ms",
}


def parse_where(text: str, detectors: Collection[str] = ()) -> Test:
    """The test that an expression is. `detectors`: the names there are, so that a wrong one is found here.

    Raises WhereError.
    """
    return _Parser(text, detectors).whole()


class _Parser:
    def __init__(self, text: str, detectors: Collection[str]) -> None:
        self.text, self.detectors = " ".join(text.splitlines()), detectors
        self.tokens = tokens(self.text)
        self.at = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def wrong(self, token: Token, problem: str) -> WhereError:
        return WhereError(self.text, token.at, problem)

    def took(self, *words: str) -> str:
        """The word, taken, when one of them comes next; else ""."""
        token = self.token
        if token.kind in ("keyword", "sign") and token.text in words:
            self.at += 1
            return token.text
        return ""

    def whole(self) -> Test:
        test = self.either()
        if self.token.kind != "end":
            raise self.wrong(self.token, f"expected and, or, or the end; found {self.token.shown()}")
        return test

    def either(self) -> Test:
        tests = [self.every()]
        while self.took("or"):
            tests.append(self.every())
        return tests[0] if len(tests) == 1 else lambda f, start_ns: any(t(f, start_ns) for t in tests)

    def every(self) -> Test:
        tests = [self.one()]
        while self.took("and"):
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda f, start_ns: all(t(f, start_ns) for t in tests)

    def one(self) -> Test:
        token = self.token
        if self.took("not", "("):
            self.depth += 1
            if self.depth > DEEPEST:
                raise self.wrong(token, f"more than {DEEPEST} parentheses inside one another")
            test = self.negated() if token.text == "not" else self.inside()
            self.depth -= 1
            return test
        return self.comparison()

    def negated(self) -> Test:
        test = self.one()
        return lambda f, start_ns: not test(f, start_ns)

    def inside(self) -> Test:
        test = self.either()
        self.close()
        return test

    def close(self) -> None:
        if not self.took(")"):
            raise self.wrong(self.token, f"expected ); found {self.token.shown()}")

    def comparison(self) -> Test:
        name, get = self.name()
        turned = self.token.text == "not" and self.took("not")
        if self.took("in"):
            among = self.values(name)
            return lambda f, start_ns: (get(f, start_ns) in among) is not bool(turned)
        if turned:
            raise self.wrong(self.token, f"expected in after not; found {self.token.shown()}")
        sign = self.took(*COMPARE)
        if not sign:
            return self.by_itself(get)
        return compared(get, sign, self.value(name))

    def by_itself(self, get: Getter) -> Test:
        if self.token.kind != "end" and self.token.text not in ("and", "or", ")"):
            signs = " ".join(COMPARE)
            raise self.wrong(self.token, f"expected one of {signs} in; found {self.token.shown()}")
        return lambda f, start_ns: bool(get(f, start_ns))

    def name(self) -> tuple[str, Getter]:
        token = self.token
        if token.kind != "word":
            raise self.wrong(token, f"expected a name such as detector or flow.dport; found {token.shown()}")
        self.at += 1
        if token.text in NAMES:
            return token.text, NAMES[token.text].get
        if token.text.startswith(DETAIL):
            key = token.text.removeprefix(DETAIL)
            return token.text, lambda f, start_ns: f.detail.get(key)
        near = difflib.get_close_matches(token.text, NAMES, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(NAMES)}, detail.X"
        raise self.wrong(token, f"{token.text} is no name{meant}")

    def values(self, name: str) -> list[Value]:
        if not self.took("("):
            raise self.wrong(self.token, f"expected a list such as (1, 2); found {self.token.shown()}")
        found = [self.value(name)]
        while self.took(","):
            found.append(self.value(name))
        self.close()
        return found

    def value(self, name: str) -> Value:
        """The literal that comes next, in the terms of the name that it is compared with."""
        token, of = self.token, NAMES[name].of if name in NAMES else "any"
        value = READERS[of](token)
        if value is None:
            raise self.wrong(token, f"expected {EXPECTED[of]}; found {token.shown()}")
        if name in ("detector", "name") and self.detectors and value not in self.detectors:
            near = difflib.get_close_matches(str(value), self.detectors, n=3)
            meant = f"; did you mean {' or '.join(near)}?" if near else ""
            raise self.wrong(token, f"no detector is called {value!r}{meant}")
        self.at += 1
        return value


def tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while not found or found[-1].kind != "end":
        match = TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            if text[at] in "\"'":
                raise WhereError(text, at + 1, f"the text that begins here has no closing {text[at]}")
            meant = "; did you mean ==?" if text[at] == "=" else ""
            raise WhereError(text, at + 1, f"{text[at]} is nothing that an expression holds{meant}")
        found.append(_token(match))
        at = match.end()
    return found


def _token(match: re.Match[str]) -> Token:
    kind = next(k for k in ("number", "text", "word", "sign", "end") if match[k] is not None)
    text, column = match[kind], match.start(kind) + 1
    if kind == "number":
        value = float(text) if "." in text else int(text)
        unit = match["unit"] or ""
        return Token(kind, text + unit, column, value, unit)
    if kind == "text":
        return Token(kind, text, column, text[1:-1])
    return Token("keyword" if text in KEYWORDS else kind, text, column)


def _text(token: Token) -> Value:
    return token.value if token.kind == "text" else None


def _level(token: Token) -> Value:
    return LEVELS.index(token.value) if token.kind == "text" and token.value in LEVELS else None


def _number(token: Token) -> Value:
    return token.value if token.kind == "number" and not token.unit else None


def _quantity(token: Token, units: dict[str, int]) -> Value:
    if token.kind != "number" or token.unit not in units:
        return None
    assert not isinstance(token.value, str)  # a number's
    return round(token.value * units[token.unit])


def _time(token: Token) -> Value:
    return _quantity(token, TIMES)


def _size(token: Token) -> Value:
    return _quantity(token, SIZES | {"": 1})


def _any(token: Token) -> Value:
    if token.kind == "text":
        return token.value
    return _quantity(token, TIMES | SIZES) if token.unit else _number(token)


READERS: dict[str, Callable[[Token], Value]] = {
    "text": _text,
    "level": _level,
    "number": _number,
    "time": _time,
    "size": _size,
    "any": _any,
}


def compared(get: Getter, sign: str, wanted: Value) -> Test:
    compare, differs = COMPARE[sign], sign == "!="

    def test(finding: Finding, start_ns: int) -> bool:
        value = get(finding, start_ns)
        if value is None or isinstance(value, str) is not isinstance(wanted, str):
            return differs
        return compare(value, wanted)

    return test
