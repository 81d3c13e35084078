"""Faults: each has fired as often as expected, and the ledger agrees."""

from __future__ import annotations

from collections.abc import Iterator

from tcpharness.evidence import Evidence, LinkOutcome
from tcpharness.packet.notation import format_segment
from tcpharness.packet.segment import Segment, decode, flags_text, flags_value
from tcpharness.scenario.model import Case, Count, Fault
from tcpharness.scenario.plan import Plan
from tcpharness.verdict.binding import entries_of
from tcpharness.verdict.packets import isn_of, relative_to
from tcpharness.verdict.result import Failure
from tcpharness.verdict.watched import names_of

ONCE = Count(1, None, "1..")


def judge_faults(case: Case, plan: Plan, evidence: Evidence) -> Iterator[Failure]:
    """At least once when nothing is said. What did not fire says what came closest."""
    wanted = {e.fault: (e.count, e.at) for e in case.expect.faults}
    for fault in case.faults:
        count, at = wanted.get(fault.name, (ONCE, fault.at))
        link = evidence.links.get(fault.link)
        fired = link.fired.get(fault.name, 0) if link else 0
        if fault.is_event:
            fired = sum(event.name == fault.name for event in evidence.events)
        if not count.holds(fired):
            found = f"it fired {fired} times"
            if fault.is_event:
                found += f"; {evidence.waits.get(fault.name, 'the traffic had ended before')}"
            if fired < count.low and link is not None:
                found += f"; {nearest(fault, link, names_of(plan))}"
            wish = f"{fault.name} to fire {'at least once' if count is ONCE else f'{count} times'}"
            yield Failure(at, wish, found)


def judge_impairments(case: Case, evidence: Evidence) -> Iterator[Failure]:
    """What the links did by chance, as the ledgers have it."""
    for wanted in case.expect.impairments:
        found = sum(
            link.impaired().get(wanted.host, {}).get(wanted.act, 0) for link in evidence.links.values()
        )
        if not wanted.count.holds(found):
            what = f"{wanted.act} of {wanted.host}'s frames {wanted.count} times"
            yield Failure(wanted.at, what, f"{found} times")


def unwritten(case: Case, evidence: Evidence) -> Iterator[str]:
    """Faults that are said to have fired and stand nowhere in the ledger, or the reverse."""
    for fault in case.faults:
        link = evidence.links.get(fault.link)
        if link is None or link.error:
            continue
        written = any(True for _ in entries_of(fault.name, evidence))
        if written != bool(link.fired.get(fault.name, 0)):
            said = f"{link.fired.get(fault.name, 0)} times"
            has = "names it" if written else "has nothing of it"
            yield f"{fault.at}: {fault.name} is said to have fired {said}, and the ledger {has}"


# --- how near it was


def nearest(fault: Fault, link: LinkOutcome, names: dict[str, str]) -> str:
    """How many frames the link carried from the fault's host, how many of them were like the one it means."""
    when = fault.when
    heads = [decode(e.head, wire_len=e.len_bytes, time_ns=e.time_ns) for e in link.entries]
    carried = [
        segment
        for e, segment in zip(link.entries, heads, strict=True)
        if e.came_in is not None and when.sender in (None, e.came_in[0])
    ]
    source = f" from {when.sender}" if when.sender else ""
    if not carried:
        return f"link {link.link} carried no frame{source}"
    parts = [f"link {link.link} carried {plural(len(carried), 'frame')}{source}"]
    fitting = [s for s in carried if s.is_tcp]
    for words, kept in narrower(fault, fitting):
        parts.append(f"{len(kept)} {words}")
        fitting = kept or fitting
    last = (fitting or carried)[-1]
    shown = format_segment(
        last, names=names, start_ns=link.entries[0].time_ns, isn=isn_of(last, relative_to(heads))
    )
    return ", ".join(parts) + f"; the last: {shown}"


def narrower(fault: Fault, segments: list[Segment]) -> Iterator[tuple[str, list[Segment]]]:
    """What `when` says of a segment itself, one by one."""
    when = fault.when
    if when.flags is not None:
        exact = flags_value(when.flags)
        segments = [s for s in segments if s.flags == exact]
        yield f"with flags {flags_text(exact)}", segments
    if when.flags_has is not None:
        least = flags_value(when.flags_has)
        segments = [s for s in segments if s.flags & least == least]
        yield f"with at least {flags_text(least)}", segments
    if when.data is not None or when.byte is not None or when.contains is not None:
        segments = [s for s in segments if s.payload_len]
        yield "with payload", segments


def plural(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
