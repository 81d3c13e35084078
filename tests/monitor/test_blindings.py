"""Monitors that are blinded, each in at least ten ways: every such run is void or fails, none passes."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import pytest
from reading_lab import played, played_at_once, verdict_of

from tcpharness.lab.spawner import Spawner
from tcpharness.monitor.library import shipped_names

pytestmark = pytest.mark.netns

SHIPPED = files("tcpharness.monitor") / "shipped"
LOST = "faults: [{name: lost, when: {from: client, data: 1}, do: drop}]\n"
LATE = "faults: [{name: late, when: {time: 100ms}, do: {capture: client}}]\n"
PAUSED = """\
scenario: A monitor that is blinded
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 4 KiB, pause: 200ms, send: 4 KiB, close]}
"""


class Blinding(NamedTuple):
    """What is changed in the description's text, in its options, in the capture, or in the scenario."""

    of: str
    how: str
    change: tuple[tuple[str, str], ...] = ()
    options: str = ""
    capture: str = ""
    faults: str = ""
    rules: str = ""
    expect: str = ""


SNAPLEN = "snaplen 64"  # whoever looks at headers only sees enough then


def of_capture(monitor: str) -> list[Blinding]:
    """Ways that hit whoever reads captures."""
    return [
        Blinding(monitor, "a capture filter", capture="filter: udp"),
        Blinding(monitor, "the wrong interface", capture="filter: 'ether src 02:11:22:33:44:55'"),
        Blinding(monitor, SNAPLEN, capture="snaplen: 64"),
        Blinding(monitor, "a few packets only", capture="count: 6"),
        Blinding(monitor, "a late start", faults=LATE),
    ]


def of_command(monitor: str, command: str, said: str) -> list[Blinding]:
    """Ways that hit its process; `said` is how it is told what to read, or prints."""
    return [
        Blinding(monitor, "killed", ((command, f"kill -KILL $$; {command}"),)),
        Blinding(monitor, "not there", ((command, "no-such-program"),)),
        Blinding(monitor, "its output elsewhere", ((said, f">/dev/null {said}"),)),
    ]


EMPTY = "/dev/null"
PATIENCE = "1500ms"  # with one that says nothing
UNTIL_IT_LISTENS = "(until [ -S socket ]; do sleep 0.001; done; kill -KILL $$) &"
BLINDINGS = [
    *of_capture("tshark"),
    *of_command("tshark", "tshark -n -l", "-T fields"),
    Blinding("tshark", "a filter of its own", options="filter: udp"),
    Blinding("tshark", "checksums not verified", options='check_checksum: "FALSE"'),
    Blinding("tshark", "half its input", (("tshark -n -l", "head -c 4000 | tshark -n -l"),)),
    Blinding("tshark", "its output buffered", (("tshark -n -l", "tshark -n"),)),
    Blinding(
        "tshark",
        "its clock off",
        (("-e _ws.expert.severity", "-e _ws.expert.severity | sed -u s/1[0-9]*[.]/9000000000./"),),
        faults=LOST,
        expect="{retransmission: {count: 1.., within: 5s, of: lost}, duplicate_ack: 0.., gap: 0..}",
    ),
    *of_capture("tcpharness"),
    Blinding(
        "tcpharness", "killed", (("{tcpharness} analyze", f"{UNTIL_IT_LISTENS} exec {{tcpharness}} analyze"),)
    ),
    Blinding("tcpharness", "not there", (("{tcpharness} analyze", "no-such-program"),)),
    Blinding("tcpharness", "its output elsewhere", (("{out}/findings.jsonl", "/dev/null"),)),
    Blinding("tcpharness", "a filter of its own", (("--level info", "--level info --filter udp"),)),
    Blinding("tcpharness", "nothing below an error", (("--level info", "--level error"),)),
    Blinding("tcpharness", "another file", (("{pcap}", "/nowhere.pcap"),)),
    Blinding("tcpharness", "few flows only", (("--level info", "--level info --filter 'tcp port 105'"),)),
    Blinding("tcpharness", "another socket", (("--serve socket", "--serve elsewhere"),)),
    *of_capture("suricata"),
    Blinding("suricata", "an empty ruleset", options=f"rules: {EMPTY}"),
    Blinding("suricata", "rules of another name", options="events: /nowhere"),
    Blinding(
        "suricata",
        "its log off",
        (("--runmode single", "--runmode single --set outputs.1.eve-log.enabled=no"),),
    ),
    Blinding("suricata", "its output elsewhere", (('"{out}"', '"/tmp"'),)),
    Blinding("suricata", "killed", (("exec suricata", f"{UNTIL_IT_LISTENS}; exec suricata"),)),
    Blinding("suricata", "not there", (("exec suricata", "exec no-such-program"),)),
    Blinding("suricata", "another file", (('"{pcap}"', '"/nowhere.pcap"'),)),
]


