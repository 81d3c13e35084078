"""TCP sockets against what is expected of them: `expect.sockets`, `expect.ports`.

Every socket is reduced to one look at it, by the moment that is asked for; those looks that satisfy
everything are counted. A socket that was never looked at when it mattered is a reason to skip, and so
is a value that this kernel does not tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tcpharness.evidence import Evidence, SocketHistory, SocketSample
from tcpharness.scenario.model import Case, Count, HostPorts, SocketExpect
from tcpharness.scenario.socket_fields import BY_NAME
from tcpharness.verdict.result import Failure

GONE = "ENDED"
ANY = "any"


@dataclass(slots=True)
class Judgement:
    failures: list[Failure] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


def judge_sockets(case: Case, evidence: Evidence) -> Judgement:
    judgement = Judgement()
    for host, wanted in case.expect.sockets:
        _judge(host, wanted, evidence, judgement)
    for of_host in case.expect.ports:
        if not was_seen(of_host.host, evidence):
            judgement.lacking.append(f"{of_host.at}: {not_seen(of_host.host, evidence)}")
        else:
            judgement.failures += judge_ports(of_host, evidence)
    return judgement


# --- sockets


def _judge(host: str, wanted: SocketExpect, evidence: Evidence, judgement: Judgement) -> None:
    if not was_seen(host, evidence, at_end=wanted.moment == "end"):
        judgement.lacking.append(f"{wanted.at}: {not_seen(host, evidence)}")
        return
    meant = [h for h in evidence.sockets if h.host == host and is_meant(h, wanted)]
    looks = [(h, look) for h in meant for look in looks_at(h, wanted, evidence)]
    told = [look for _, look in looks if look.info]  # listeners, TIME_WAIT and SYN_RECV have none
    asked = [name for name, _ in wanted.values]
    unknown = [name for name in asked if told and all(value_of(look, name) is None for look in told)]
    if unknown:
        judgement.lacking.append(
            f"{wanted.at}: this kernel does not tell {', '.join(unknown)} of such a socket"
        )
        return
    fitting = {id(h) for h, look in looks if satisfies(h, look, wanted)}
    if wanted.count.holds(len(fitting)):
        return
    if not looks and (why := unseen(host, wanted, evidence)):
        judgement.lacking.append(f"{wanted.at}: {why}")
        return
    wish = f"{wanted.count} sockets of {host} {words(wanted)}"
    shown = tuple(show(h, look, wanted) for h, look in looks[-8:])
    found = f"{len(fitting)}, of {len(meant)} sockets that are meant and {len(looks)} looks at them"
    judgement.failures.append(Failure(wanted.at, wish, found, shown))


def is_meant(history: SocketHistory, wanted: SocketExpect) -> bool:
    """By what a socket is all its life."""
    return (
        wanted.endpoint in (None, history.endpoint)
        and wanted.port in (None, history.local[1], history.remote[1])
        and wanted.program in (None, history.program)
        and wanted.congestion in (None, history.congestion)
    )


def looks_at(history: SocketHistory, wanted: SocketExpect, evidence: Evidence) -> Iterator[SocketSample]:
    """The looks that count: one, or none; with `at: any` all of them."""
    alive = [s for s in history.samples if s.state != GONE]
    if wanted.moment == "end":
        end_ns = evidence.sampling.end_ns if evidence.sampling else 0
        yield from [s for s in alive if s.time_ns >= end_ns and in_state(s, wanted)][-1:]
    elif wanted.after is not None:
        fired_ns = fired_at(wanted.after, evidence)
        later = [s for s in alive if fired_ns is not None and s.time_ns >= fired_ns]
        yield from [s for s in later if in_state(s, wanted)][:1]
    elif wanted.moment == ANY:
        yield from (s for s in alive if in_state(s, wanted))
    elif wanted.state is not None:
        yield from [s for s in alive if in_state(s, wanted)][-1:]
    else:
        yield from [s for s in history.samples if s.info][-1:]


def in_state(sample: SocketSample, wanted: SocketExpect) -> bool:
    return wanted.state is None or sample.state.lower() == wanted.state


def fired_at(fault: str, evidence: Evidence) -> int | None:
    """When a fault fired first."""
    times = [
        e.time_ns for link in evidence.links.values() for e in link.entries if fault in (e.fault, *e.faults)
    ]
    return min(times, default=None)


def satisfies(history: SocketHistory, look: SocketSample, wanted: SocketExpect) -> bool:
    if wanted.timer is not None and (look.timer or "none") != wanted.timer:
        return False
    return all(holds(count, value_of(look, name)) for name, count in wanted.values)


def holds(count: Count, value: int | None) -> bool:
    return value is not None and count.holds(value)


def value_of(look: SocketSample, name: str) -> int | None:
    """In nanoseconds, bytes or bits per second; None: the kernel does not tell, or has none yet."""
    asked = BY_NAME[name]
    if not asked.source or name in ("recv_q", "send_q"):
        return look.recv_q if name == "recv_q" else look.send_q
    value = look.info.get(asked.source)
    return None if value in (None, asked.none) else value * asked.factor


def unseen(host: str, wanted: SocketExpect, evidence: Evidence) -> str | None:
    """Why there may have been such a socket all the same; None: there was none."""
    if wanted.moment == "end" or wanted.state == "time_wait":
        return None
    assert evidence.sampling is not None
    lived = [
        e.name for e in evidence.endpoints.values() if e.host == host and has_lived(e.name, wanted, evidence)
    ]
    if lived and (wanted.state in (None, "established", "syn_sent") or wanted.after is not None):
        every = evidence.sampling.effective_ns / 1e6
        return f"no look at a socket of {', '.join(lived)} in time: they were taken every {every:.0f} ms"
    return None


def was_seen(host: str, evidence: Evidence, *, at_end: bool = True) -> bool:
    """False: this host may have had sockets that nobody has looked at, so that none proves nothing."""
    sampling = evidence.sampling
    if sampling is None or not sampling.samples or host in sampling.unseen:
        return False
    return at_end or host not in sampling.unheard


def not_seen(host: str, evidence: Evidence) -> str:
    sampling = evidence.sampling
    why = ""
    if sampling is not None:
        why = sampling.unseen.get(host) or sampling.unheard.get(host) or "; ".join(sampling.notes)
    return f"the sockets of {host} were not all seen{': ' * bool(why)}{why}"


def has_lived(name: str, wanted: SocketExpect, evidence: Evidence) -> bool:
    """A connection that its endpoint knows of, or its attempt at one."""
    connections = evidence.endpoints[name].connections
    opened = any(c.opened_ns is not None for c in connections)
    tried = wanted.state != "established" and any(c.local is not None for c in connections)
    return wanted.endpoint in (None, name) and (opened or tried)


def words(wanted: SocketExpect) -> str:
    """What is expected, in the language's own words."""
    moment = {"end": "at the end", ANY: "at some moment"}.get(wanted.moment or "", "")
    parts = [f"of {wanted.endpoint}" if wanted.endpoint else "", f"in {wanted.state}" if wanted.state else ""]
    parts += [f"after {wanted.after}" if wanted.after else "", moment]
    parts += [
        f"with port {wanted.port}" if wanted.port else "",
        f"held by {wanted.program}" if wanted.program else "",
    ]
    parts += [
        f"timer {wanted.timer}" if wanted.timer else "",
        *(f"{name} {count}" for name, count in wanted.values),
    ]
    return " ".join(part for part in parts if part)


