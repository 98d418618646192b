"""Put the results of all benchmarks into the README, between its two markers.

python -m benchmarks.table [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, ROOT
from retrieval_cache.files import atomic_file

README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks: begin (python -m benchmarks.table) -->", "<!-- benchmarks: end -->"


def main(arguments: list[str]) -> int:
    """Write the table, or with --check say whether it is as the results say; returns the exit code."""
    before = README.read_text(encoding="utf-8")
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    after = f"{head}{BEGIN}\n{rendered()}\n{END}{tail}"
    if "--check" in arguments:
        if before != after:
            print("README.md does not show the results. Mend: python -m benchmarks.table", file=sys.stderr)
        return int(before != after)
    with atomic_file(README) as file:
        file.write(after.encode("utf-8"))
    return 0


def rendered() -> str:
    """All results as one Markdown text."""
    return "\n\n".join(_section(path) for path in sorted(RESULTS.glob("*.json")))


def _section(path: Path) -> str:
    result = json.loads(path.read_text(encoding="utf-8"))
    rows = result["rows"]
    wide = any(row["other_name"] for row in rows)
    aims = any(row["wanted"] for row in rows)
    names = ["", "ours", *(["beside it", "", "ratio"] if wide else []), *(["wanted"] if aims else [])]
    lines = [f"**{result['title']}** (`python -m benchmarks.{path.stem}`; {result['machine']})", ""]
    lines += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        beside = [row["other_name"], row["other"], row["ratio"]] if wide else []
        lines.append("| " + " | ".join([row["what"], row["ours"], *beside, *([_aim(row)] if aims else [])]) + " |")
    return "\n".join(lines + [f"\n{note}" for note in result["notes"]])


def _aim(row: dict[str, Any]) -> str:
    return f"{row['wanted']}{' (missed)' if row['met'] is False else ''}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
