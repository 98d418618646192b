"""`m4rag context import`: what a model wrote becomes a context set, if it passes the checks.

A set and its manifest are written whole or not at all, and never changed: what records name
must stay what it was. The manifest has no clock of its own, so the same samples give the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from m4rag_tasks import context_sets, datasets, rows, text_language
from m4rag_tasks.cells import cell_of
from m4rag_tasks.context_checks import CHECKS, Expected, Finding, as_json, findings, shares
from m4rag_tasks.context_sets import ContextSet
from m4rag_tasks.errors import ContextError
from m4rag_tasks.report.results_file import shortened
from m4rag_tasks.suite import Dataset, Task, language, select
from m4rag_tasks.written_samples import Written
from retrieval_cache.files import atomic_file, write_json


@dataclass(frozen=True)
class Looked:
    """Samples that were looked at: what they should hold, and everything that is wrong with them."""

    written: Written
    expected: tuple[Expected, ...]
    findings: tuple[Finding, ...]

    def refused(self, limits: Mapping[str, int | float]) -> dict[str, tuple[int, int | float]]:
        """The checks that found more than is accepted: how many, and the limit.

        A limit is a number (int) or a share of all questions (float below 1); 0 where none is given.
        """
        found = shares(self.findings)
        allowed = {check: limits.get(check, 0) for check in CHECKS}
        most = {
            check: limit * len(self.expected) if isinstance(limit, float) else limit for check, limit in allowed.items()
        }
        return {check: (found[check], allowed[check]) for check in CHECKS if found[check] > most[check]}


def look(written: Written) -> Looked:
    """Check every text against the rows of its data set.

    Raises `ContextError` for ids that it has no question of, and if its rows are others than those that were asked.
    """
    task = written.task
    _refuse_other_rows(written)
    own = select(task.dataset.key, task.setting.name)
    outside = [file.task for file in written.files if file.task not in own]
    expected = expected_questions([*own, *outside])
    unknown = written.texts.keys() - {asked.question_id for asked in expected}
    if unknown:
        raise ContextError(
            f"{len(unknown)} texts are for no question of {task.dataset.title}, e.g. {min(unknown)}"
            f" ({written.texts[min(unknown)].where}). Import them where the data set is the one that was run."
        )
    shown = tqdm(expected, desc="checking", unit="text", delay=2, disable=None)
    return Looked(written, expected, tuple(findings(task.setting.makes, shown, written.texts)))


def _refuse_other_rows(written: Written) -> None:
    """Texts about other questions than those of today would pass every check of single texts."""
    for file in written.files:
        rows_now = datasets.load_rows(file.task.dataset, file.task.language)
        if file.rows_digest not in (None, datasets.rows_digest(rows_now, file.task.dataset)):
            raise ContextError(
                f"{file.task.name} was run on other rows than those that are here now ({file.path.name}):"
                " questions or answers changed. Import the texts where those rows are, or run it again."
            )


def expected_questions(tasks: Iterable[Task]) -> tuple[Expected, ...]:
    """Every question that a set of these leaves of a writing task has a text for."""
    found: dict[str, Expected] = {}
    for leaf in tasks:
        cell, dataset = cell_of(leaf), leaf.dataset
        for doc in datasets.without_images(datasets.load_rows(dataset, leaf.language)):
            question = cell.row(doc)
            name = cell.record_id(doc)
            found[name] = Expected(name, question.language, question.question, _golds(dataset, doc, question))
    return tuple(found.values())


def _golds(dataset: Dataset, doc: rows.Doc, question: rows.Row) -> tuple[str, ...]:
    """The right option in the wordings of the question, and in English."""
    if dataset.asks_in_english:
        wordings = [doc.get(name) for name in rows.layout(dataset).options.values()]
        golds = [options[question.gold - 1] for options in wordings if options and len(options) >= question.gold]
    else:
        english = datasets.answers_in_all_languages(dataset, question.qa_id).get("en")
        golds = [question.answer, english or question.answer]
    return tuple(dict.fromkeys(golds))


def store(looked: Looked, name: str | None) -> ContextSet:
    """Write the set and its manifest; findings of the manifest are those that were accepted.

    Raises `ContextError` if there is another set of this name, `CacheError` if it cannot be written.
    """
    task = looked.written.task
    kept = context_sets.named(task.dataset, task.setting.makes, name or _name(looked.written))
    missing = {finding.question_id for finding in looked.findings if finding.check == "missing"}
    texts = [asked for asked in looked.expected if asked.question_id not in missing]
    lines = "".join(_line(asked.question_id, looked.written.texts[asked.question_id].text) for asked in texts)
    content = lines.encode()
    made = _manifest(looked, kept, content, texts)
    if kept.manifest_path.is_file() and kept.manifest() != made:
        raise ContextError(
            f"There is another context set {kept.title} at {kept.path}. Sets are never changed, because records name"
            " them: choose another --name."
        )
    with atomic_file(kept.path) as file:
        file.write(content)
    write_json(kept.manifest_path, made)
    return kept


def _line(question_id: str, text: str) -> str:
    return json.dumps({"question_id": question_id, "text": text}, ensure_ascii=False) + "\n"


def _name(written: Written) -> str:
    """The model's name, as a set can be called."""
    name = re.sub(r"[^a-z0-9._-]+", "-", written.model.name.rpartition("/")[2].lower()).strip("-._")
    return name[:100] or "unnamed"


def _manifest(looked: Looked, kept: ContextSet, content: bytes, texts: Sequence[Expected]) -> dict[str, Any]:
    written = looked.written
    task, arguments = written.task, {key: shortened(value) for key, value in written.model.arguments}
    codes = sorted({text.written_in for text in written.texts.values()})
    return {
        "format": context_sets.FORMAT,
        "set": kept.title,
        "dataset": task.dataset.key,
        "kind": kept.kind,
        "name": kept.name,
        "task": task.setting.name,
        "model": {"name": written.model.name, "revision": arguments.get("revision"), "arguments": arguments},
        "template": next(iter(written.templates), None),
        "generation": written.files[0].config.get("generation_kwargs"),
        "contexts": {kind: sorted(names) for kind, names in sorted(written.quoted.items())},
        "runs": sorted({file.date for file in written.files}),
        "rows": {file.task.name: file.rows_digest for file in written.files},
        "versions": {
            "lmms-eval": sorted({file.facts.version for file in written.files}),
            "m4rag-tasks": importlib.metadata.version("m4rag-tasks"),
            text_language.LIBRARY: importlib.metadata.version(text_language.LIBRARY),
        },
        "questions": len(looked.expected),
        "texts": len(texts),
        "languages": _counts(texts),
        "checked": {
            "language": {code: text_language.how_checked(language(code)) for code in codes},
            "cut-off": {"by tokens": written.tokens_counted, "by looks": len(written.texts) - written.tokens_counted},
        },
        "accepted": as_json(looked.findings),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }


def _counts(texts: Sequence[Expected]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for asked in texts:
        counts[asked.language] = counts.get(asked.language, 0) + 1
    return counts
