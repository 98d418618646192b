"""The images of the questions: found, checked, and opened when a model asks for one.

Rows either hold their image (`image` column) or name it (`image_path`), below the
folder that `M4RAG_IMAGES` names or where the local copy lies. Searching by image
needs files: `export_images` makes them of images that rows hold.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from m4rag_tasks import rows
from m4rag_tasks.errors import DataError, MissingImageError
from m4rag_tasks.rows import Doc
from m4rag_tasks.sources import cache_root, data_folder, home, load
from m4rag_tasks.suite import Dataset
from retrieval_cache.files import atomic_file
from retrieval_cache.images import whole_images

if TYPE_CHECKING:
    import datasets
    from PIL import Image

IMAGES_VARIABLE = "M4RAG_IMAGES"
MISSING_IMAGES_VARIABLE = "M4RAG_MISSING_IMAGES"
BLANK_SIZE = (336, 336)
EXPORTED_AT_ONCE = 200  # rows

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


def image_folders(dataset: Dataset) -> list[Path]:
    """Folders that image ids start from: `M4RAG_IMAGES`, else the local copy's own and its clone of the hub."""
    named = os.environ.get(IMAGES_VARIABLE)
    if named and dataset.hub_id is not None:
        return [Path(named).expanduser().resolve()]
    copy, own = data_folder(dataset), home(dataset)
    clone = [copy / dataset.hub_id] if copy and dataset.hub_id else []
    return [folder.resolve() for folder in (*([own] if own else []), *clone)]


def find_image(dataset: Dataset, image_id: str) -> Path | None:
    """Path of an image file by the id that rows give; None where there is no such file.

    Ids come from data: one that points outside the image folders counts as missing.
    """
    for folder in image_folders(dataset):
        path = (folder / image_id).resolve()
        if path.is_relative_to(folder) and path.is_file():
            return path
    path = _exported(dataset, image_id)
    return path if path.is_file() else None


def export_images(dataset: Dataset) -> int:
    """Write the images that the rows of a data set hold to files, which retrievers can open; returns how many.

    The bytes are written as they are, below the cache folder, once per image; an image that
    is a file already is left out. Memory stays that of a few hundred rows.
    """
    written = 0
    for part in range(len(dataset.local)):
        table = load(dataset, part)
        if "image" not in table.column_names:
            continue
        names = [name for name in table.column_names if name in (rows.layout(dataset).id, "image_path", "image")]
        batches = table.select_columns(names).with_format("arrow").iter(EXPORTED_AT_ONCE)
        total = -(-len(table) // EXPORTED_AT_ONCE)
        for batch in tqdm(batches, "writing images", total, unit="batch", delay=2, disable=None):
            for doc in batch.to_pylist():
                written += _export(dataset, doc)
    return written


def _export(dataset: Dataset, doc: Doc) -> bool:
    image_id, held = rows.image_id(dataset, doc), (doc["image"] or {}).get("bytes")
    if not held or find_image(dataset, image_id):
        return False
    with atomic_file(_exported(dataset, image_id)) as file:
        file.write(held)
    return True


def _exported(dataset: Dataset, image_id: str) -> Path:
    # By digest: an id comes from data and may be no file name at all.
    return cache_root() / "images" / dataset.codes / hashlib.sha256(image_id.encode()).hexdigest()[:32]


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
    folders = image_folders(dataset)
    where = f"in {' or '.join(map(str, folders))}" if folders else f"(rows of {dataset.hub_id} name images)"
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
        with whole_images(), Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{dataset.title}: the image {path} cannot be read ({error}). Replace the file.") from error
