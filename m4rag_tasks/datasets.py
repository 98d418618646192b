"""The rows of a data set by language variety, and what is known of their subjects.

Rows are selected through Arrow: no image is decoded before a model asks for it,
and none is copied. What cannot be scored or would be counted twice is refused
here, before anything is generated.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from m4rag_tasks import rows, sources
from m4rag_tasks.errors import DataError, HiddenLabelError
from m4rag_tasks.languages import outside_languages
from m4rag_tasks.rows import Row, layout, variety_code
from m4rag_tasks.suite import Dataset, Language, own_codes

if TYPE_CHECKING:
    import datasets
    import numpy as np
    import pyarrow as pa

logger = logging.getLogger(__name__)

STORED_AT_ONCE = 200  # images that rows hold, in memory together

_told: set[str] = set()  # data sets whose unknown varieties were spoken of


def load_rows(dataset: Dataset, language: Language) -> datasets.Dataset:
    """The rows of one language variety, as a task gets them. Raises as `rows_of_language`."""
    return rows_of_language(sources.load(dataset, 0), dataset, language)


def rows_of_language(table: datasets.Dataset, dataset: Dataset, language: Language) -> datasets.Dataset:
    """The rows of one language variety out of the first part and all further parts of a data set.

    `table` is the first part, as the harness loaded it. Raises `DataError` for columns that are
    missing or of other types, no rows, repeated questions, questions without a label;
    `HiddenLabelError` for withheld labels. Rows of varieties that no task asks are warned of once.
    """
    parts = [table, *(sources.load(dataset, part) for part in range(1, len(dataset.local)))]
    unknown: Counter[str] = Counter()
    picked = [_select(part, dataset, language, unknown) for part in parts]
    _tell_unknown(dataset, unknown)
    found = _joined(dataset, [part for part in picked if len(part)] or picked[:1])
    if not len(found):
        raise DataError(f"{dataset.title} has no rows for language {language.code!r} in split {dataset.split}.")
    _check_rows(found, dataset, language)
    return found


def all_rows(dataset: Dataset) -> Iterator[Row]:
    """Every question of a data set in all its languages, in file order, without images."""
    asked = tuple(layout(dataset).questions)
    for part in range(len(dataset.local)):
        table = without_images(sources.load(dataset, part))
        rows.check_columns(dataset, table.data.schema)
        yield from (rows.row(dataset, doc, wording) for doc in table for wording in asked)


def without_images(table: datasets.Dataset) -> datasets.Dataset:
    """The same rows; going through them decodes nothing."""
    return table.remove_columns([name for name in table.column_names if name == "image"])


def rows_digest(table: datasets.Dataset, dataset: Dataset) -> str:
    """SHA-256 over some rows: equal for equal questions, whatever their file and order.

    Over ids, wordings, labels and answers, and over which image and dish they are about, of what kind.
    """
    extra = ("answer", "image_path", "food_id", "prompt_type", "Category")
    names = [name for name in (*layout(dataset).columns, *extra) if name in table.column_names]
    columns = _arrow(table, *names).to_pydict()
    questions = sorted(json.dumps(values, ensure_ascii=False) for values in zip(*columns.values(), strict=True))
    return hashlib.sha256("\n".join([json.dumps(names), *questions]).encode()).hexdigest()


def _select(table: datasets.Dataset, dataset: Dataset, language: Language, unknown: Counter[str]) -> datasets.Dataset:
    """The rows of one variety; counts in `unknown` those of varieties that the grid has no row for."""
    import numpy as np

    rows.check_columns(dataset, table.data.schema)
    if not len(table):
        return table
    codes, numbers = _varieties(table, dataset)
    known = {*own_codes(dataset), *(variety.code_in(dataset) for variety in (language, *outside_languages()))}
    for code, count in zip(codes, np.bincount(numbers, minlength=len(codes)).tolist(), strict=True):
        if count and code not in known:
            unknown[code] += count
    wanted = [number for number, code in enumerate(codes) if code == language.code_in(dataset)]
    return table.select(np.flatnonzero(np.isin(numbers, wanted)))


def _varieties(table: datasets.Dataset, dataset: Dataset) -> tuple[list[str], np.ndarray]:
    """The codes of varieties, and of each row its code's place among them; "none" stands last."""
    import pyarrow as pa

    # From the Arrow column: `filter` with a row function would decode every image.
    name = layout(dataset).variety
    column = _arrow(table, name)[name].combine_chunks()
    if pa.types.is_nested(column.type):  # pairs: Arrow can number their texts alone
        column = pa.array([None if pair is None else repr(pair) for pair in column.to_pylist()], pa.string())
    values = column.dictionary_encode()
    codes = [variety_code(dataset, value) for value in values.dictionary.to_pylist()]
    return [*codes, "none"], values.indices.fill_null(len(codes)).to_numpy()


def _tell_unknown(dataset: Dataset, unknown: Counter[str]) -> None:
    """Warn once of rows that no task asks."""
    if unknown and dataset.key not in _told:
        _told.add(dataset.key)
        logger.warning(
            "%s: %d rows are of varieties that no task asks: %s. Add these to languages.toml, or leave the rows out.",
            dataset.title,
            sum(unknown.values()),
            ", ".join(f"{code} ({count})" for code, count in unknown.most_common()),
        )


