"""Everything in the repository that is generated: the task YAMLs and the table of languages.

`check` is what differs from the grid and the templates, `write` makes it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from m4rag_tasks.languages_doc import languages_table
from m4rag_tasks.suite import TASKS_FOLDER
from m4rag_tasks.task_files import MARK, plan
from retrieval_cache.files import atomic_file

DOCS_FOLDER = Path(__file__).resolve().parents[1] / "docs"
"""In a checkout; an installed package has none, and nothing to keep up to date."""

LANGUAGES_PAGE = Path("languages.md")


@dataclass(frozen=True)
class Difference:
    """One generated file that is not as it should be: "changed", "missing" or "stale"."""

    kind: str
    path: Path


def check(tasks: Path = TASKS_FOLDER, docs: Path = DOCS_FOLDER) -> list[Difference]:
    """What `write` would change, sorted by path."""
    wanted = _wanted(tasks, docs)
    found = set(_generated_files(tasks))
    differences = [Difference("stale", path) for path in found - wanted.keys()]
    for path, text in wanted.items():
        if not path.is_file():
            differences.append(Difference("missing", path))
        elif path.read_text(encoding="utf-8") != text:
            differences.append(Difference("changed", path))
    return sorted(differences, key=lambda difference: difference.path)


def write(tasks: Path = TASKS_FOLDER, docs: Path = DOCS_FOLDER) -> list[Difference]:
    """Make the generated files as they should be; returns what was changed. Each is replaced atomically."""
    differences, wanted = check(tasks, docs), _wanted(tasks, docs)
    for difference in differences:
        path = difference.path
        if difference.kind == "stale":
            path.unlink()
            continue
        with atomic_file(path) as file:
            file.write(wanted[path].encode())
    return differences


def _wanted(tasks: Path, docs: Path) -> Mapping[Path, str]:
    files = {tasks / path: text for path, text in plan().items()}
    return {**files, docs / LANGUAGES_PAGE: languages_table()} if docs.is_dir() else files


def _generated_files(folder: Path) -> Iterable[Path]:
    """Files that carry our mark, and stray YAMLs: the harness would take those for tasks."""
    for path in folder.rglob("*"):
        if path.is_file() and (path.suffix == ".yaml" or path.read_bytes().startswith(MARK.encode())):
            yield path
