"""`tcpharness analyze --serve SOCKET`: one process for many captures, each asked for by a line.

    {"capture": "client.pcap", "findings": "client.jsonl"}
 -> {"did": "client.pcap"}

Whoever connects first is served until it goes. A capture that can't be read ends it, and what it says of
that goes to standard error.
"""

from __future__ import annotations

import argparse
import gc
import json
import socket
import sys
from pathlib import Path

from tcpharness.analysis.capture import Options
from tcpharness.analyze import OK, USAGE, options_for, read
from tcpharness.report.findings import Shown, View, as_json_lines


def serve_captures(args: argparse.Namespace) -> int:
    """Until the other side closes; the exit status. Raises OSError where the socket can't be made."""
    view, options = View(args.level or "info"), options_for(args)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.bind(str(args.serve))
        waiting.listen(1)
        connection, _ = waiting.accept()
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        for line in stream:
            problem = answer(line, args.filter, view, options)
            if problem:
                print(f"tcpharness: {problem}", file=sys.stderr)
                return USAGE
            stream.write(json.dumps({"did": json.loads(line)["capture"]}) + "\n")
            stream.flush()
            gc.collect()
    return OK


def answer(line: str, expression: str, view: View, options: Options) -> str:
    """Writes the findings of one capture; why it could not, or ""."""
    try:
        asked = json.loads(line)
        capture, target = Path(asked["capture"]), Path(asked["findings"])
    except (ValueError, TypeError, KeyError):
        return f'{line.strip()!r} is no question; expected {{"capture": FILE, "findings": FILE}}'
    report = read(capture, expression, options)
    if isinstance(report, str):
        return f"{capture}: {report}"
    if report.problems:
        return f"{capture}: {report.problems[0]}"
    target.write_text("".join(f"{line}\n" for line in as_json_lines(str(capture), Shown(report, view))))
    return ""