def _joined(dataset: Dataset, parts: Sequence[datasets.Dataset]) -> datasets.Dataset:
    import datasets

    try:
        return datasets.concatenate_datasets(list(parts))
    except (ValueError, TypeError) as error:
        types = [{name: str(kind) for name, kind in part.features.items()} for part in parts]
        differ = [name for name in types[0] if len({columns.get(name) for columns in types}) > 1]
        raise DataError(
            f"{dataset.title}: its parts have other types in {', '.join(differ) or 'their columns'}, so they"
            f" cannot be read together ({error}). Use parts of one version."
        ) from error


def _arrow(table: datasets.Dataset, *names: str) -> pa.Table:
    return table.select_columns(list(names)).with_format("arrow")[:]


def _check_rows(table: datasets.Dataset, dataset: Dataset, language: Language) -> None:
    """What is wrong with some rows as a whole, or with any label: found before the first is asked."""
    names = layout(dataset)
    columns = _arrow(table, names.id, names.label)
    where, ids = f"{dataset.title}, {language.code}", columns[names.id].to_pylist()
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise DataError(
            f"{where}: {len(repeated)} question ids occur more than once, "
            f"e.g. {_some(repeated)}. Scores would count them twice: mend the data."
        )
    labels = columns[names.label].to_pylist()
    hidden = [name for name, label in zip(ids, labels, strict=True) if label == -1]
    if hidden:
        raise HiddenLabelError(
            f"{where}: {len(hidden)} of {len(ids)} questions have hidden labels "
            f"(label -1), e.g. {hidden[0]}. Nothing can be scored on them: use a revision with labels."
        )
    without = [name for name, label in zip(ids, labels, strict=True) if label is None]
    if without:
        raise DataError(f"{where}: {len(without)} questions have no label, e.g. {_some(without)}. Mend the data.")


def check_options(table: datasets.Dataset, dataset: Dataset, language: Language, asked: str) -> None:
    """Raise `DataError` if questions lack options in the wording `asked`, or have a label beyond them.

    Of one wording, because data that has only the English one can be asked in English.
    """
    names, where = layout(dataset), f"{dataset.title}, {language.code}"
    column = names.options[asked]
    columns = _arrow(table, names.id, names.label, column).to_pydict()
    ids, labels, options = columns[names.id], columns[names.label], columns[column]
    empty = [name for name, texts in zip(ids, options, strict=True) if not texts or None in texts]
    if empty:
        raise DataError(f"{where}: {len(empty)} questions lack options in {column!r}, e.g. {_some(empty)}. Mend them.")
    # No list is empty any more, and every label is a number.
    beyond = [name for name, label, texts in zip(ids, labels, options, strict=True) if not 0 <= label < len(texts)]
    if beyond:
        raise DataError(
            f"{where}: {len(beyond)} questions have a label that is none of their options in {column!r} "
            f"(they count from 0), e.g. {_some(beyond)}. Mend the data."
        )


def _some(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names[:3]))


# --- the images of rows -------------------------------------------------------


class Picture(NamedTuple):
    """The image of one row, unopened.

    `size` is the number of bytes where the row holds it, -1 where it holds a path alone,
    None where it holds nothing.
    """

    index: int
    question_id: str
    image_id: str
    size: int | None


def pictures_of(dataset: Dataset, table: datasets.Dataset) -> list[Picture]:
    """The image of every row. Reads no image. Raises `DataError` for a column `image` that holds no pictures."""
    needed = [name for name in table.column_names if name in (layout(dataset).id, "lang", "image_path")]
    docs = _arrow(table, *needed).to_pylist()
    return [
        Picture(index, rows.question_id(dataset, doc), rows.image_id(dataset, doc), size)
        for index, (doc, size) in enumerate(zip(docs, _sizes(dataset, table), strict=True))
    ]


def distinct(pictures: Sequence[Picture]) -> list[Picture]:
    """The first picture of each id and size."""
    found: dict[tuple[str, int | None], Picture] = {}
    for picture in pictures:
        found.setdefault((picture.image_id, picture.size), picture)
    return list(found.values())


def _sizes(dataset: Dataset, table: datasets.Dataset) -> list[int | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if "image" not in table.column_names:
        return [None] * len(table)
    column = table.data.column("image")
    names = [field.name for field in column.type] if pa.types.is_struct(column.type) else []
    if not {"bytes", "path"} <= set(names):
        raise DataError(f"{dataset.title}: the column 'image' holds {column.type}, not pictures. Rename or mend it.")
    held, path = (pc.struct_field(column, name) for name in ("bytes", "path"))
    by_path = pc.if_else(pc.is_valid(path), pa.scalar(-1, pa.int64()), pa.scalar(None, pa.int64()))
    # Lengths are differences of offsets: no bytes are read. A column of nulls has none.
    sizes = by_path if pa.types.is_null(held.type) else pc.coalesce(pc.binary_length(held).cast("int64"), by_path)
    # The table is the whole file; which of its rows were picked is kept beside it.
    picked = table._indices
    return (sizes if picked is None else sizes.take(picked.column(0))).to_pylist()


def stored_images(table: datasets.Dataset, indices: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The `image` of some rows as it is stored, {"bytes", "path"}; a few at a time are in memory."""
    if indices:
        picked = table.select(indices).select_columns(["image"]).with_format("arrow")
        for batch in picked.iter(STORED_AT_ONCE):
            yield from batch["image"].to_pylist()


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
