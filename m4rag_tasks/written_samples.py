"""The samples of writing tasks, as lmms-eval left them: texts by question, and who wrote them.

Files of several languages, and of several starts, are read as one as long as one model wrote
them for one task with one instruction. A text that took fewer tokens than it might have was not
cut off. One that took all of them was, unless it ends by a mark: models that count a whole batch
alike (Hugging Face's, which fill up shorter texts) say so of texts that had long ended. Where tokens
are not counted, the looks of a text decide (`written_text`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from m4rag_tasks import suite
from m4rag_tasks.context_checks import Text
from m4rag_tasks.errors import RunError, UnknownNameError
from m4rag_tasks.report.results_file import ModelIdentity, RunFacts, mapping, read_facts, task_config
from m4rag_tasks.written_text import ends_with_a_mark

RECORD_KEY = "written"
_SAMPLES_NAME = re.compile(r"(?P<date>.+?)_samples_(?P<task>.+)\.jsonl")
_WRITING = re.compile(r"m4rag_[a-z_]+_make_")
_SHOWN = 5


@dataclass(frozen=True)
class SamplesFile:
    """One samples file of a writing task, with what stands in the results file beside it.

    `limit` is the number of tokens that a text could have, `config` the harness's of the task,
    `fault` what is wrong with the results file.
    """

    path: Path
    task: suite.Task
    date: str
    facts: RunFacts
    config: Mapping[str, Any]
    fault: str | None = None

    @property
    def limit(self) -> int | None:
        """The most tokens that a text could have; None where it is not known."""
        limit = mapping(self.config.get("generation_kwargs")).get("max_new_tokens")
        return limit if isinstance(limit, int) else None

    @property
    def rows_digest(self) -> str | None:
        """Of the rows that were asked about (`datasets.rows_digest`); None where it was not noted."""
        return mapping(self.config.get("metadata")).get("rows")


@dataclass
class Written:
    """Everything that one model wrote for one writing task. `templates` and `quoted` as the records say."""

    files: list[SamplesFile]
    texts: dict[str, Text] = field(default_factory=dict)
    templates: set[str] = field(default_factory=set)
    quoted: dict[str, set[str]] = field(default_factory=dict)
    tokens_counted: int = 0

    @property
    def task(self) -> suite.Task:
        """Any of its leaves."""
        return self.files[0].task

    @property
    def model(self) -> ModelIdentity:
        """Who wrote the texts."""
        return self.files[0].facts.identity


def read_written(paths: Sequence[Path], model: str | None = None, revision: str | None = None) -> Written:
    """All texts in samples files, or below output folders, of one writing task.

    `model` and `revision` are said where the results file does not know them. Raises `RunError` if
    there are no texts, if they are of several models, tasks or instructions, if a line or a results
    file cannot be read, and if a question has two texts.
    """
    files = [file for path in paths for file in _files(path)]
    written = Written(_one_origin([_by_author(file, model, revision) for file in files], paths))
    for file in written.files:
        _read_file(file, written)
    if len(written.templates) > 1:
        raise RunError(
            f"The texts were asked for by {len(written.templates)} different versions of the instruction "
            f"{written.task.setting.name}.jinja. Import the files of one version only."
        )
    return written


# --- which files --------------------------------------------------------------


def _files(path: Path) -> Iterator[SamplesFile]:
    """The samples files of writing tasks at or below a path."""
    if not path.exists():
        raise RunError(f"{path} does not exist. Name samples files, or the folder given to lmms-eval as --output_path.")
    found = [path] if path.is_file() else sorted(path.rglob("*_samples_*.jsonl"))
    for file in found:
        match = _SAMPLES_NAME.fullmatch(file.name)
        task = _task(match["task"]) if match else None
        if match and task and task.setting.work == "write":
            results = file.with_name(f"{match['date']}_results.json")
            facts, fault = read_facts(results, file.parent.name)
            yield SamplesFile(file, task, match["date"], facts, task_config(results, task.name), fault)
        elif match and not task and _WRITING.match(match["task"]):
            raise RunError(
                f"{file}: there is no task {match['task']}. Of a language variety of your own, name the folder: "
                "--include_path"
            )
        elif path.is_file():
            raise RunError(f"{path} holds no samples of a writing task. They are listed by: m4rag tasks --work write")


def _by_author(file: SamplesFile, model: str | None, revision: str | None) -> SamplesFile:
    """The file with its model as it is said; who wrote a text is never guessed."""
    if file.fault and model is None:
        raise RunError(
            f"{file.path}: the results file that says which model wrote it ({file.date}_results.json) {file.fault}."
            " Put it there, or say it: --model NAME"
        )
    said = {"revision": revision} if revision else {}
    known = file.facts.identity
    arguments = tuple(sorted({**dict(known.arguments), **said}.items()))
    return replace(file, facts=replace(file.facts, identity=ModelIdentity(model or known.name, arguments)))


def _task(name: str) -> suite.Task | None:
    try:
        return suite.resolve(name)[0]
    except UnknownNameError:
        return None


def _one_origin(files: list[SamplesFile], paths: Sequence[Path]) -> list[SamplesFile]:
    """The files, each once, if all are of one model and writing task."""
    distinct = list({file.path.resolve(): file for file in files}.values())
    if not distinct:
        raise RunError(
            f"There are no samples of a writing task in {', '.join(map(str, paths))}. Run one with --log_samples; they"
            " are listed by: m4rag tasks --work write"
        )
    families = _by(distinct, lambda file: f"{file.task.dataset.key} {file.task.setting.makes}")
    if len(families) > 1:
        raise RunError(f"These samples are of {len(families)} context sets: {_told(families)}. Import one at a time.")
    models = _by(
        distinct, lambda file: f"{file.facts.identity.name} {dict(file.facts.identity.arguments) or ''}".strip()
    )
    if len(models) > 1:
        raise RunError(f"These samples are by {len(models)} models: {_told(models)}. A context set has one author.")
    return sorted(distinct, key=lambda file: (file.task.name, file.date))


def _by(files: Iterable[SamplesFile], name: Any) -> dict[str, SamplesFile]:
    return {name(file): file for file in files}


def _told(groups: Mapping[str, SamplesFile]) -> str:
    return "; ".join(f"{name} (e.g. {file.path.name})" for name, file in groups.items())


# --- their lines --------------------------------------------------------------


def _read_file(file: SamplesFile, written: Written) -> None:
    twice = []
    for where, sample in _samples(file.path):
        record = sample.get(RECORD_KEY)
        if not isinstance(record, dict) or not isinstance(record.get("question_id"), str):
            raise RunError(f"{where}: no record of a written text. Run that task again.")
        text = _text(record, sample, file, where)
        if text.question_id in written.texts:
            twice.append(f"{text.question_id} ({written.texts[text.question_id].where} and {where})")
        written.texts[text.question_id] = text
        written.tokens_counted += _tokens(sample) is not None
        if "template" in record:
            written.templates.add(str(record["template"]))
        for kind, name in mapping(record.get("contexts")).items():
            written.quoted.setdefault(kind, set()).add(str(name))
    if twice:
        more = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
        raise RunError(
            f"{len(twice)} questions have two texts: {', '.join(twice[:_SHOWN])}{more}. "
            "Name the files that count, one for each language."
        )


def _samples(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path.name}:{number}"
            try:
                sample = json.loads(line)
            except (ValueError, RecursionError) as error:
                cut = "" if line.endswith(b"\n") else ": it is cut off, the run was stopped while it was written"
                raise RunError(f"{where} is no JSON{cut}. Run that task again.") from error
            if not isinstance(sample, dict):
                raise RunError(f"{where} is no JSON object. Run that task again.")
            yield where, sample


def _text(record: Mapping[str, Any], sample: Mapping[str, Any], file: SamplesFile, where: str) -> Text:
    finish, tokens = str(record.get("finish", "failed")), _tokens(sample)
    # Half of a character, as JSON can say it, could not be written to any file.
    text = str(record.get("text") or "").encode("utf-8", "replace").decode("utf-8")
    if text and finish in ("ended", "cut_off") and tokens is not None and file.limit is not None:
        marked = file.task.setting.makes != "queries" and ends_with_a_mark(text)
        finish = "cut_off" if tokens >= file.limit and not marked else "ended"
    written_in = str(record.get("written_in", file.task.language.code))
    try:
        suite.language(written_in)
    except UnknownNameError as error:
        raise RunError(
            f"{where}: there is no language {written_in!r}. Check that this file is as the harness wrote it."
        ) from error
    return Text(record["question_id"], text, finish, written_in, where, blank=record.get("image") == "blank")


def _tokens(sample: Mapping[str, Any]) -> int | None:
    """How many tokens the model counted in its answer; None where it did not say."""
    counts = sample.get("token_counts")
    first = counts[0] if isinstance(counts, list) and counts else None
    tokens = first.get("output_tokens") if isinstance(first, dict) else None
    return tokens if isinstance(tokens, int) and tokens > 0 else None
