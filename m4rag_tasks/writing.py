"""Writing tasks: a model writes a caption, an oracle context, its translation, or search queries.

What they write becomes a context set by `m4rag context import` (`context_import`). A record
of such a task has, under the metric `written`:

    question_id   whose text it is: CVQA's bare ID where one text serves both ways of asking
    makes         the kind of context set; `written_in` the code of the language asked for
    text          what the model wrote, without reasoning; None for a failed request
    finish        "ended", "empty", "cut_off" (by its looks, see `written_text`), or "failed"
    template      SHA-256 of the instruction; `contexts` the sets that the instruction quotes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from m4rag_tasks import contexts, datasets, images, prompts, rows, sources
from m4rag_tasks.cell import Cell
from m4rag_tasks.records import Record
from m4rag_tasks.rows import Doc, Row
from m4rag_tasks.suite import Language, Writing, language, languages
from m4rag_tasks.written_text import read

UNKNOWN_COUNTRY = "not known"


@dataclass(frozen=True)
class WritingCell(Cell):
    """What all leaves of one writing task share: a data set, what is written, in one wording."""

    setting: Writing

    @property
    def asked(self) -> str:
        """The wording in which questions are shown."""
        return "en" if self.setting.asked == "en" and self.dataset.asks_in_english else self.variant.asked

    def record_id(self, doc: Doc) -> str:
        """Whose text it is: where questions are asked twice, one text serves both, but for queries."""
        shared = self.dataset.asks_in_english and self.setting.makes != "queries"
        return str(doc.get(rows.layout(self.dataset).id)) if shared else super().record_id(doc)

    def template_digest(self, variety: Language) -> str:
        """Of the instruction."""
        return prompts.instruction_digest(self.setting.name)

    @property
    def context_kind(self) -> str | None:
        """Nothing is shown as the context of an answer."""
        return None

    @property
    def context_kinds(self) -> list[str]:
        """The kinds of the context sets that the instruction quotes."""
        return [kind for kind in self.setting.told if kind in ("oracle", "caption")]

    def written_in(self, variety: Language) -> str:
        """Code of the language to write in: "en", or the variety's."""
        asked_for = self.dataset.captions if self.setting.language == "captions" else self.setting.language
        return "en" if asked_for == "en" or self.variant.asked == "en" else variety.code

    def check(self, variety: Language) -> None:
        """Raise if it cannot be run: data or a quoted context set missing, instruction broken. Loads no rows."""
        sources.source(self.dataset)
        told = dict.fromkeys(self.setting.told, "-")
        prompts.instruct(self.setting.name, language="-", question="-", **told)
        for kind in self.context_kinds:
            contexts.check(self.dataset, kind)

    def prompt(self, row: Row) -> str:
        """The instruction for one question. Raises `M4ragError`."""
        code = self.written_in(language(row.language))
        return prompts.instruct(
            self.setting.name,
            language=languages()["en"].name if code == "en" else _without_country(language(code)),
            question=" ".join(row.question.split()),
            **{thing: self._told(thing, row) for thing in self.setting.told},
        )

    def _told(self, thing: str, row: Row) -> str:
        if thing == "answer":
            return " ".join(row.answer.split())
        if thing == "country":
            return datasets.origin(self.dataset, row)["country"] or UNKNOWN_COUNTRY
        return contexts.context(self.dataset, thing, row)

    def target(self, doc: Doc) -> str:
        """No text is the right one."""
        return ""

    def metrics_of(self, record: Record) -> dict[str, Any]:
        """A value for each metric of the base; a text that is unusable in any way is not `written`."""
        finish = record.get("finish", "failed")
        return {
            "written": record,
            "empty": float(finish == "empty"),
            "cutoff": float(finish == "cut_off"),
            "failed": float(finish == "failed"),
        }

    def record(self, doc: Doc, answer: str) -> Record:
        """Everything that the import needs of one text; see the head of this file."""
        row = self.row(doc)
        code = self.written_in(language(row.language))
        text, finish = read(answer, self.setting.makes)
        return {
            "question_id": self.record_id(doc),
            "dataset": self.dataset.key,
            "setting": self.setting.name,
            "variant": self.variant.name,
            "kind": self.setting.work,
            "makes": self.setting.makes,
            "language": row.language,
            "written_in": code,
            "text": text,
            "finish": finish,
            "template": self.template_digest(language(row.language)),
            "contexts": {kind: contexts.context_name(self.dataset, kind) for kind in self.context_kinds},
            "image_id": row.image_id,
            "image": images.image_status(self.dataset, doc) if self.setting.pictured else "not shown",
        }


def _without_country(variety: Language) -> str:
    """ "Sundanese (Indonesia)" → "Sundanese"; a register or script in brackets stays."""
    suffix = f" ({(variety.country or '').replace('_', ' ')})"
    return variety.name.removesuffix(suffix) if variety.country else variety.name
