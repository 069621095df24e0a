"""What every benchmark prints and writes: one row a measure, the same in the table and in JSON."""

import math
import sys
from pathlib import Path
from typing import TextIO

import msgspec

OUT = Path(__file__).parent / "out"
HEAD = ("id", "figure", "unit", "peer", "bar", "holds")


class Row(msgspec.Struct, frozen=True):
    """One measure. `peer` is what the other side reached in the same run, `bar` what we promise.

    `holds` is None for a row without a bar: it informs and never fails a run. A word in place of a
    figure says why there is none; with a bar such a row fails the run.
    """

    id: str
    figure: float | str
    unit: str
    peer: float | str | None = None
    bar: float | str | None = None
    holds: bool | None = None


def at_least(
    name: str, figure: float, unit: str, *, bar: float, peer: float | str | None = None
) -> Row:
    """Row of a measure that must reach `bar`."""
    return Row(name, figure, unit, peer, f">= {_cell(bar)}", figure >= bar)


def at_most(
    name: str, figure: float, unit: str, *, bar: float, peer: float | str | None = None
) -> Row:
    """Row of a measure that must not exceed `bar`."""
    return Row(name, figure, unit, peer, f"<= {_cell(bar)}", figure <= bar)


def keeps_up(name: str, figure: float, unit: str, *, peer: float, times: float) -> Row:
    """Row of a measure that must reach `times` what the peer reached in the same run."""
    return Row(name, figure, unit, peer, f">= {times:g}x peer", figure >= times * peer)


def report(folder: str, rows: list[Row], to: TextIO | None = None) -> int:
    """Print the rows, write them to bench/out/FOLDER.json; 1 when a row with a bar does not hold.

    A run without rows is a failure too: a benchmark that measured nothing proves nothing.
    """
    table = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEAD))]
    for line in table:
        shown = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(shown.rstrip(), file=to or sys.stdout)
    OUT.mkdir(exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(rows), indent=2)
    (OUT / f"{folder}.json").write_bytes(encoded + b"\n")
    if not rows:
        return 1
    return int(any(row.bar is not None and not row.holds for row in rows))


def percentile(values: list[float], share: float) -> float:
    """Nearest-rank percentile: the smallest value that `share` (0..1) of the values do not pass."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(round(share * len(ordered), 6))) - 1]


def _cells(row: Row) -> tuple[str, ...]:
    holds = "" if row.holds is None else ("yes" if row.holds else "NO")
    return (row.id, _cell(row.figure), row.unit, _cell(row.peer), _cell(row.bar), holds)


def _cell(value: float | str | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
