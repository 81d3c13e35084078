"""Words of scenarios about links and events: what `tcpharness explain` says of them."""

from __future__ import annotations

from tcpharness.report.term import Term


def _impairment(name: str, meaning: str, example: str, *also: str) -> Term:
    watch = f"links: [{{join: [client, server], {example}}}]; `from: {{client: {{...}}}}` for one direction alone."
    return Term(name, "impairment of a link", meaning, watch, "docs/impairments.md", also)


def _event(name: str, meaning: str, example: str, *also: str) -> Term:
    watch = f"faults: [{{when: {{time: 500ms}}, do: {example}}}]"
    return Term(name, "action on the lab", meaning, watch, "docs/time.md", also)


def _condition(name: str, meaning: str, example: str) -> Term:
    return Term(name, "condition of an event", meaning, f"when: {{{example}}}", "docs/time.md")


IMPAIRMENTS = (
    _impairment("delay", "Every frame takes this much longer; their order stays.", "delay: 20ms", "latency"),
    _impairment(
        "jitter",
        "The delay varies: uniform by at most so much, normal with that standard deviation. Frames keep their order.",
        "delay: 20ms, jitter: {by: 2ms, shape: normal}",
    ),
    _impairment(
        "loss",
        "That share of frames never goes on; with enter and leave it comes in bursts (Gilbert, Elliott), 1/leave "
        "frames long on average. Which ones hangs on the seed and the bytes they carry, not on when they come.",
        "loss: {enter: 1%, leave: 25%}",
        "packet loss", "burst", "gilbert-elliott",
    ),
    _impairment("duplicate", "That share of frames arrives twice.", "duplicate: 1%"),
    _impairment(
        "reorder",
        "The next frame of its flow, or the one so many later, overtakes that share of frames.",
        "reorder: {chance: 2%, by: 3}",
        "reordering",
    ),
    _impairment("corrupt", "One bit of that share of frames is turned over; checksums tell.", "corrupt: 0.5%"),
    _impairment(
        "rate",
        "Bits per second, of whole Ethernet frames; what comes faster waits in the queue.",
        "rate: 10mbit, queue: 50 packets",
        "bandwidth",
    ),
    _impairment(
        "queue",
        "What may wait for the rate, in packets or bytes, the frame on the wire included. What comes then is dropped.",
        "rate: 10mbit, queue: 64 KiB",
        "drop-tail",
    ),
)  # fmt: skip

# Words below an impairment.
IMPAIRMENT_PARTS = {
    word: {part: f"links: [{{join: [client, server], {example}}}]" for part, example in parts.items()}
    for word, parts in {
        "jitter": {
            "by": "delay: 20ms, jitter: {by: 2ms}",
            "shape": "delay: 20ms, jitter: {by: 2ms, shape: normal}",
        },
        "loss": {
            "enter": "loss: {enter: 1%, leave: 25%}",
            "leave": "loss: {enter: 1%, leave: 50%}",
            "bad": "loss: {enter: 1%, leave: 25%, bad: 90%}",
            "good": "loss: {enter: 1%, leave: 25%, good: 0.1%}",
        },
        "reorder": {"chance": "reorder: {chance: 2%}", "by": "reorder: {chance: 2%, by: 3}"},
    }.items()
}

EVENTS = (
    _event(
        "down",
        "The link carries nothing any more; each frame that is lost for it stands in the ledger. Hosts keep their carrier.",
        "{down: client-server}",
        "link down",
    ),
    _event("up", "A link that was down carries frames again.", "{up: client-server}", "link up"),
    _event(
        "firewall",
        "Ports of a host's firewall become open, closed (answered by a reset) or filtered (dropped without a word); with "
        "established: on also in the middle of connections.",
        "{firewall: {on: server, filtered: 105, established: on}}",
    ),
    _event(
        "route",
        "A host's route gets another next hop or other metrics, or becomes unreachable.",
        "{route: {on: client, to: server, unreachable: on}}",
    ),
    _event("sysctl", "Settings of a host change.", "{sysctl: {router: {net.ipv4.ip_forward: 0}}}"),
    _event(
        "address",
        "A host loses the address of an interface, and drops what comes for it; gone: off gives it back.",
        "{address: {on: server}}",
    ),
    _event("capture", "The capture at this vantage begins only now.", "{capture: server}"),
    _event(
        "stop", "SIGSTOP to an endpoint that is a process; its kernel goes on without it.", "{stop: server}"
    ),
    _event("continue", "SIGCONT to an endpoint that was stopped.", "{continue: server}"),
)

CONDITIONS = (
    _condition("endpoint", "Waits until an endpoint is in some state.", "endpoint: client, blocked: true"),
    _condition("listening", "The endpoint has its listening socket.", "endpoint: server, listening: true"),
    _condition("established", "The endpoint has a connection.", "endpoint: client, established: true"),
    _condition("blocked", "The endpoint wants to send and can't.", "endpoint: client, blocked: true"),
    _condition("closed", "The endpoint has closed a connection.", "endpoint: client, closed: true"),
    _condition("done", "The endpoint has ended.", "endpoint: client, done: true"),
    _condition("wait", "So long after all else is so.", "after: cut, wait: 500ms"),
)

FAST = Term(
    "time: fast",
    "setting of a scenario",
    "The kernel's long timers made short, per namespace and route: timeouts from 20 ms to 1 s, 2.3 s until ETIMEDOUT, "
    "keep-alives after a second, FIN-WAIT-2 for a second, two SYNs. The result has time_factor: 10.",
    "Needs net.ipv4.tcp_rto_max_ms (Linux 6.15), or the case is skipped. TIME-WAIT and a SYN's first second stay.",
    "docs/time.md",
    ("fast", "time"),
)

LAB_WORDS = (*IMPAIRMENTS, *EVENTS, *CONDITIONS, FAST)
