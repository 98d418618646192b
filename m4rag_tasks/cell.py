"""What all leaves of one base share: how a question is asked, shown and recorded.

A cell of the grid is a data set in a setting and a variant, in all its languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from m4rag_tasks import contexts, datasets, evidence, images, prompts, records, retrieval, rows, sources
from m4rag_tasks.records import Record
from m4rag_tasks.rows import Doc, Row
from m4rag_tasks.suite import Dataset, Language, Setting, Task, Variant, language
from retrieval_cache import Cache, RetrievedPassage


@dataclass(frozen=True)
class Cell:
    """What all leaves of one base share: a data set in a setting and a variant."""

    dataset: Dataset
    setting: Setting
    variant: Variant

    @property
    def asked(self) -> str:
        """The wording in which questions are shown."""
        return self.variant.asked

    def docs(self, table: Any) -> Any:
        """What is asked about the rows of one variety (a `datasets.Dataset`): here each once."""
        return table

    def row(self, doc: Doc) -> Row:
        """The question as it is asked here."""
        return rows.row(self.dataset, doc, self.asked)

    def record_id(self, doc: Doc) -> str:
        """The id under which what the model says is recorded. Never raises."""
        return rows.question_id(self.dataset, doc, self.asked)

    def template(self, variety: Language) -> str:
        """Whose words the prompt is made of when a variety is asked."""
        return Task(self.dataset, self.setting, self.variant, variety).template

    def template_digest(self, variety: Language) -> str:
        """Of the files that the prompt is made of."""
        return prompts.template_digest(self.variant.kind, self.template(variety))

    @property
    def context_kind(self) -> str | None:
        """Which context set is shown; None where none is."""
        if self.setting.context != "oracle":
            return None
        return "oracle_local" if self.variant.context == "local" else "oracle"

    @property
    def context_kinds(self) -> list[str]:
        """The kinds of all context sets that are read: shown, or searched with."""
        # What is searched with is compared with what the hits were made from, so it is needed too.
        return sorted({self.context_kind, self.setting.query} & {"oracle", "oracle_local", "caption"})

    @property
    def cache(self) -> Cache | None:
        """The opened retrieval cache, the same until the next `check`; None where nothing is searched."""
        return retrieval.cache_in_use(self.dataset.key, self.setting.cached_as) if self.setting.retriever else None

    def hits(self, row: Row) -> Sequence[RetrievedPassage]:
        """The passages found for a question; none where nothing is searched."""
        cache = self.cache
        return cache.hits(retrieval.query(self.dataset, self.setting, row)) if cache else []

    def check(self, variety: Language) -> None:
        """Raise if it cannot be run: data, context set or cache missing, template broken. Loads no rows."""
        sources.source(self.dataset)
        # Any row will do: the first render of a template tries it in all its shapes.
        prompts.render(self.variant.kind, self.template(variety), question="-", options=["-"])
        for kind in self.context_kinds:
            contexts.check(self.dataset, kind)
        if self.setting.retriever:
            retrieval.open_cache(self.dataset.key, self.setting.cached_as)

    def prompt(self, row: Row) -> str:
        """The prompt of one question, passages included. Raises `M4ragError` or `CacheError`."""
        kind = self.context_kind
        return prompts.render(
            self.variant.kind,
            self.template(language(row.language)),
            question=row.question,
            options=row.options,
            passages=[prompts.ShownPassage(hit.title, hit.text) for hit in self.hits(row)],
            context=contexts.context(self.dataset, kind, row) if kind else None,
        )

    def target(self, doc: Doc) -> str:
        """What the harness logs as the right answer."""
        row = self.row(doc)
        return row.answer if self.variant.kind == "open_ended" else str(row.gold)

    def metrics_of(self, record: Record) -> dict[str, Any]:
        """A value for each metric of the base."""
        return records.metrics_of(record, self.variant.kind)

    def record(self, doc: Doc, answer: str) -> Record:
        """Everything a report needs to know of one answered question; see `records`."""
        row, cache, kinds = self.row(doc), self.cache, self.context_kinds
        variety = language(row.language)
        record: Record = {
            "question_id": row.question_id,
            "qa_id": row.qa_id,
            "dataset": self.dataset.key,
            "setting": self.setting.name,
            "variant": self.variant.name,
            "kind": self.variant.kind,
            "language": row.language,
            "base_language": "en" if row.asked == "en" else variety.language,
            "register": variety.register,
            "resource": variety.resource,
            "prompt_type": row.prompt_type,
            **datasets.origin(self.dataset, row),
            "image_id": row.image_id,
            "image": images.image_status(self.dataset, doc),
            "question": row.question,
            "options": list(row.options),
            "gold": row.gold,
            "faults": rows.faults(row),
            **self._shown(row),
            "retriever": cache.manifest.retriever.name if cache else None,
            "context": contexts.context_name(self.dataset, kinds[0]) if kinds else None,
            "template": self.template_digest(variety),
            "cache": cache.manifest.key if cache else None,
            "passages_key": cache.manifest.passages_key if cache else None,
        }
        if self.variant.kind == "open_ended":
            everywhere = datasets.answers_in_all_languages(self.dataset, row.qa_id)
            record["references"] = records.references(row.answer, everywhere)
        return {**record, **records.scored(record, answer)}

    def _shown(self, row: Row) -> dict[str, Any]:
        """What records say of the passages or context shown, and of what was searched with."""
        hits, kind = self.hits(row), self.context_kind
        shown: dict[str, Any] = {"passages": [evidence.of_passage(hit, row) for hit in hits]}
        shown["context_chars"] = sum(len(hit.title) + len(hit.text) for hit in hits)
        if kind:
            text = contexts.context(self.dataset, kind, row)
            shown |= {"context_chars": len(text), "context_has_answer": evidence.holds_answer(text, row)}
        if self.setting.retriever:
            query = retrieval.query(self.dataset, self.setting, row)
            shown["query_has_answer"] = evidence.holds_answer(query.text, row)
        return shown