CSV = "tcptrace -n -l -r -W --csv {pcap}"
BLINDINGS += [
    *(blinding for blinding in of_capture("tcptrace") if blinding.how != SNAPLEN),
    Blinding("tcptrace", "the first connection only", (("-n -l", "-n -l -o1"),)),
    Blinding("tcptrace", "killed", ((CSV, f"kill -KILL $$; {CSV}"),)),
    Blinding("tcptrace", "not there", ((CSV, f"no-such-{CSV}"),)),
    Blinding(
        "tcptrace",
        "its output elsewhere",
        ((">{out}/connections.csv &&", ">/dev/null; : >{out}/connections.csv;"),),
    ),
    Blinding(
        "tcptrace", "half its input", ((CSV, "head -c 4000 {pcap} >half; tcptrace -n -l -r -W --csv half"),)
    ),
    Blinding("tcptrace", "another form", ((CSV, "tcptrace -n -l -r -W {pcap}"),)),
    Blinding("tcptrace", "other columns", (("{zero_win_adv:", "{zero_windows:"),)),
]
# These tell nothing of a canary: what they are expected to report is what proves that they see.
BLINDINGS += [
    *(
        blinding for blinding in of_capture("tcpdump") if blinding.how != "snaplen 64"
    ),  # of headers it sees enough
    *of_command("tcpdump", "tcpdump -n -tt", "{filter}"),
    Blinding("tcpdump", "a filter of its own", options="filter: tcp port 9"),
    Blinding("tcpdump", "half its input", (("-r {pcap}", "-r - < {pcap} | head -c 200"),)),
    Blinding(
        "tcpdump", "another file", (("tcpdump -n", "true {pcap}; tcpdump -n"), ("-r {pcap}", "-r /dev/null"))
    ),
    Blinding("tcpdump", "lines of another form", (("-n -tt", "-n -t"),)),
]


def of_counters(monitor: str, command: str, last: str) -> list[Blinding]:
    """Ways that hit whoever asks a host; `last` ends the command."""
    return [
        Blinding(monitor, "killed", ((command, f"kill -KILL $$; {command}"),)),
        Blinding(monitor, "not there", ((command, f"no-such-{command}"),)),
        Blinding(monitor, "its output elsewhere", ((last, f"{last} >/dev/null"),)),
        Blinding(monitor, "its output cut", ((last, f"{last} | head -c 40"),)),
        Blinding(monitor, "hanging", ((command, f"sleep 60; {command}"),)),
        Blinding(
            monitor, "refused by the kernel", ((command, f"exec 2>&1; echo denied; exit 1; {command}"),)
        ),
        Blinding(monitor, "in the wrong namespace", ((command, f"unshare -n {command}"),)),
    ]


