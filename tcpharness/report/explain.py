"""`tcpharness explain`: one word, all that is known of it."""

from __future__ import annotations

import difflib
import re
import textwrap

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.report.glossary import TERMS, all_words, find_terms, picture
from tcpharness.report.term import Term


class NotKnown(Exception):
    """Nothing of that name; the text suggests what is near."""


def explain(word: str) -> str:
    """The page about a detector, or about each flag, field, option, counter or setting of that name."""
    terms = find_terms(word)
    if word in BY_NAME:
        # `sack` is an option as well.
        named = [term for term in terms if term.name == word]
        return "\n\n".join([detector_page(word), *map(term_page, named)])
    if not terms:
        raise NotKnown(
            f"{word!r} is not known" + suggestion(word) + "; `tcpharness explain` lists everything"
        )
    return "\n\n".join(term_page(term) for term in terms)


def suggestion(word: str) -> str:
    """The nearest names: those that begin with the word, those alike, those that hold it."""
    words = {name.casefold(): name for name in [*all_words(), *BY_NAME]}
    folded = word.casefold()
    near = [name for name in words if len(folded) > 2 and name.startswith(folded)]
    near += difflib.get_close_matches(folded, words, n=3)
    near += [name for name in words if len(folded) > 2 and folded in name]
    found = [words[name] for name in dict.fromkeys(near)][:3]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def overview() -> str:
    """Every word that can be explained, by kind."""
    kinds: dict[str, list[str]] = {"detector": list(BY_NAME)}
    for term in TERMS:
        kinds.setdefault(term.kind, []).append(term.name)
    return "\n\n".join(f"{plural(kind)}\n{wrapped(', '.join(names))}" for kind, names in kinds.items())


def plural(kind: str) -> str:
    """`match of a fault` -> `matches of a fault`."""
    noun, rest = re.fullmatch(r"(.*?)((?: (?:of|on) .*)?)", kind, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{noun}{'es' if noun.endswith(('ch', 's')) else 's'}{rest}"


def wrapped(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 100, initial_indent="  ", subsequent_indent="  ")


def term_page(term: Term) -> str:
    parts = [f"{term.name} ({term.kind}; {term.source})", wrapped(term.meaning)]
    if term.watch:
        parts.append(wrapped(term.watch))
    drawing = picture(term)
    return "\n".join([*parts, "", drawing] if drawing else parts)


def detector_page(name: str) -> str:
    detector = BY_NAME[name]
    lines = [f"{name} (detector; level {detector.level}; {detector.rfc or 'no RFC'})"]
    if detector.parent:
        lines.append(f"  counts as {detector.parent} too")
    for heading, text in detector.parts().items():
        lines += ["", f"{heading}:", textwrap.indent(textwrap.dedent(text).strip(), "  ")]
    if detector.counters:
        lines += ["", "kernel counters that must agree:", wrapped(", ".join(detector.counters))]
    return "\n".join(lines)
