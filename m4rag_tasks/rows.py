"""One question in our own terms, whatever its data set calls its columns. Pure.

WorldCuisines and the mini benchmark ask each question once per language variety:
id `<qa_id>-<lang>`. CVQA asks each question twice, in the local language and in
English: ids `<ID>-local` and `<ID>-en`; its `Subset` is the text of a Python pair.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from m4rag_tasks.errors import DataError, HiddenLabelError
from m4rag_tasks.suite import Dataset, own_codes

if TYPE_CHECKING:
    import pyarrow as pa

Doc = Mapping[str, Any]

# "<CUISINE>", "<LOCATION": a field of the question's own template that nobody filled in.
_OPEN_FIELD = re.compile(r"<[A-Z][A-Z_ ]+>?")


@dataclass(frozen=True)
class Layout:
    """What a data set calls the columns that are needed; wordings by how the question is asked."""

    variety: str
    id: str
    label: str
    questions: Mapping[str, str]
    options: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that rows must have."""
        return (self.variety, self.id, self.label, *self.questions.values(), *self.options.values())


LAYOUTS: dict[str, Layout] = {
    "worldcuisines": Layout("lang", "qa_id", "mcq_answer_index", {"local": "question"}, {"local": "options"}),
    "cvqa": Layout(
        "Subset",
        "ID",
        "Label",
        {"local": "Question", "en": "Translated Question"},
        {"local": "Options", "en": "Translated Options"},
    ),
}


@dataclass(frozen=True)
class Row:
    """One question. `gold` counts from 1, as the options are shown to the model; `answer` is that option's text.

    `subject_id` is the key into the food knowledge base, `prompt_type` WorldCuisines'
    (1 dish, 2 place, 3 dish with context, 4 adversarial); None where the data set has none.
    """

    question_id: str
    qa_id: str
    language: str
    asked: str
    question: str
    options: tuple[str, ...]
    gold: int
    answer: str
    image_id: str
    subject_id: str | None = None
    prompt_type: int | None = None
    country: str | None = None
    category: str | None = None


def layout(dataset: Dataset) -> Layout:
    """The column names of a data set."""
    return LAYOUTS[dataset.columns]


def check_columns(dataset: Dataset, schema: pa.Schema) -> None:
    """Raise `DataError` for columns that are missing or of another type than rows can be read from."""
    columns = layout(dataset)
    missing = [name for name in columns.columns if name not in schema.names]
    if missing:
        raise DataError(
            f"{dataset.title} has no column {', '.join(missing)}; it has {', '.join(schema.names)}. "
            "Use data in the published layout."
        )
    wanted = {
        **dict.fromkeys(columns.options.values(), ("lists of strings", _holds_lists)),
        columns.label: ("integers", _holds_integers),
        **dict.fromkeys((*columns.questions.values(), "answer", "image_path"), ("strings", _holds_strings)),
    }
    wrong = [
        f"the column {name!r} holds {schema.field(name).type}, not {what}"
        for name, (what, holds) in wanted.items()
        if name in schema.names and not holds(schema.field(name).type)
    ]
    if wrong:
        raise DataError(f"{dataset.title}: {'; '.join(wrong)}. Use data in the published layout.")


def _holds_lists(found: pa.DataType) -> bool:
    import pyarrow.types as of

    lists = of.is_list(found) or of.is_large_list(found) or of.is_fixed_size_list(found)
    # Nobody filled in the native options of some copies: they can be asked in English all the same.
    return _holds_strings(found.value_type) if lists else of.is_null(found)


def _holds_integers(found: pa.DataType) -> bool:
    import pyarrow.types as of

    return of.is_integer(found)


def _holds_strings(found: pa.DataType) -> bool:
    import pyarrow.types as of

    # A column that nobody filled in has the type null.
    return _is_text(found) or of.is_null(found)


def _is_text(found: pa.DataType) -> bool:
    import pyarrow.types as of

    return of.is_string(found) or of.is_large_string(found)


def variety_code(dataset: Dataset, value: Any) -> str:
    """What a data set's variety column says, as `languages.toml` writes it.

    CVQA's `Subset` is a pair or the text of one, "('Javanese', 'Indonesia')", and
    becomes "Javanese/Indonesia". Raises `DataError` for anything else.
    """
    if dataset.columns != "cvqa":
        return str(value)
    try:
        pair = ast.literal_eval(value) if isinstance(value, str) else value
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        pair = None
    if not isinstance(pair, tuple | list) or [type(part) for part in pair] != [str, str]:
        raise DataError(
            f"{dataset.title}: the Subset {value!r} is not a pair of language and country, "
            "such as ('Javanese', 'Indonesia'). Mend the data."
        )
    return "/".join(part.strip() for part in pair)


def question_id(dataset: Dataset, doc: Doc, asked: str = "local") -> str:
    """The id under which a question is answered and recorded. Never raises."""
    ending = asked if dataset.columns == "cvqa" else doc.get("lang")
    return f"{doc.get(layout(dataset).id)}-{ending}"


def row(dataset: Dataset, doc: Doc, asked: str = "local") -> Row:
    """One question in our own terms. Raises `DataError` naming the question and the fault."""
    columns = layout(dataset)
    name = f"{dataset.title}, question {question_id(dataset, doc, asked)}"
    options = doc[columns.options[asked]]
    if isinstance(options, str) or any(not isinstance(option, str) for option in options or ()):
        raise DataError(f"{name}: the options {options!r} are no list of strings. Use data in the published layout.")
    if not options:
        raise DataError(f"{name}: no options in the column {columns.options[asked]!r}. Use data that has them.")
    label = doc[columns.label]
    if label == -1:
        raise HiddenLabelError(f"{name}: its label is hidden (-1). Nothing can be scored: use a revision with labels.")
    if label is not None and type(label) is not int:
        raise DataError(f"{name}: the label {label!r} is no integer. Use data in the published layout.")
    if label is None or not 0 <= label < len(options):
        raise DataError(f"{name}: label {label} for {len(options)} options.")
    question = doc[columns.questions[asked]]
    if not question or not question.strip():
        raise DataError(f"{name}: no question in the column {columns.questions[asked]!r}. Use data that has it.")
    code = variety_code(dataset, doc[columns.variety])
    country = code.partition("/")[2].replace("_", " ") or None
    return Row(
        question_id=question_id(dataset, doc, asked),
        qa_id=str(doc[columns.id]),
        language=own_codes(dataset).get(code, code),
        asked=asked,
        question=question,
        options=tuple(options),
        gold=label + 1,
        answer=doc.get("answer") or options[label],
        image_id=image_id(dataset, doc),
        subject_id=str(doc["food_id"]) if "food_id" in doc else None,
        prompt_type=doc.get("prompt_type"),
        country=country,
        category=doc.get("Category") or None,
    )


def image_id(dataset: Dataset, doc: Doc) -> str:
    """Which image a question is about: its path, else (CVQA) the image's number in the question's id."""
    return doc.get("image_path") or str(doc[layout(dataset).id]).rpartition("_")[0] or str(doc[layout(dataset).id])


def faults(question: Row) -> list[str]:
    """Known faults of the published data that this question has: kept as it is, and said in its record."""
    folded = [" ".join(option.split()).casefold() for option in question.options]
    found = []
    if any(map(_OPEN_FIELD.search, (question.question, *question.options))):
        found.append("open field")
    if folded.count(folded[question.gold - 1]) > 1:
        found.append("right answer twice")
    elif len(set(folded)) < len(folded):
        found.append("option twice")
    return found
