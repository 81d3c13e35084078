"""`explain`: a page for each detector, flag, header field, option, counter and setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tcpharness.analysis.catalog import DETECTORS
from tcpharness.packet.ip import EXTENSIONS
from tcpharness.packet.segment import FLAG_LETTERS
from tcpharness.report.explain import NotKnown, explain, overview
from tcpharness.report.glossary import TERMS, find_terms, picture
from tcpharness.report.glossary_lab import LAB_WORDS
from tcpharness.report.header_picture import BITS, HEADERS, JOINED, header_picture
from tcpharness.report.option_words import IP_NAMES
from tcpharness.report.option_words import NAMES as OPTION_NAMES
from tcpharness.report.term import Term
from tcpharness.scenario.event_keys import CONDITION_KEYS, LAB_VERBS
from tcpharness.scenario.fault_keys import SIGNAL_VERBS
from tcpharness.scenario.impair_keys import IMPAIRMENT_KEYS
from tcpharness.scenario.setting_words import SETTINGS
from tcpharness.scenario.socket_fields import FIELDS
from tcpharness.scenario.trace_keys import TRACEPOINT_NAMES
from tcpharness.verdict.counter_names import KNOWN

Golden = Callable[[str, str], None]
CELLS = [(header, cell.name) for header, rows in HEADERS.items() for row in rows for cell in row.cells]
JOINED_CELLS = [("TCP", "flags"), ("IPv4", "tos"), ("IPv6", "class")]
# dscp and ecn are one page for both versions of IP; the bits that stand for flags are kind "flag".
SHARED = {("IPv6", "dscp"), ("IPv6", "ecn")}
# What scenarios and findings call a field, as docs/design.md has it.
SPELLINGS = ["sport", "dport", "seq", "ack", "flags", "win", "len", "mss", "wscale", "sack", "tsval", "tsecr",
             "ttl", "tos", "id", "df", "urg", "offset", "cksum"]  # fmt: skip


@pytest.mark.parametrize("name", [d.name for d in DETECTORS])
def test_every_detector_has_a_page(name: str) -> None:
    page = explain(name)
    assert page.startswith(f"{name} (detector; level ")
    assert len(page.splitlines()) > 3


def tcp_counters_here() -> Iterator[str]:
    """Every counter of TCP that this kernel has."""
    for path in ("/proc/net/snmp", "/proc/net/netstat"):
        lines = Path(path).read_text().splitlines()
        for names in lines[::2]:
            prefix, *fields = names.split()
            if prefix in ("Tcp:", "TcpExt:", "MPTcpExt:"):
                yield from (prefix[:-1] + each for each in fields)


def test_every_tcp_counter_of_this_kernel_is_explained() -> None:
    names = list(tcp_counters_here())
    assert len(names) > 100
    assert [name for name in names if not find_terms(name)] == []


@pytest.mark.parametrize("name", [*(f.name for f in FIELDS), *TRACEPOINT_NAMES, *SETTINGS])
def test_what_a_scenario_may_ask_of_a_host_is_explained(name: str) -> None:
    kinds = {"value of a socket", "tracepoint", "setting"}
    assert kinds & {term.kind for term in find_terms(name)}


@pytest.mark.parametrize("term", TERMS, ids=lambda t: f"{t.kind}-{t.name}")
def test_every_term_has_a_page(term: object) -> None:
    name, kind = getattr(term, "name", ""), getattr(term, "kind", "")
    assert f"{name} ({kind}; " in explain(name)


def test_pages(golden: Golden) -> None:
    golden("report_explain", "\n\n".join(explain(word) for word in ("retransmission", "SYN", "win")) + "\n")


def test_a_child_says_whose() -> None:
    assert "counts as retransmission too" in explain("syn_retransmission")


def test_what_is_not_known_suggests() -> None:
    with pytest.raises(NotKnown, match="did you mean retransmission"):
        explain("retransmision")
    with pytest.raises(NotKnown, match="'qqqq' is not known; `tcpharness explain` lists everything"):
        explain("qqqq")


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("Retransmision", "retransmission"),
        ("zero_windo", "zero_window"),
        ("tcptimeout", "TCPTimeouts"),
        ("synack", "synack_retransmission"),
    ],
)
def test_the_nearest_names_are_told(word: str, near: str) -> None:
    with pytest.raises(NotKnown, match=rf"did you mean .*{near}"):
        explain(word)


def test_the_overview_names_everything() -> None:
    text = " ".join(overview().split())
    assert all(d.name in text for d in DETECTORS)
    assert all(t.name in text for t in TERMS)


@pytest.mark.parametrize(("header", "name"), CELLS + JOINED_CELLS, ids="-".join)
def test_every_field_of_every_header_has_a_page_and_is_marked(header: str, name: str) -> None:
    drawing = header_picture(header, name)
    lines = drawing.splitlines()
    assert {len(line) for line in lines[2:]} == {2 * BITS + 1}
    assert sum("#" in line for line in lines) >= 3
    if (header, name) not in SHARED:
        assert any(term.header == header and (term.field or term.name) == name for term in find_terms(name))
        assert drawing in explain(name)


def test_a_field_is_as_wide_as_it_is() -> None:
    assert all(sum(cell.bits for cell in row.cells) == BITS for rows in HEADERS.values() for row in rows)
    ttl_line = header_picture("IPv4", "ttl").splitlines()[8]
    assert ttl_line == "#      ttl      #     proto     |            ip_cksum           |"
    assert sum(line.count("#") for line in header_picture("TCP", "SYN").splitlines()) == 3 + 3 * 2 + 3
    with pytest.raises(KeyError, match="IPv6 has no field id"):
        header_picture("IPv6", "id")
    assert set(JOINED) == {name for _, name in JOINED_CELLS}


@pytest.mark.parametrize("letter", FLAG_LETTERS)
def test_every_flag_is_found_by_its_letter(letter: str) -> None:
    (term,) = find_terms(letter)
    assert term.kind == "flag"
    assert picture(term) == "TCP:\n" + header_picture("TCP", term.name)


@pytest.mark.parametrize("kind", sorted(OPTION_NAMES))
def test_every_tcp_option_that_is_printed_has_a_page(kind: int) -> None:
    of_kind = {7: 6, 11: 6, 12: 6, 13: 6}  # echo's answer; the three of T/TCP, long gone
    wanted = f"kind {of_kind.get(kind, kind)} "
    assert any(wanted in f"{field.text} " for term in TERMS if term.kind == "option" for field in term.layout)


@pytest.mark.parametrize("name", sorted({*IP_NAMES.values()} - {"EOL", "NOP", "security"}))
def test_every_ip_option_that_is_printed_has_a_page(name: str) -> None:
    word = "IP timestamp" if name == "timestamp" else name
    assert any(term.kind == "IP option" for term in find_terms(word))


@pytest.mark.parametrize("term", [t for t in TERMS if t.layout], ids=lambda t: t.name)
def test_an_option_shows_the_header_and_its_own_bytes(term: Term) -> None:
    drawing = str(picture(term))
    assert header_picture(term.header, term.field) in drawing
    *_, edge, fields, again, sizes = drawing.splitlines()
    assert edge == again
    assert len(edge) == len(fields)
    assert fields.strip("|").split("|")[0].strip().startswith("kind ")
    assert sizes.count("byte") + sizes.count("the rest") == len(term.layout)


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_of_a_field_is_explained(name: str) -> None:
    assert find_terms(name)


@pytest.mark.parametrize("name", sorted({c for d in DETECTORS for c in d.counters}))
def test_every_counter_that_a_detector_names_is_explained(name: str) -> None:
    assert [term.kind for term in find_terms(name)] == ["counter"]


def test_both_versions_of_ip_are_shown() -> None:
    page = explain("ttl")
    assert page.index("IPv4:\n") < page.index("hlim (header field")
    assert "# " in page[page.index("IPv6:\n") :]


def test_the_sources_are_named() -> None:
    assert all(term.meaning.endswith(".") and term.source for term in TERMS)
    extensions = find_terms("extension")[0].meaning
    assert all(f"({number})" in extensions for number in EXTENSIONS)


@pytest.mark.parametrize("name", sorted(name for name in KNOWN if name.startswith("Tcp")))
def test_every_tcp_counter_that_a_kernel_has_is_explained(name: str) -> None:
    (term,) = find_terms(name)
    assert term.kind == "counter"
    assert term.meaning.endswith(".")
    assert find_terms(name.removeprefix("TcpExt"))[0] is term


def test_every_word_about_links_and_events_is_explained() -> None:
    words = {*IMPAIRMENT_KEYS, *LAB_VERBS, *SIGNAL_VERBS, *CONDITION_KEYS, "time: fast"}
    assert words <= {term.name for term in LAB_WORDS}
    for term in LAB_WORDS:
        assert f"{term.name} ({term.kind}; {term.source})" in explain(term.name)