BLINDINGS += [
    *of_counters("nstat", "nstat -a", "-s -z -j"),
    Blinding("nstat", "another counter", (("TcpRetransSegs: ", "TcpExtTCPMD5Failure: "),)),
    Blinding("nstat", "a threshold too high", (('TcpRetransSegs: "> 0"', 'TcpRetransSegs: "> 1000"'),)),
    Blinding("nstat", "another format", (("-s -z -j", "-s -z"),)),
    *of_counters("ss", "ss -t", "-n -H -O"),
    Blinding("ss", "listening sockets only", (("ss -t -i", "ss -l -t -i"),)),
    Blinding("ss", "the other protocol", (("ss -t -i", "ss -u -i"),)),
    Blinding("ss", "a filter of its own", (("-n -H -O", "-n -H -O sport = :9"),)),
    Blinding("ss", "without the facts", (("ss -t -i", "ss -t"),)),
    Blinding("ss", "another pattern", (("(?P<state>", "never (?P<state>"),)),
    *of_counters("nftables", "nft -j", "list ruleset"),
    Blinding("nftables", "rules of nobody", rules="table inet nobody {}"),
    Blinding("nftables", "never set up", (("setup: nft -f {rules}", "setup: 'true {rules}'"),)),
    Blinding("nftables", "another table asked", (("list ruleset", "list table inet nobody"),)),
    Blinding("nftables", "rules taken back", (("ask: nft", "ask: nft flush ruleset; nft"),)),
]
AT_ONCE = [  # what takes its time to start
    Blinding("bpftrace", "killed", (("tracer=$!;", "tracer=$!; kill -KILL $tracer;"),)),
    Blinding("bpftrace", "not there", (('bpftrace -c "', 'no-such-bpftrace -c "'),)),
    Blinding("bpftrace", "its output elsewhere", (("> lines &", "> others &"),)),
    Blinding(
        "bpftrace", "its output cut", (("awk -f told.awk lines;", "awk -f told.awk lines | head -n 1;"),)
    ),
    Blinding("bpftrace", "no tracefs", (("'mount -t tracefs nodev /sys/kernel/tracing ||", "'true ||"),)),
    Blinding(
        "bpftrace",
        "one of its probes left out",
        (("tracepoint:tcp:tcp_receive_reset / ", "tracepoint:tcp:tcp_receive_reset / args->sport == 9 && "),),
    ),
    Blinding("bpftrace", "other words", (('@seen[nsecs, "reset"', '@seen[nsecs, "rst"'),)),
    Blinding("bpftrace", "another namespace", (("$(stat -Lc %i /proc/self/ns/net)", "4026531840"),)),
    Blinding("bpftrace", "lines of another form", (("(?P<what>\\S+) state=", "(?P<what>\\S+) in="),)),
    Blinding("bpftrace", "ended early", (("exec sleep infinity", "exit 0"),)),
    Blinding(
        "bpftrace",
        "a late start",
        (('bpftrace -c "/bin/sh attached.sh"', ": > attached; sleep 60; bpftrace"),),
    ),
    Blinding("bpftrace", "a map with room for one", (("KEYS_MAX=65536", "KEYS_MAX=1"),)),
    Blinding("prometheus", "killed", (("exec prometheus --", "exec timeout -s KILL 5.5 prometheus --"),)),
    Blinding("prometheus", "not there", (("exec prometheus --", "exec no-such-prometheus --"),)),
    Blinding("prometheus", "an empty ruleset", rules="groups: []\n"),
    Blinding("prometheus", "thresholds too high", rules="> 0|> 1000"),
    Blinding("prometheus", "rules about another counter", rules="TcpExt_TCPSynRetrans|TcpExt_SynRetrans"),
    Blinding("prometheus", "names that do not fit", (("  reset: TcpResetsSent", "  reset: TcpResets"),)),
    Blinding("prometheus", "another target", (("127.0.0.1:9100", "127.0.0.1:9101"),)),
    Blinding("prometheus", "no counters told", (("--collector.netstat ${", "--collector.loadavg ${"),)),
    Blinding("prometheus", "counters left out", options="fields: '^TcpExt_.*'"),
    Blinding(
        "prometheus", "in the wrong namespace", (("exec prometheus-node", "exec unshare -n prometheus-node"),)
    ),
    Blinding("prometheus", "never scraped", (("scrape_interval: 100ms", "scrape_interval: 10m"),)),
    Blinding(
        "prometheus",
        "its rules never evaluated",
        (("evaluation_interval: 100ms", "evaluation_interval: 10m"),),
    ),
    Blinding(
        "prometheus",
        "another port asked",
        (("json http://127.0.0.1:9090 '(", "json http://127.0.0.1:9091 '("),),
    ),
]
EXPECTED = {
    "tcpdump": "{match: 2}",
    "nstat": "{retransmission: 1..}",
    "ss": "{retransmission: 1..}",
    "nftables": "{syn: 1}",
}
OPTIONS = {"tcpdump": "filter: 'tcp[tcpflags] & tcp-syn != 0'"}


def described(blinding: Blinding, folder: Path) -> str:
    """The shipped description, changed, in a file beside the scenario."""
    text = (SHIPPED / f"{blinding.of}.yaml").read_text()
    for old, new in blinding.change:
        assert old in text, f"{old} is not in {blinding.of}.yaml"
        text = text.replace(old, new)
    if blinding.of == "nftables":
        (folder / "nftables.nft").write_text(blinding.rules or (SHIPPED / "nftables.nft").read_text())
    if blinding.of == "prometheus":
        text = text.replace("timeout: 60s", "timeout: 20s")
        rules = (SHIPPED / "prometheus.yml").read_text()
        old, _, new = blinding.rules.partition("|")
        (folder / "prometheus.yml").write_text(rules.replace(old, new) if new else blinding.rules or rules)
    elif blinding.change:
        text += f"timeout: {'20s' if blinding.of == 'bpftrace' else PATIENCE}\n"
    name = f"{blinding.of}.yaml"
    (folder / name).write_text(text)
    return name


