"""What a socket shows, the tracepoints and the settings that a run reads: what `explain` says of them.

Made of the language's own tables, so that neither can lack what the other has.
"""

from __future__ import annotations

from tcpharness.report.term import Term
from tcpharness.scenario.setting_words import SETTINGS
from tcpharness.scenario.socket_fields import FIELDS
from tcpharness.scenario.trace_keys import ABOUT

UNITS = {
    "count": "A count.",
    "size": "In bytes.",
    "time": "A time; the result has microseconds.",
    "rate": "In bits per second; the result has bytes.",
}

SOCKET_VALUES = tuple(
    Term(
        each.name,
        "value of a socket",
        f"{each.about} {UNITS[each.unit]}",
        f"expect: {{sockets: {{client: {{{each.name}: ...}}}}}}; the result has it as a time series.",
        f"struct tcp_info, tcpi_{each.source}" if each.source else "inet_diag",
        ((each.source,) if each.source not in ("", each.name) else ()),
    )
    for each in FIELDS
)
TRACEPOINTS = tuple(
    Term(
        name,
        "tracepoint",
        about,
        f"expect: {{tracepoints: {{client: {{{name}: ...}}}}}}",
        "tracefs, docs/witnesses.md",
    )
    for name, about in ABOUT.items()
)
SETTING_WORDS = tuple(
    Term(
        name,
        "setting",
        f"{words[0].upper()}{words[1:]}.",
        "tcpharness doctor --host shows this machine's.",
        "ip-sysctl.rst",
        (name.rpartition(".")[2],),
    )
    for name, words in SETTINGS.items()
)
