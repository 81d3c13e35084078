"""Results of all outcomes, made up, for the reports."""

from __future__ import annotations

from tcpharness.analysis.finding import CaptureReport, Finding, FlowKey, FlowSummary
from tcpharness.evidence import CaptureOutcome, ConnectionOutcome, EndpointOutcome, Evidence, LinkOutcome
from tcpharness.fault.ledger import Entry
from tcpharness.scenario.load import load
from tcpharness.scenario.model import Case, Place
from tcpharness.verdict.result import Failure, Result, Verdict

TEXT = """\
scenario: A segment is lost
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 1 KiB, close]}
expect: {findings: {client: {}}}
"""
PACKETS = (
    "  0.000000 client.40000 > server.105: S 0:0(0) win 64240 <mss 1460>",
    "> 0.210000 client.40000 > server.105: P. 1:101(100) ack 1 win 502",
)
FLOW = FlowKey("10.0.0.1", 40000, "10.0.0.2", 105)
AT = Place("lost.yaml", 7, 30)
FAILURE = Failure(AT, "nothing else at client", "frame 9: retransmission (rto)", PACKETS, "kept/client.pcap")
VERDICTS = {
    "pass": Verdict("pass"),
    "fail": Verdict("fail", failures=[FAILURE], notes=["the capture at server is not whole"]),
    "void": Verdict(
        "void", "the capture at client: killed", [FAILURE], [], ["the capture at client: killed", "and more"]
    ),
    "skip": Verdict("skip", "nc is not installed"),
}


def case(file: str = "lost.yaml") -> Case:
    (made,) = load(TEXT, file)
    return made


def result(outcome: str, file: str = "lost.yaml") -> Result:
    kept = None if outcome in ("pass", "skip") else "kept"
    return Result(
        case(file), VERDICTS[outcome], evidence(), 7, 1_700_000_000.5, 412_345_678, {"kernel": "6.18"},
        {"tcpharness": "0"}, kept,
    )  # fmt: skip


def report() -> CaptureReport:
    findings = [
        Finding("capture_drops", "error", 0, 0, None, "3 packets were dropped"),
        Finding("handshake", "info", 1_000_000_000, 3, FLOW, "took 0.1 ms"),
        Finding("retransmission", "warning", 1_250_000_000, 9, FLOW, "sent again", "rto", 101, 100),
    ]
    flows = [
        FlowSummary(FLOW, 1_000_000_000, 2_000_000_000, (6, 5), (1024, 0), "closed", (1, 0), 250_000),
        FlowSummary(FLOW.reversed(), 1_500_000_000, 2_000_000_000, (1, 0), (0, 0), "syn_sent"),
    ]
    return CaptureReport(findings, flows, 12, {"arp": 2, "udp": 1}, [])


def evidence() -> Evidence:
    outcome = EndpointOutcome("client", "client", "connect", [ConnectionOutcome(1024, 0, opened_ns=1)])
    capture = CaptureOutcome(
        "client", "client", "eth0", "kept/client.pcap", None, None, 12, 12, 0, True, report=report()
    )
    text = CaptureOutcome("server", "server", "eth0", "kept/server.txt", text=True, error="killed")
    head = bytes(range(20))
    entries = [
        Entry(1, 5, "forward", None, ("client", 11), (("server", 11),), head, 20),
        Entry(2, 6, "drop", "lost", ("client", 12), (), head, 20),
    ]
    return Evidence(
        {"client": outcome},
        {"client": capture, "server": text},
        {"client-server": LinkOutcome("client-server", entries, {"lost": 1})},
        {"client": {"TcpRetransSegs": 1, "TcpInErrs": 0}},
        problems=["it took long"],
    )