def scenario(blinding: Blinding, folder: Path) -> str:
    chosen = blinding.options or OPTIONS.get(blinding.of, "")
    options = f", with: {{{chosen}}}" if chosen else ""
    capture = f"capture: {{client: {{{blinding.capture}}}}}\n" if blinding.capture else ""
    use = f"monitors: {{it: {{file: {described(blinding, folder)}, at: client{options}}}}}\n"
    expect = blinding.expect or EXPECTED.get(blinding.of, "{}")
    faults = blinding.faults or (LOST if blinding.of in ("nstat", "ss") else "")
    return f"{faults}{capture}{use}expect: {{monitors: {{it: {{client: {expect}}}}}}}\n"


def needs(monitor: str) -> None:
    program = {"nftables": "nft", "tcpharness": "sh"}.get(monitor, monitor)
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.mark.parametrize("blinding", BLINDINGS, ids=lambda b: f"{b.of}: {b.how}")
def test_no_blinded_run_passes(blinding: Blinding, spawner: Spawner, tmp_path: Path) -> None:
    needs(blinding.of)
    result = played(spawner, tmp_path, scenario(blinding, tmp_path), PAUSED)
    assert result.verdict.outcome in ("void", "fail"), result.verdict
    assert verdict_of(result, "it").outcome in ("void", "fail")


SILENT = {"nstat": "{}", "ss": "{}", "nftables": "{syn: 0.., reset: 0}"}


@pytest.mark.parametrize(
    "blinding", [b for b in BLINDINGS if b.of in SILENT], ids=lambda b: f"{b.of}: {b.how}"
)
def test_no_blinded_silence_passes(blinding: Blinding, spawner: Spawner, tmp_path: Path) -> None:
    """Nothing happens, and nothing is expected: only a canary can tell."""
    needs(blinding.of)
    use = f"monitors: {{it: {{file: {described(blinding, tmp_path)}, at: client}}}}\n"
    silent = f"expect: {{monitors: {{it: {{client: {SILENT[blinding.of]}}}}}}}\n"
    assert played(spawner, tmp_path, use + silent, PAUSED).verdict.outcome == "void"


@pytest.mark.parametrize("monitor", SILENT)
def test_an_unblinded_silence_passes(monitor: str, spawner: Spawner, tmp_path: Path) -> None:
    needs(monitor)
    use = f"monitors: {{it: {{file: {described(Blinding(monitor, 'not at all'), tmp_path)}, at: client}}}}\n"
    silent = f"expect: {{monitors: {{it: {{client: {SILENT[monitor]}}}}}}}\n"
    verdict = played(spawner, tmp_path, use + silent, PAUSED).verdict
    assert verdict.outcome == "pass", verdict


@pytest.mark.parametrize("monitor", sorted({blinding.of for blinding in AT_ONCE}))
def test_no_blinded_one_of_these_passes_but_the_unblinded_does(
    monitor: str, spawner: Spawner, tmp_path: Path
) -> None:
    needs(monitor)
    several = [b for b in AT_ONCE if b.of == monitor] + [Blinding(monitor, "not at all")]
    texts = {}
    for blinding in several:
        (tmp_path / blinding.how).mkdir()
        texts[blinding.how] = scenario(blinding, tmp_path / blinding.how)
    outcomes = {how: r.verdict for how, r in played_at_once(spawner, tmp_path, texts, PAUSED).items()}
    seeing = outcomes.pop("not at all")
    assert seeing.outcome == "pass", seeing
    assert {how: v.outcome for how, v in outcomes.items() if v.outcome not in ("void", "fail")} == {}


@pytest.mark.parametrize("monitor", sorted({blinding.of for blinding in BLINDINGS}))
def test_an_unblinded_one_passes(monitor: str, spawner: Spawner, tmp_path: Path) -> None:
    """Without this the test above would prove nothing."""
    needs(monitor)
    result = played(spawner, tmp_path, scenario(Blinding(monitor, "not at all"), tmp_path), PAUSED)
    assert result.verdict.outcome == "pass", result.verdict
    assert verdict_of(result, "it").outcome == "pass"


@pytest.mark.parametrize("monitor", sorted({*shipped_names()} - {"zeek"}))  # which Debian does not have
def test_each_is_blinded_in_ten_ways(monitor: str) -> None:
    assert len({blinding.how for blinding in BLINDINGS + AT_ONCE if blinding.of == monitor}) >= 10
