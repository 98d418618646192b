"""Put the results of all benchmarks into docs/benchmarks.md, and those with an aim into the README.

python -m benchmarks.table [--check]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.common import RESULTS, ROOT
from retrieval_cache.files import atomic_file

README, PAGE = ROOT / "README.md", ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- benchmarks: begin (python -m benchmarks.table) -->", "<!-- benchmarks: end -->"

Result = Mapping[str, Any]


def main(arguments: list[str]) -> int:
    """Write both files, or with --check say whether they are as the results say; returns the exit code."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    wanted = {PAGE: page(results), README: with_summary(README.read_text(encoding="utf-8"), results)}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path} does not show the results. Mend: python -m benchmarks.table", file=sys.stderr)
        return int(bool(stale))
    for path in stale:
        with atomic_file(path) as file:
            file.write(wanted[path].encode("utf-8"))
    return 0


def page(results: Mapping[str, Result]) -> str:
    """All results, one section each."""
    origin = "Measured by `make bench`; written by `python -m benchmarks.table` from `benchmarks/results/`."
    return "\n".join(["# Benchmarks", "", origin, "", *(_section(name, result) for name, result in results.items())])


def with_summary(readme: str, results: Mapping[str, Result]) -> str:
    """The README with a table of the rows that have an aim; of single languages only what was missed."""
    lines = ["| | ours | beside it | ratio | aim |", "|---|---|---|---|---|"]
    for result in results.values():
        rows = [row for row in result["rows"] if row["wanted"] and not (_is_code(row["what"]) and row["met"])]
        if rows:
            lines.append(f"| **{result['title']}** | | | | |")
        lines += [f"| {row['what']} | {row['ours']} | {_beside(row)} | {row['ratio']} | {_aim(row)} |" for row in rows]
    machines = sorted({result["machine"] for result in results.values()})
    summary = "\n".join(lines) + f"\n\nMeasured on: {'; '.join(machines)}."
    head, _, rest = readme.partition(BEGIN)
    return f"{head}{BEGIN}\n{summary}\n{END}{rest.partition(END)[2]}"


def _section(name: str, result: Result) -> str:
    rows = result["rows"]
    columns = {"": lambda row: row["what"], "ours": lambda row: row["ours"]}
    if any(row["other_name"] for row in rows):
        columns |= {"beside it": _beside, "ratio": lambda row: row["ratio"]}
    if any(row["wanted"] for row in rows):
        columns |= {"aim": _aim}
    lines = [f"## {result['title']}", "", f"`python -m benchmarks.{name}`; {result['machine']}.", ""]
    lines += [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(cell(row) for cell in columns.values())} |" for row in rows]
    return "\n".join([*lines, *(f"\n{note}" for note in result["notes"]), ""])


def _beside(row: Result) -> str:
    return f"{row['other']} ({row['other_name']})" if row["other_name"] else ""


def _aim(row: Result) -> str:
    return f"{row['wanted']}{' (missed)' if row['met'] is False else ''}"


def _is_code(what: str) -> bool:
    return len(what) <= 3 and what.isalpha()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
