"""Cases asked for by JSON lines, answered by JSON lines: how the pytest plugin plays scenarios.

    {"id": 1, "file": "scenarios/x.yaml", "case": "scenarios/x.yaml[ip=4]"}
    {"id": 2, "file": "inline", "text": "scenario: ..."}
 -> {"id": 1, "outcome": "pass", "text": "", "duration": 0.12, "result": {...}}

Many at once in one loop. Ends at the end of its input.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from tcpharness.lab.spawner import Spawner
from tcpharness.report.as_json import result_as_json
from tcpharness.report.terminal import failure_text
from tcpharness.run import Options, Runner
from tcpharness.scenario.load import ScenarioErrors
from tcpharness.scenario.model import Case
from tcpharness.scenario_file import load_whole

LINE_MAX = 4 << 20


def serve(requests: BinaryIO, answers: TextIO) -> int:
    """Until end of file; 0."""
    spawner = Spawner.start()
    try:
        asyncio.run(_serve(requests, answers, spawner))
    finally:
        spawner.close()
    return 0


async def _serve(requests: BinaryIO, answers: TextIO, spawner: Spawner) -> None:
    reader = asyncio.StreamReader(limit=LINE_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), requests)
    writer = await open_writer(answers)
    async with Runner(Options(), spawner) as runner, asyncio.TaskGroup() as group:
        while line := await reader.readline():
            group.create_task(answer(json.loads(line), runner, writer))
    await writer.drain()


async def open_writer(answers: TextIO) -> asyncio.StreamWriter:
    """Never blocks the loop: whoever asked may read its answers when it likes."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, answers)
    transport.set_write_buffer_limits(high=0)  # so that the last drain waits until all is written
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def answer(request: dict[str, Any], runner: Runner, writer: asyncio.StreamWriter) -> None:
    """Plays one request and writes its answer."""
    try:
        reply = await play(request, runner)
    except (ScenarioErrors, OSError, LookupError) as error:
        reply = {"outcome": "error", "text": str(error), "duration": 0.0}
    writer.write(json.dumps({"id": request["id"], **reply}).encode() + b"\n")


async def play(request: dict[str, Any], runner: Runner) -> dict[str, Any]:
    result = await runner.play(find_case(request))
    return {
        "outcome": result.verdict.outcome,
        "text": failure_text(result),
        "duration": result.duration_ns / 1e9,
        "result": result_as_json(result),
    }


def find_case(request: dict[str, Any]) -> Case:
    """The case that is meant. Raises ScenarioErrors, OSError, or LookupError for an unknown id."""
    text = request["text"] if "text" in request else Path(request["file"]).read_bytes()
    cases = load_whole(text, request["file"])
    wanted = request.get("case")
    for case in cases:
        if wanted is None or case.id == wanted:
            return case
    raise LookupError(f"{request['file']} has no case {wanted}; it has {', '.join(c.id for c in cases)}")
