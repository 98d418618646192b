"""`m4rag_replay`: answers from a file of stored responses.

Any published run can so be scored through the same path as a live model:

    lmms-eval --model m4rag_replay --model_args responses=FILE --tasks m4rag_wc_norag …

The file is JSONL or Parquet with a question id (`question_id` or `ID`) and a text
(`response`, `prediction`, or `text` as in context sets) in each row. Ids are the same in every setting, so each
setting has a file and a run of its own; `name=Pangea-7B` says in each whose answers
they are, and the report puts runs of one name together.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import Instance

from m4rag_tasks import suite
from m4rag_tasks.cells import cell_of
from m4rag_tasks.errors import ResponsesError, UnknownNameError
from m4rag_tasks.hooks import stop
from m4rag_tasks.models.text_only import TextOnlyModel

ID_COLUMNS = ("question_id", "ID")
TEXT_COLUMNS = ("response", "prediction", "text")


class Replay(TextOnlyModel):
    """lmms-eval model `m4rag_replay`; `responses` is the path of the file, `name` whose answers they are."""

    @stop
    def __init__(self, responses: str | None = None, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not responses:
            raise ResponsesError("m4rag_replay needs a file of answers: --model_args responses=FILE")
        self.name = name
        self.path = Path(responses)
        self.responses = read_responses(self.path)

    @stop
    def generate_until(self, requests: list[Instance]) -> list[str]:
        """The stored answers; all missing ids are named before any is given out."""
        ids = [self._question_id(request) for request in requests]
        missing = [question_id for question_id in ids if question_id not in self.responses]
        if missing:
            raise ResponsesError(
                f"{self.path} has no answer to {len(missing)} of {len(ids)} questions, e.g. "
                f"{', '.join(missing[:3])}. A missing answer is not a wrong one: complete the file, "
                "or choose only the tasks it answers."
            )
        return [self.responses[question_id] for question_id in ids]

    def answer(self, request: Instance) -> str:
        """The stored answer to one request."""
        return self.responses[self._question_id(request)]

    def _question_id(self, request: Instance) -> str:
        doc_id, task, split = request.args[3:6]
        try:
            ours = self._ours(task)
        except UnknownNameError as error:
            raise ResponsesError(f"m4rag_replay answers m4rag tasks only, and {task!r} is none.") from error
        return cell_of(ours).record_id(self.task_dict[task][split][doc_id])

    @staticmethod
    @functools.cache
    def _ours(task: str) -> suite.Task:
        return suite.resolve(task)[0]


def read_responses(path: Path) -> dict[str, str]:
    """Answers by question id. Raises `ResponsesError` naming the file and line or row."""
    if not path.is_file():
        raise ResponsesError(f"There is no responses file {path}.")
    responses: dict[str, str] = {}
    for where, entry in _entries(path):
        question_id = _first(entry, ID_COLUMNS, where)
        if question_id in responses:
            raise ResponsesError(f"{where}: question {question_id!r} is answered twice. Keep one answer.")
        responses[question_id] = _first(entry, TEXT_COLUMNS, where)
    if not responses:
        raise ResponsesError(f"{path} holds no answers.")
    return responses


def _entries(path: Path) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        try:
            rows = pq.read_table(path).to_pylist()
        except (OSError, ValueError) as error:
            raise ResponsesError(f"{path} is not a readable Parquet file: {error}") from error
        yield from ((f"{path}, row {number}", entry) for number, entry in enumerate(rows, start=1))
        return
    try:
        # Not splitlines: an answer may hold U+2028, which ends a line for Python but not in JSONL.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ResponsesError(f"{path} is not UTF-8 text ({error}). JSONL, plain, or Parquet is read.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{path}:{number}"
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise ResponsesError(f"{where}: not JSON ({error}).") from error
            if not isinstance(entry, dict):
                raise ResponsesError(f"{where}: a JSON object is needed, not {type(entry).__name__}.")
            yield where, entry


def _first(entry: Mapping[str, Any], names: tuple[str, ...], where: str) -> str:
    for name in names:
        if entry.get(name) is not None:
            if not isinstance(entry[name], str | int):
                raise ResponsesError(f"{where}: {name} is {type(entry[name]).__name__}, not text.")
            return str(entry[name])
    raise ResponsesError(f"{where}: has neither {' nor '.join(names)}; it has {', '.join(entry) or 'nothing'}.")
