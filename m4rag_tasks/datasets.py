"""The rows of a data set by language variety, and what is known of their subjects.

Rows are selected through Arrow: no image is decoded before a model asks for it,
and none is copied. What cannot be scored or would be counted twice is refused
here, before anything is generated.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from m4rag_tasks import rows, sources
from m4rag_tasks.errors import DataError, HiddenLabelError
from m4rag_tasks.rows import Row, layout, variety_code
from m4rag_tasks.suite import Dataset, Language

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa


def load_rows(dataset: Dataset, language: Language) -> datasets.Dataset:
    """The rows of one language variety, as a task gets them. Raises as `rows_of_language`."""
    return rows_of_language(sources.load(dataset, 0), dataset, language)


def rows_of_language(table: datasets.Dataset, dataset: Dataset, language: Language) -> datasets.Dataset:
    """The rows of one language variety out of the first part and all further parts of a data set.

    `table` is the first part, as the harness loaded it. Raises `DataError` for
    missing columns, no rows or repeated questions, `HiddenLabelError` for withheld labels.
    """
    import datasets

    parts = [table, *(sources.load(dataset, part) for part in range(1, len(dataset.local)))]
    picked = [_select(part, dataset, language) for part in parts]
    found = datasets.concatenate_datasets([part for part in picked if len(part)] or picked[:1])
    if not len(found):
        raise DataError(f"{dataset.title} has no rows for language {language.code!r} in split {dataset.split}.")
    _check_rows(found, dataset, language)
    return found


def all_rows(dataset: Dataset) -> Iterator[Row]:
    """Every question of a data set in all its languages, in file order, without images."""
    asked = tuple(layout(dataset).questions)
    for part in range(len(dataset.local)):
        table = without_images(sources.load(dataset, part))
        yield from (rows.row(dataset, doc, wording) for doc in table for wording in asked)


def without_images(table: datasets.Dataset) -> datasets.Dataset:
    """The same rows; going through them decodes nothing."""
    return table.remove_columns([name for name in table.column_names if name == "image"])


def rows_digest(table: datasets.Dataset, dataset: Dataset) -> str:
    """SHA-256 over ids, wordings, labels and answers of some rows: equal for equal questions, whatever their file."""
    names = [name for name in (*layout(dataset).columns, "answer") if name in table.column_names]
    columns = _arrow(table, *names).to_pydict()
    questions = list(zip(*columns.values(), strict=True))
    return hashlib.sha256(json.dumps(questions, ensure_ascii=False).encode()).hexdigest()


def _select(table: datasets.Dataset, dataset: Dataset, language: Language) -> datasets.Dataset:
    import numpy as np

    columns = layout(dataset)
    missing = [name for name in columns.columns if name not in table.column_names]
    if missing:
        raise DataError(
            f"{dataset.title} has no column {', '.join(missing)}; it has {', '.join(table.column_names)}. "
            "Use data in the published layout."
        )
    if not len(table):
        return table
    # From the Arrow column: `filter` with a row function would decode every image.
    values = _arrow(table, columns.variety)[columns.variety].combine_chunks().dictionary_encode()
    wanted = [
        number
        for number, value in enumerate(values.dictionary.to_pylist())
        if variety_code(dataset, value) == language.code_in(dataset)
    ]
    return table.select(np.flatnonzero(np.isin(values.indices.to_numpy(zero_copy_only=False), wanted)))


def _arrow(table: datasets.Dataset, *names: str) -> pa.Table:
    return table.select_columns(list(names)).with_format("arrow")[:]


def _check_rows(table: datasets.Dataset, dataset: Dataset, language: Language) -> None:
    names = layout(dataset)
    columns = _arrow(table, names.id, names.label)
    ids = columns[names.id].to_pylist()
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise DataError(
            f"{dataset.title}, {language.code}: {len(repeated)} question ids occur more than once, "
            f"e.g. {', '.join(map(str, repeated[:3]))}. Scores would count them twice: mend the data."
        )
    hidden = [name for name, label in zip(ids, columns[names.label].to_pylist(), strict=True) if label == -1]
    if hidden:
        raise HiddenLabelError(
            f"{dataset.title}, {language.code}: {len(hidden)} of {len(ids)} questions have hidden labels "
            f"(label -1), e.g. {hidden[0]}. Nothing can be scored on them: use a revision with labels."
        )


# --- what is known of a question beyond its own row ---------------------------


def knowledge_base(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """The food knowledge base by `food_id` (columns: `Text Description`, `name`, …)."""
    return _knowledge_base(dataset, str(sources.home(dataset)))


@functools.lru_cache(maxsize=4)
def _knowledge_base(dataset: Dataset, where: str) -> dict[str, dict[str, Any]]:
    # `where` is part of the key: the environment may name another copy later.
    return {str(entry["food_id"]): entry for entry in sources.load_knowledge_base(dataset)}


def origin(dataset: Dataset, question: Row) -> dict[str, str | None]:
    """Where the thing asked about is from and of what kind: `country` and `category` of a record.

    "several" where the knowledge base names more than one; None where nothing is known.
    """
    if question.subject_id is None:
        return {"country": question.country, "category": question.category}
    entry = knowledge_base(dataset).get(question.subject_id, {})
    return {"country": _only(entry.get("countries")), "category": _only(entry.get("coarse_categories"))}


def _only(values: list[str] | None) -> str | None:
    if not values:
        return None
    return values[0] if len(values) == 1 else "several"


def answers_in_all_languages(dataset: Dataset, qa_id: str) -> dict[str, str]:
    """The right answer to one question in each language variety, by the data set's code (WorldCuisines)."""
    return _answers(dataset, repr(sources.source(dataset))).get(qa_id, {})


@functools.lru_cache(maxsize=4)
def _answers(dataset: Dataset, where: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for part in range(len(dataset.local)):
        columns = _arrow(sources.load(dataset, part), "qa_id", "lang", "answer").to_pydict()
        for qa_id, lang, answer in zip(columns["qa_id"], columns["lang"], columns["answer"], strict=True):
            found.setdefault(str(qa_id), {})[lang] = answer
    return found
