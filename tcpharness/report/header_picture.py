"""Headers drawn in text, 32 bits a row, with one field boxed in `#`."""

from __future__ import annotations

from typing import NamedTuple

BITS = 32
RULER = (
    " 0                   1                   2                   3",
    " " + " ".join(str(bit % 10) for bit in range(BITS)),
)


class Cell(NamedTuple):
    """A field: its name as `explain` knows it, its width in bits, what is written (its name when "")."""

    name: str
    bits: int
    text: str = ""

    @property
    def shown(self) -> str:
        return self.text or self.name


class Row(NamedTuple):
    cells: tuple[Cell, ...]
    lines: int = 1  # of text


def row(*cells: tuple[str, int] | tuple[str, int, str], lines: int = 1) -> Row:
    return Row(tuple(Cell(*cell) for cell in cells), lines)


FLAG_CELLS = (
    ("AE", 1), ("CWR", 1), ("ECE", 1), ("URG", 1), ("ACK", 1), ("PSH", 1), ("RST", 1), ("SYN", 1), ("FIN", 1),
)  # fmt: skip
HEADERS: dict[str, tuple[Row, ...]] = {
    "TCP": (
        row(("sport", 16), ("dport", 16)),
        row(("seq", 32)),
        row(("ack", 32)),
        row(("offset", 4), ("reserved", 3, "res"), *FLAG_CELLS, ("win", 16), lines=3),
        row(("cksum", 16), ("urg", 16)),
        row(("options", 32, "options (0 to 40 bytes)")),
        row(("payload", 32)),
    ),
    "IPv4": (
        row(("version", 4), ("ihl", 4), ("dscp", 6), ("ecn", 2), ("ip_len", 16, "ip_len (total length)")),
        row(("id", 16), ("rsvd", 1, "R"), ("df", 1, "DF"), ("mf", 1, "MF"), ("frag_offset", 13), lines=2),
        row(("ttl", 8), ("proto", 8), ("ip_cksum", 16)),
        row(("src", 32)),
        row(("dst", 32)),
        row(("ip_options", 32, "ip_options (0 to 40 bytes)")),
    ),
    "IPv6": (
        row(("version", 4), ("dscp", 6), ("ecn", 2), ("flowlabel", 20)),
        row(("ip_len", 16, "ip_len (payload length)"), ("next-header", 8, "next header"), ("hlim", 8)),
        row(("src", 32, "src (128 bits)"), lines=3),
        row(("dst", 32, "dst (128 bits)"), lines=3),
        row(("extension", 32, "extension headers, then TCP")),
    ),
}
# A field of two cells is marked as both.
JOINED = {"tos": ("dscp", "ecn"), "flags": tuple(name for name, _ in FLAG_CELLS), "class": ("dscp", "ecn")}


def header_picture(header: str, name: str) -> str:
    """The header with that field boxed; KeyError when it has no such field."""
    wanted = JOINED.get(name, (name,))
    rows = HEADERS[header]
    if not any(cell.name in wanted for each in rows for cell in each.cells):
        raise KeyError(f"{header} has no field {name}")
    lines = list(RULER)
    ends: set[int] = {0, 2 * BITS}  # character columns at which cells of the row above begin or end
    above: set[int] = set()  # those of its marked cells
    for each in rows:
        marked, begins = marked_columns(each, wanted), {2 * start for _, start in placed(each)}
        lines += [border(ends | begins, above | marked), *text_lines(each, wanted)]
        ends, above = begins | {2 * BITS}, marked
    return "\n".join([*lines, border(ends, above)])


def marked_columns(each: Row, wanted: tuple[str, ...]) -> set[int]:
    columns: set[int] = set()
    for cell, start in placed(each):
        if cell.name in wanted:
            columns |= set(range(2 * start, 2 * (start + cell.bits) + 1))
    return columns


def placed(each: Row) -> list[tuple[Cell, int]]:
    """The cells and the bit at which each begins."""
    found, at = [], 0
    for cell in each.cells:
        found.append((cell, at))
        at += cell.bits
    return found


def border(corners: set[int], marked: set[int]) -> str:
    """The line between two rows: a + where a cell of either begins, # along what is marked."""
    return "".join("#" if i in marked else "+" if i in corners else "-" for i in range(2 * BITS + 1))


def text_lines(each: Row, wanted: tuple[str, ...]) -> list[str]:
    """The cells' texts; those narrower than their text run downwards."""
    marked = marked_columns(each, wanted)
    lines = []
    for number in range(each.lines):
        line = ""
        for cell, start in placed(each):
            line += ("#" if 2 * start in marked else "|") + part(cell, number, each.lines)
        lines.append(line + ("#" if 2 * BITS in marked else "|"))
    return lines


def part(cell: Cell, number: int, lines: int) -> str:
    """What one line of a row holds of a cell."""
    width = 2 * cell.bits - 1
    if len(cell.shown) > width:
        return (cell.shown[number] if number < len(cell.shown) else " ").center(width)
    return (cell.shown if number == (lines - 1) // 2 else "").center(width)


class Field(NamedTuple):
    """A part of an option: what it says and how many bytes it takes (0: some)."""

    text: str
    size: int


def option_picture(fields: tuple[Field, ...]) -> str:
    """An option's bytes in one line, the sizes beneath."""
    sizes = [f"{f.size} byte{'s' if f.size > 1 else ''}" if f.size else "the rest" for f in fields]
    widths = [max(len(f.text), len(size)) + 2 for f, size in zip(fields, sizes, strict=True)]
    edge = "+" + "+".join("-" * width for width in widths) + "+"
    texts = "|" + "|".join(f.text.center(w) for f, w in zip(fields, widths, strict=True)) + "|"
    below = " " + " ".join(size.center(w) for size, w in zip(sizes, widths, strict=True))
    return "\n".join([edge, texts, edge, below.rstrip()])
