"""One table, held as values: shown on the page, in Markdown, as CSV and as JSON. Pure.

A cell is a text, a number, nothing (None), or an `Estimate`, which is a value with its
interval. How a number is read is the column's `kind`:

    text     as it is
    quote    a text in the language of the row's question
    count    a whole number
    percent  a share from 0 to 1, shown in %
    points   a difference of shares from -1 to 1, shown in signed percentage points
    p        a p value
    number   any other number, three significant digits
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from m4rag_tasks.metrics import Estimate

Value = Estimate | float | int | str | None
NUMERIC = ("count", "percent", "points", "p", "number")

_MINUS = "−"
_NOTHING = "–"
_SMALLEST_P = 0.001
# A spreadsheet takes a text that starts so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Column:
    """`key` is the head in CSV and JSON, `title` the head for people."""

    key: str
    title: str
    kind: str = "text"
    interval: bool = False
    """Whether cells are estimates: CSV then has the interval's ends and the number of questions too."""
    hidden: bool = False
    """Whether it is in CSV and JSON alone: what is the same in every row, or is said by another column."""


@dataclass(frozen=True)
class Row:
    """The cells in the order of the columns; `language` is the variety it is about, "" for none.

    `worded_in` is the language of its quotes.
    """

    cells: tuple[Value, ...]
    language: str = ""
    worded_in: str = ""


@dataclass(frozen=True)
class DataTable:
    """`key` names its CSV file. The page shows the first `most` rows, if that is said; `more` is a remark below."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    more: str = ""
    most: int | None = None

    @property
    def cut(self) -> DataTable:
        """The table as the page has it."""
        return replace(self, rows=self.rows[: self.most])

    @property
    def left_out(self) -> int:
        """How many rows only the CSV file has."""
        return len(self.rows) - len(self.cut.rows)

    @property
    def seen(self) -> tuple[tuple[int, Column], ...]:
        """The columns that people see, each with its place among all."""
        return tuple((place, column) for place, column in enumerate(self.columns) if not column.hidden)


def csv_text(table: DataTable) -> str:
    """The table as CSV, numbers unrounded and shares from 0 to 1; nothing is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([head for column in table.columns for head in _heads(column)])
    for row in table.rows:
        writer.writerow(
            [value for column, cell in zip(table.columns, row.cells, strict=True) for value in _flat(column, cell)]
        )
    return buffer.getvalue()


def as_json(table: DataTable) -> dict[str, object]:
    """The table as a list of objects, with the keys of the CSV's heads."""
    heads = [head for column in table.columns for head in _heads(column)]
    rows = (
        [value for column, cell in zip(table.columns, row.cells, strict=True) for value in _values(column, cell)]
        for row in table.rows
    )
    return {"title": table.title, "rows": [dict(zip(heads, row, strict=True)) for row in rows]}


def markdown(table: DataTable, most: int | None = None) -> str:
    """The table in GitHub's Markdown, of at most `most` rows; numbers as on the page."""
    heads = [_escaped(column.title) for _, column in table.seen]
    marks = ["---:" if column.kind in NUMERIC else "---" for _, column in table.seen]
    lines = [_line(heads), _line(marks)]
    for row in table.rows[:most]:
        lines.append(_line([_escaped(shown(column, row.cells[place])) for place, column in table.seen]))
    if most is not None and len(table.rows) > most:
        lines.append(f"\n{len(table.rows) - most:,} further rows: `tables/{table.key}.csv`.")
    return "\n".join(lines) + "\n"


def shown(column: Column, value: Value) -> str:
    """A cell as people read it, an estimate with its interval in square brackets."""
    if isinstance(value, Estimate):
        return " ".join(filter(None, (shown(column, value.value), interval(column, value))))
    if value is None:
        return _NOTHING
    if isinstance(value, str):
        return value
    return _SHOWN[column.kind](value)


def interval(column: Column, estimate: Estimate) -> str:
    """The interval in square brackets; "" where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{shown(column, estimate.low)}, {shown(column, estimate.high)}]"


def sort_key(value: Value) -> str:
    """What the page sorts a cell by; nothing comes last."""
    if isinstance(value, Estimate):
        value = value.value
    return "" if value is None else str(value)


def percent(value: float) -> str:
    """A share in %, one decimal."""
    return f"{value * 100:.1f}"


def points(value: float) -> str:
    """Signed, in percentage points, with a real minus sign."""
    text = f"{abs(value) * 100:.1f}"
    if float(text) == 0:
        return "±0.0"
    return f"+{text}" if value > 0 else f"{_MINUS}{text}"


def p_value(value: float | None) -> str:
    """Three decimals; what is smaller is said to be smaller."""
    if value is None:
        return _NOTHING
    return f"< {_SMALLEST_P}" if value < _SMALLEST_P else f"{value:.3f}"


def number(value: float) -> str:
    """Three significant digits, whole numbers with separators."""
    text = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return text.replace("-", _MINUS)


_SHOWN = {
    "text": str,
    "quote": str,
    "count": lambda value: f"{value:,}",
    "percent": percent,
    "points": points,
    "p": p_value,
    "number": number,
}


def _heads(column: Column) -> Iterator[str]:
    yield column.key
    if column.interval:
        yield from (f"{column.key}_low", f"{column.key}_high", f"{column.key}_n")


def _flat(column: Column, value: Value) -> Iterator[object]:
    for one in _values(column, value):
        yield f"'{one}" if isinstance(one, str) and one.startswith(_FORMULA) else one


def _values(column: Column, value: Value) -> Iterator[object]:
    if isinstance(value, Estimate):
        yield value.value
        if column.interval:
            yield from (value.low, value.high, value.n)
        return
    yield value
    if column.interval:
        yield from (None, None, None)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """A text that can stand in a cell of a Markdown table and makes no markup."""
    text = " ".join(text.split())
    return re.sub(r"([\\`*_<>|~$])", r"\\\1", text)
