"""What a monitor is, as data: how it is started, what it writes, and how a record of that becomes a finding.

A monitor reads a capture (`read`), or an interface of a host (`live`), or is asked on a host when the
traffic is over (`ask`). Nothing in here runs anything: that is the room monitor/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tcpharness.analysis.finding import Level
from tcpharness.scenario.place import Place

if TYPE_CHECKING:
    from tcpharness.scenario.model import Count

Format = Literal["jsonl", "json", "csv", "tsv", "keyvalue", "lines", "prometheus"]
How = Literal["present", "absent", "is", "not", "<", "<=", ">", ">=", "matches"]
Life = Literal["run", "session"]


@dataclass(frozen=True, slots=True)
class Command:
    """What is executed: a text for /bin/sh, or words without a shell; `{pcap}` and the like stand in it."""

    words: tuple[str, ...]
    shell: bool
    at: Place


@dataclass(frozen=True, slots=True)
class Ready:
    """How a live monitor says that it is: the first of these that is given."""

    output: str | None = None  # a regular expression, found in what it has written
    file: str | None = None  # which is there
    port: int | None = None  # which listens on its host
    command: Command | None = None  # which ends with status 0


@dataclass(frozen=True, slots=True)
class Beside:
    """Another program that a live monitor needs: started before it, on the same host."""

    run: Command
    ready: Ready


@dataclass(frozen=True, slots=True)
class Test:
    """One condition on a record; `value` is a number's text where `how` compares."""

    field: str
    how: How
    value: str = ""


@dataclass(frozen=True, slots=True)
class NameRule:
    """When a record is a finding of this name: its own name is one of `own`, or a group of tests holds."""

    name: str
    own: tuple[str, ...] = ()
    when: tuple[tuple[Test, ...], ...] = ()
    count: tuple[str, ...] = ()  # the fields that say how many; their sum
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Where a monitor's words lie, and in what form."""

    format: Format
    at: Place
    file: tuple[str, ...] = ()  # below {out}, globs; none: what it prints
    optional: bool = False  # a file that is not there is an empty one
    header: bool = True  # csv, tsv: the first line names the columns
    columns: tuple[str, ...] = ()  # csv, tsv: their names, when no line says them
    separator: str = ","
    many: str = ""  # what stands between several values of one field
    pattern: tuple[str, ...] = ()  # lines: regular expressions with named groups, tried in order
    records: str = ""  # json: the path to the list, or the mapping, of records
    only: tuple[Test, ...] = ()  # a record for which these don't hold is passed over
    unless: tuple[Test, ...] = ()  # one for which all these hold is, too
    ignore: str = ""  # a line that this regular expression finds is none of the records


@dataclass(frozen=True, slots=True)
class FieldPaths:
    """Where the parts of a finding stand in a record: for each, the first path that is there counts."""

    name: tuple[str, ...] = ()  # the first is its name; by the others it is known as well
    time: tuple[str, ...] = ()
    unit_ns: int = 1_000_000_000  # of a time that is a number
    src: tuple[str, ...] = ()
    sport: tuple[str, ...] = ()
    dst: tuple[str, ...] = ()
    dport: tuple[str, ...] = ()
    frame: tuple[str, ...] = ()
    count: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """What a scenario may set: `{name}` stands for it in commands and files."""

    default: str
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """How one process that lives for the whole session is given captures.

    By its standard input, one capture after another as one pcap file, `mark` being the test by which the
    record of the frame that ends each of them is known; or by words over a Unix socket.
    """

    pipe: bool
    mark: tuple[Test, ...] = ()
    socket: str = ""
    hello: str = ""
    send: str = ""
    done: tuple[str, ...] = ()  # asked until each answer has `idle`
    idle: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """A monitor."""

    name: str
    at: Place
    output: Output
    about: str = ""
    program: str = ""  # that must be installed
    package: str = ""  # Debian's, that brings it
    version: Command | None = None
    needs: Command | None = None  # ends with 0 where this machine can run it
    setup: Command | None = None  # live, ask: run on the host before that
    read: Command | None = None
    live: Command | None = None
    ask: Command | None = None
    feed: Feed | None = None
    per: Life = "run"
    ready: Ready | None = None
    beside: tuple[Beside, ...] = ()
    settled: Command | None = None  # ends with 0 when all that has passed is taken in
    every_ns: int = 0  # ask: again and again during the traffic
    signal: str = "TERM"  # that ends a live one
    status: tuple[int, ...] = (0,)  # with which it may exit
    timeout_ns: int = 30_000_000_000
    most_bytes: int = 16 << 20
    root: bool = False
    files: tuple[tuple[str, str], ...] = ()  # written into {out} before it starts: name -> text
    options: dict[str, Option] = field(default_factory=dict)
    fields: FieldPaths = FieldPaths()
    names: tuple[NameRule, ...] = ()
    level: Level = "warning"  # of what has none
    levels: dict[str, Level] = field(default_factory=dict)  # its words for levels
    sees: Literal["", "frames", "kernel"] = (
        ""  # live: which canary it must report; none: nothing vouches for it
    )
    unproven: tuple[str, ...] = ()  # names that the canary does not bring out of it

    @property
    def asks_kernel(self) -> bool:
        """True where real sockets of the host are its canary."""
        return self.sees == "kernel"

    def tells_canary(self) -> bool:
        """True when what it says of the canary can be told from what it says of the scenario."""
        return bool(self.fields.src or (self.read is not None and self.fields.frame))


# --- in a scenario


@dataclass(frozen=True, slots=True)
class MonitorUse:
    """A monitor under test. `description` is None until the one that is kept elsewhere has been found."""

    name: str
    at: Place
    use: str = ""  # the name of a description that is kept elsewhere
    file: str = ""  # a file beside the scenario that holds it
    vantages: tuple[str, ...] = ()  # none: those of its expectations, or every capture
    options: tuple[tuple[str, str, Place], ...] = ()
    names: tuple[NameRule, ...] | None = None  # instead of those of the description that is kept elsewhere
    description: Description | None = None


@dataclass(frozen=True, slots=True)
class MonitorFindingExpect:
    """One line under `expect.monitors.<name>.<vantage>`."""

    name: str  # a detector's, or the monitor's own
    count: Count
    at: Place
    flow: str | None = None  # an endpoint: only what concerns its connections
    within_ns: int | None = None  # only what comes so soon after the fault
    of: str | None = None  # that fault; None with `within_ns`: the first one


@dataclass(frozen=True, slots=True)
class MonitorExpect:
    """What one monitor must say at one vantage, and nothing else of that level or above."""

    monitor: str
    vantage: str
    at: Place
    findings: tuple[MonitorFindingExpect, ...] = ()
    level: Level = "warning"
