"""Judging tasks: a model grades each passage that a setting shows, from 1 to 5.

The judge sees the picture, the question, the right answer and one passage, as the paper's does;
the instruction is `judge.jinja`. An item is a question with one of its passages. A record has,
under the metric `grade`, the fields of a grades file (`grades`) but for the judge, and

    item   "<question_id>#<rank>", once in each task
    image  as in the records of answers

`grade` is absent where the request failed, and None where the answer names none. What judges said
becomes a grades file by `m4rag judge import` (`judge_import`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, overload

from m4rag_tasks import contexts, datasets, images, prompts, retrieval, sources
from m4rag_tasks.cell import Cell
from m4rag_tasks.judging.answer import parse_grade
from m4rag_tasks.records import FAILED, Record
from m4rag_tasks.rows import Doc, Row
from m4rag_tasks.suite import Judging, Language
from retrieval_cache import RetrievedPassage

RANK = "rank"
INSTRUCTION = "judge"


@dataclass(frozen=True)
class JudgedRow(Row):
    """A question and the rank, from 1, of the passage that is judged."""

    rank: int = 1


class PassageDocs(Sequence[Doc]):
    """The rows of a variety, each once for every passage that was found for it, with the passage's `rank`.

    To the harness it is a `datasets.Dataset`. Nothing is copied, and no image decoded before its row is
    asked for: a data set with one more column would have all its images written once more.
    """

    def __init__(self, table: Any, places: Sequence[tuple[int, int]]) -> None:
        self._table, self._places = table, places

    @property
    def features(self) -> dict[str, Any]:
        """The columns and their types."""
        import datasets as hf_datasets

        return {**self._table.features, RANK: hf_datasets.Value("int64")}

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return [*self._table.column_names, RANK]

    def remove_columns(self, names: str | list[str]) -> PassageDocs:
        """The same items without these columns."""
        return PassageDocs(self._table.remove_columns(names), self._places)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Doc: ...
    @overload
    def __getitem__(self, index: slice) -> PassageDocs: ...
    def __getitem__(self, index: int | slice) -> Doc | PassageDocs:
        if isinstance(index, slice):
            return PassageDocs(self._table, self._places[index])
        row, rank = self._places[index]
        return {**self._table[row], RANK: rank}


@dataclass(frozen=True)
class JudgingCell(Cell):
    """What all leaves of one judging task share: a data set, the setting whose passages are judged, a wording."""

    setting: Judging

    def docs(self, table: Any) -> PassageDocs:
        """Each row once for every passage found. Raises `M4ragError` or `CacheError`."""
        found = enumerate(map(super().row, datasets.without_images(table)))
        return PassageDocs(table, [(place, hit.rank) for place, row in found for hit in self.hits(row)])

    def row(self, doc: Doc) -> JudgedRow:
        """The question as it is asked here, with the rank of one of its passages."""
        return JudgedRow(**asdict(super().row(doc)), rank=doc[RANK])

    def record_id(self, doc: Doc) -> str:
        """`<question_id>#<rank>`. Never raises."""
        return f"{super().record_id(doc)}#{doc.get(RANK)}"

    def template_digest(self, variety: Language) -> str:
        """Of the instruction."""
        return prompts.instruction_digest(INSTRUCTION)

    def check(self, variety: Language) -> None:
        """Raise if it cannot be run: data, context set or cache missing, instruction broken. Loads no rows."""
        sources.source(self.dataset)
        prompts.instruct(INSTRUCTION, question="-", answer="-", title="-", text="-")
        for kind in self.context_kinds:
            contexts.check(self.dataset, kind)
        retrieval.open_cache(self.dataset.key, self.setting.cached_as)

    def prompt(self, row: JudgedRow) -> str:
        """The instruction for one question and passage. Raises `M4ragError` or `CacheError`."""
        passage = self.passage(row)
        one_line = {"question": row.question, "answer": row.answer, "title": passage.title}
        return prompts.instruct(
            INSTRUCTION, text=passage.text.strip(), **{name: " ".join(text.split()) for name, text in one_line.items()}
        )

    def passage(self, row: JudgedRow) -> RetrievedPassage:
        """The passage that is judged."""
        return next(hit for hit in self.hits(row) if hit.rank == row.rank)

    def target(self, doc: Doc) -> str:
        """No grade is the right one."""
        return ""

    def metrics_of(self, record: Record) -> dict[str, Any]:
        """A value for each metric of the base."""
        return {
            "grade": {"item": record["question_id"], **record},
            "invalid": float(record["parse"] == "invalid"),
            "failed": float("grade" not in record),
        }

    def record(self, doc: Doc, answer: str) -> Record:
        """Everything that a grades file needs of one item; see the head of this file."""
        row, read = self.row(doc), parse_grade(answer)
        cache = self.cache
        record: Record = {
            "item": self.record_id(doc),
            "question_id": row.question_id,
            "passage_id": self.passage(row).id,
            "rank": row.rank,
            "parse": read.rule,
            "kind": self.setting.work,
            "dataset": self.dataset.key,
            "setting": self.setting.judges,
            "variant": self.variant.name,
            "language": row.language,
            "image_id": row.image_id,
            "image": images.image_status(self.dataset, doc),
            "template": prompts.instruction_digest(INSTRUCTION),
            "cache": cache.manifest.key if cache else None,
            "passages_key": cache.manifest.passages_key if cache else None,
        }
        return record if read.rule == FAILED else {**record, "grade": read.grade}
