"""Rows of the data sets in our own terms, whichever place they come from.

The mini benchmark is bundled. Every other data set is read from the hub, or from
the folder that `M4RAG_DATA` names (layout: `Dataset.local` in `suite.py`).
Rows are selected through Arrow: no image is decoded before a model asks for it.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m4rag_tasks.errors import DataError, HiddenLabelError, MissingImageError
from m4rag_tasks.suite import Dataset, Language, own_codes

if TYPE_CHECKING:
    import datasets
    from PIL import Image

DATA_VARIABLE = "M4RAG_DATA"
IMAGES_VARIABLE = "M4RAG_IMAGES"
MISSING_IMAGES_VARIABLE = "M4RAG_MISSING_IMAGES"
MINI_FOLDER = Path(__file__).parent / "mini" / "data"
BLANK_SIZE = (336, 336)


@dataclass(frozen=True)
class Row:
    """One question. `gold` counts from 1, as the options are shown to the model."""

    question_id: str
    qa_id: str
    language: str
    question: str
    options: tuple[str, ...]
    gold: int
    image_id: str
    subject_id: str
    prompt_type: int


@dataclass(frozen=True)
class Source:
    """What `datasets.load_dataset` is called with for one part of a data set."""

    path: str
    name: str | None
    kwargs: Mapping[str, Any]


def data_folder(dataset: Dataset) -> Path | None:
    """Folder that holds the local copy of a data set; None where the hub is read.

    Raises `DataError` if `M4RAG_DATA` names a folder that is not there.
    """
    if dataset.key == "mini":
        return MINI_FOLDER
    named = os.environ.get(DATA_VARIABLE)
    if not named:
        return None
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise DataError(
            f"{DATA_VARIABLE} names {folder}, which is not a folder. Correct it, or unset it to read from the hub."
        )
    return folder


def source(dataset: Dataset, part: int = 0) -> Source:
    """Where one part of a data set is loaded from. Raises `DataError` if a local file is missing."""
    folder = data_folder(dataset)
    if folder is None:
        return Source(str(dataset.hub_id), dataset.parts[part], {})
    path = folder / dataset.local[part]
    if not path.is_file():
        raise DataError(
            f"{dataset.title}: {path} is missing. Put the file there, or unset {DATA_VARIABLE} to read from the hub."
        )
    builder = {".jsonl": "json", ".parquet": "parquet"}[path.suffix]
    return Source(builder, None, {"data_files": {dataset.split: str(path)}})


def load_rows(dataset: Dataset, language: Language) -> datasets.Dataset:
    """The rows of one language variety, as a task gets them. Raises as `rows_of_language`."""
    return rows_of_language(_load(dataset, 0), dataset, language)


def rows_of_language(table: datasets.Dataset, dataset: Dataset, language: Language) -> datasets.Dataset:
    """The rows of one language variety out of the first part and all further parts of a data set.

    `table` is the first part, as the harness loaded it. Raises `DataError` for
    no rows or repeated questions, `HiddenLabelError` for withheld labels.
    """
    import datasets

    parts = [table, *(_load(dataset, part) for part in range(1, len(dataset.local)))]
    picked = [_select(part, language.datasets[dataset.key]) for part in parts]
    rows = datasets.concatenate_datasets([part for part in picked if len(part)] or picked[:1])
    if not len(rows):
        raise DataError(f"{dataset.title} has no rows for language {language.code!r} in split {dataset.split}.")
    _check_rows(rows, dataset, language)
    return rows


def all_rows(dataset: Dataset) -> Iterator[Row]:
    """Every question of a data set in all its languages, in file order, without images."""
    for part in range(len(dataset.local)):
        table = _load(dataset, part)
        table = table.remove_columns([name for name in table.column_names if name == "image"])
        yield from (row(dataset, doc) for doc in table)


def _load(dataset: Dataset, part: int) -> datasets.Dataset:
    import datasets

    place = source(dataset, part)
    try:
        return datasets.load_dataset(place.path, place.name, split=dataset.split, **place.kwargs)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"{dataset.title}: {place.name or place.path} cannot be loaded ({error}). "
            f"Without the hub, name a folder with a copy by {DATA_VARIABLE}."
        ) from error


def _select(table: datasets.Dataset, code: str) -> datasets.Dataset:
    # From the Arrow column: `filter` with a row function would decode every image.
    codes = table.with_format("arrow")["lang"].to_pylist() if len(table) else []
    return table.select([index for index, value in enumerate(codes) if value == code])


def _check_rows(table: datasets.Dataset, dataset: Dataset, language: Language) -> None:
    columns = table.select_columns(["qa_id", "mcq_answer_index"]).with_format("arrow")[:]
    ids = columns["qa_id"].to_pylist()
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise DataError(
            f"{dataset.title}, {language.code}: {len(repeated)} question ids occur more than once, "
            f"e.g. {', '.join(map(str, repeated[:3]))}. Scores would count them twice: mend the data."
        )
    hidden = [name for name, label in zip(ids, columns["mcq_answer_index"].to_pylist(), strict=True) if label == -1]
    if hidden:
        raise HiddenLabelError(
            f"{dataset.title}, {language.code}: {len(hidden)} of {len(ids)} questions have hidden labels "
            f"(label -1), e.g. {hidden[0]}. Nothing can be scored on them: use a revision with labels."
        )


def row(dataset: Dataset, doc: Mapping[str, Any]) -> Row:
    """One question in our own terms. Raises `DataError` naming the question and the fault."""
    question_id = f"{doc['qa_id']}-{doc['lang']}"
    options = tuple(doc["options"])
    label = doc["mcq_answer_index"]
    if not 0 <= label < len(options):
        raise DataError(f"{dataset.title}, question {question_id}: label {label} for {len(options)} options.")
    return Row(
        question_id=question_id,
        qa_id=str(doc["qa_id"]),
        language=own_codes(dataset.key).get(doc["lang"], doc["lang"]),
        question=doc["question"],
        options=options,
        gold=label + 1,
        image_id=doc["image_path"],
        subject_id=str(doc["food_id"]),
        prompt_type=doc["prompt_type"],
    )


@functools.cache
def knowledge_base(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """The food knowledge base by `food_id` (columns: `Text Description`, `name`, …)."""
    import datasets

    folder = data_folder(dataset)
    if dataset.key == "mini":
        table = datasets.load_dataset("json", data_files=str(MINI_FOLDER / "food_kb.jsonl"), split="train")
        return {entry["food_id"]: entry for entry in table}
    if folder is None:
        table = datasets.load_dataset("worldcuisines/food-kb-v1.1", split="train")
    else:
        path = folder / "worldcuisines" / "food_kb.parquet"
        if not path.is_file():
            raise DataError(f"The food knowledge base {path} is missing; the oracle contexts come from it.")
        table = datasets.load_dataset("parquet", data_files=str(path), split="train")
    return {str(entry["food_id"]): entry for entry in table}


def origin(dataset: Dataset, row: Row) -> dict[str, str | None]:
    """Where the thing asked about is from and of what kind: `country` and `category` of a record.

    "several" where the knowledge base names more than one; None where it names none.
    """
    entry = knowledge_base(dataset).get(row.subject_id, {})
    return {"country": _only(entry.get("countries")), "category": _only(entry.get("coarse_categories"))}


def _only(values: list[str] | None) -> str | None:
    if not values:
        return None
    return values[0] if len(values) == 1 else "several"


# --- images -----------------------------------------------------------------

_images_shown = True
# Data sets whose rows hold their images. The harness scores rows without that column.
_embedded: set[str] = set()


def show_images(shown: bool) -> None:
    """Say whether the model to come looks at images; if it never does, none need be there.

    A process may evaluate several models one after the other, so each start sets this anew.
    """
    global _images_shown  # noqa: PLW0603 - the harness gives hooks no other way to know its model
    _images_shown = shown


def image_folder(dataset: Dataset) -> Path | None:
    """Folder that image ids start from: `M4RAG_IMAGES`, else where the rows lie; None where neither is known."""
    named = os.environ.get(IMAGES_VARIABLE)
    if named and dataset.key != "mini":
        return Path(named).expanduser().resolve()
    folder = data_folder(dataset)
    return (folder / dataset.local[0]).parent.resolve() if folder else None


def find_image(dataset: Dataset, image_id: str) -> Path | None:
    """Path of an image file by the id that rows give; None where there is no such file.

    Ids come from data: one that points outside the image folder counts as missing.
    """
    folder = image_folder(dataset)
    if folder is None:
        return None
    path = (folder / image_id).resolve()
    return path if path.is_relative_to(folder) and path.is_file() else None


def image_status(dataset: Dataset, doc: Mapping[str, Any]) -> str:
    """ "shown", "blank" (missing, replaced on request) or "not shown" (the model takes none).

    Raises `MissingImageError` if the image is missing and no blank was asked for.
    """
    if not _images_shown:
        return "not shown"
    if dataset.key in _embedded or doc.get("image") is not None:
        return "shown"
    if find_image(dataset, doc["image_path"]) is not None:
        return "shown"
    if _blanks_asked_for():
        return "blank"
    folder = image_folder(dataset)
    where = f"in {folder}" if folder else f"(rows of {dataset.hub_id} name images, they do not hold them)"
    raise MissingImageError(
        f"{dataset.title}, question {doc['qa_id']}-{doc['lang']}: there is no image {doc['image_path']!r} {where}."
        f" Name the folder of the images by {IMAGES_VARIABLE}, or set {MISSING_IMAGES_VARIABLE}=blank to show grey"
        " pictures instead (every record will say so)."
    )


def _blanks_asked_for() -> bool:
    value = os.environ.get(MISSING_IMAGES_VARIABLE, "")
    if value not in ("", "blank"):
        raise DataError(f"{MISSING_IMAGES_VARIABLE} is {value!r}; the only value it takes is 'blank'.")
    return value == "blank"


def check_images(dataset: Dataset, table: datasets.Dataset) -> None:
    """Raise `MissingImageError` for the first row whose image is missing. Decodes nothing."""
    if "image" in table.column_names:
        _embedded.add(dataset.key)
        return
    for doc in table.select_columns(["qa_id", "lang", "image_path"]):
        image_status(dataset, doc)


def load_image(dataset: Dataset, doc: Mapping[str, Any]) -> Image.Image:
    """The RGB image of a row. Raises `MissingImageError` or `DataError` (unreadable)."""
    from PIL import Image, UnidentifiedImageError

    if image_status(dataset, doc) == "blank":
        return Image.new("RGB", BLANK_SIZE, (127, 127, 127))
    if doc.get("image") is not None:
        return doc["image"].convert("RGB")
    path = find_image(dataset, doc["image_path"])
    if path is None:
        raise MissingImageError(f"{dataset.title}: image {doc['image_path']!r} is missing.")
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{dataset.title}: the image {path} cannot be read ({error}). Replace the file.") from error