def show(history: SocketHistory, look: SocketSample, wanted: SocketExpect) -> str:
    """A line as `ss` would print it, with the values that were asked for."""
    values = " ".join(f"{name}:{value_of(look, name)}" for name, _ in wanted.values)
    timer = f" timer:{look.timer}" if look.timer else ""
    return f"{look.state} {look.recv_q} {look.send_q} {history}{timer} {values}".rstrip()


# --- ports


def judge_ports(of_host: HostPorts, evidence: Evidence) -> Iterator[Failure]:
    """What is listed listens, and nothing else does."""
    owners = listening(of_host.host, evidence)
    for wanted in of_host.ports:
        found = owners.pop(wanted.port, None)
        if found is None:
            yield Failure(wanted.at, f"port {wanted.port} of {of_host.host} to listen", "it never did")
        elif wanted.owner != ANY and wanted.owner not in found:
            wish = f"{wanted.owner} behind port {wanted.port} of {of_host.host}"
            yield Failure(wanted.at, wish, " or ".join(sorted(found)) or "nobody that is known")
    for port, found in owners.items():
        who = f", held by {' or '.join(sorted(found))}" if found else ""
        yield Failure(of_host.at, f"no other port of {of_host.host} to listen", f"port {port} did{who}")


def listening(host: str, evidence: Evidence) -> dict[int, set[str]]:
    """Every port that has listened, with the names of who was behind it."""
    owners: dict[int, set[str]] = {}
    for history in evidence.sockets:
        if history.host == host and history.listens:
            known = {name for name in (history.endpoint, history.program) if name}
            owners.setdefault(history.local[1], set()).update(known)
    return owners
