"""The images of the questions: found, checked, and opened when a model asks for one.

Rows either hold their image (`image` column) or name it (`image_path`), below the
folder that `M4RAG_IMAGES` names or where the local copy lies.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from m4rag_tasks import rows
from m4rag_tasks.errors import DataError, MissingImageError
from m4rag_tasks.rows import Doc
from m4rag_tasks.sources import home
from m4rag_tasks.suite import Dataset

if TYPE_CHECKING:
    import datasets
    from PIL import Image

IMAGES_VARIABLE = "M4RAG_IMAGES"
MISSING_IMAGES_VARIABLE = "M4RAG_MISSING_IMAGES"
BLANK_SIZE = (336, 336)

_images_shown = True
# Data sets whose rows hold their images. The harness scores rows without that column.
_embedded: set[str] = set()


def show_images(shown: bool) -> None:
    """Say whether the model to come looks at images; if it never does, none need be there.

    A process may evaluate several models one after the other, so each start sets this anew.
    """
    global _images_shown  # noqa: PLW0603 - the harness gives hooks no other way to know its model
    _images_shown = shown
    _embedded.clear()


def image_folder(dataset: Dataset) -> Path | None:
    """Folder that image ids start from: `M4RAG_IMAGES`, else where the rows lie; None where neither is known."""
    named = os.environ.get(IMAGES_VARIABLE)
    if named and dataset.hub_id is not None:
        return Path(named).expanduser().resolve()
    folder = home(dataset)
    return folder.resolve() if folder else None


def find_image(dataset: Dataset, image_id: str) -> Path | None:
    """Path of an image file by the id that rows give; None where there is no such file.

    Ids come from data: one that points outside the image folder counts as missing.
    """
    folder = image_folder(dataset)
    if folder is None:
        return None
    path = (folder / image_id).resolve()
    return path if path.is_relative_to(folder) and path.is_file() else None


def image_status(dataset: Dataset, doc: Doc) -> str:
    """ "shown", "blank" (missing, replaced on request) or "not shown" (the model takes none).

    Raises `MissingImageError` if the image is missing and no blank was asked for.
    """
    if not _images_shown:
        return "not shown"
    if dataset.key in _embedded or doc.get("image") is not None:
        return "shown"
    if find_image(dataset, rows.image_id(dataset, doc)) is not None:
        return "shown"
    if _blanks_asked_for():
        return "blank"
    folder = image_folder(dataset)
    where = f"in {folder}" if folder else f"(rows of {dataset.hub_id} name images, they do not hold them)"
    raise MissingImageError(
        f"{dataset.title}, question {rows.question_id(dataset, doc)}: there is no image "
        f"{rows.image_id(dataset, doc)!r} {where}."
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
    needed = {rows.layout(dataset).id, "lang", "image_path"}
    for doc in table.select_columns([name for name in table.column_names if name in needed]):
        image_status(dataset, doc)


def load_image(dataset: Dataset, doc: Doc) -> Image.Image:
    """The RGB image of a row. Raises `MissingImageError` or `DataError` (unreadable)."""
    from PIL import Image, UnidentifiedImageError

    if image_status(dataset, doc) == "blank":
        return Image.new("RGB", BLANK_SIZE, (127, 127, 127))
    if doc.get("image") is not None:
        return doc["image"].convert("RGB")
    name = rows.image_id(dataset, doc)
    path = find_image(dataset, name)
    if path is None:
        raise MissingImageError(f"{dataset.title}: image {name!r} is missing.")
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{dataset.title}: the image {path} cannot be read ({error}). Replace the file.") from error
