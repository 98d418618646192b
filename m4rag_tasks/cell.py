"""What all leaves of one base share: how a question is asked, shown and recorded.

A cell of the grid is a data set in a setting and a variant, in all its languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from m4rag_tasks import contexts, datasets, images, prompts, records, retrieval, rows, sources
from m4rag_tasks.records import Record
from m4rag_tasks.rows import Doc, Row
from m4rag_tasks.suite import DATASETS, SETTINGS, VARIANTS, Dataset, Language, Setting, Task, Variant, language
from retrieval_cache import Cache, RetrievedPassage


@dataclass(frozen=True)
class Cell:
    """What all leaves of one base share: a data set in a setting and a variant."""

    dataset: Dataset
    setting: Setting
    variant: Variant

    @classmethod
    def of(cls, dataset: str, setting: str, variant: str = "") -> Cell:
        """The cell with these names. A `KeyError` names the one that does not exist."""
        return cls(DATASETS[dataset], SETTINGS[setting], VARIANTS[variant])

    def row(self, doc: Doc) -> Row:
        """The question as this variant asks it."""
        return rows.row(self.dataset, doc, self.variant.asked)

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
    def cache(self) -> Cache | None:
        """The opened retrieval cache, the same until the next `check`; None where nothing is searched."""
        return retrieval.cache_in_use(self.dataset.key, self.setting.name) if self.setting.retriever else None

    def hits(self, row: Row) -> Sequence[RetrievedPassage]:
        """The passages found for a question; none where nothing is searched."""
        cache = self.cache
        return cache.hits(retrieval.query(self.dataset, self.setting, row)) if cache else []

    def check(self, variety: Language) -> None:
        """Raise if it cannot be run: data, context set or cache missing, template broken. Loads no rows."""
        sources.source(self.dataset)
        # Any row will do: the first render of a template tries it in all its shapes.
        prompts.render(self.variant.kind, self.template(variety), question="-", options=["-"])
        # What is searched with is compared with what the hits were made from, so it is needed too.
        for kind in {self.context_kind, self.setting.query} & {"oracle", "oracle_local", "caption"}:
            contexts.check(self.dataset, kind)
        if self.setting.retriever:
            retrieval.open_cache(self.dataset.key, self.setting.name)

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

    def record(self, doc: Doc, answer: str) -> Record:
        """Everything a report needs to know of one answered question; see `records`."""
        row, cache, kind = self.row(doc), self.cache, self.context_kind
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
            "passages": [
                {"id": hit.id, "title": hit.title, "rank": hit.rank, "score": hit.score} for hit in self.hits(row)
            ],
            "retriever": cache.manifest.retriever.name if cache else None,
            "context": contexts.context_name(self.dataset, kind) if kind else None,
            "template": self.template_digest(variety),
            "cache": cache.manifest.key if cache else None,
        }
        if self.variant.kind == "open_ended":
            everywhere = datasets.answers_in_all_languages(self.dataset, row.qa_id)
            record["references"] = records.references(row.answer, everywhere)
        return {**record, **records.scored(record, answer)}
