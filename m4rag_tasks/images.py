"""The images of the questions: found, checked, and opened when a model asks for one.

Rows either hold their image (`image` column) or name it (`image_path`), below the
folder that `M4RAG_IMAGES` names or where the local copy lies. Searching by image
needs files: `export_images` makes them of images that rows hold. They are kept by
the digest of their bytes, with an index for each copy of a data set, so that one
copy's pictures never serve another; no model is ever shown them.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from m4rag_tasks import rows
from m4rag_tasks.datasets import Picture, distinct, pictures_of, stored_images
from m4rag_tasks.errors import DataError, MissingImageError
from m4rag_tasks.rows import Doc
from m4rag_tasks.sources import cache_root, data_folder, home, load, named_folder
from m4rag_tasks.suite import Dataset
from retrieval_cache.files import atomic_file
from retrieval_cache.images import whole_images

if TYPE_CHECKING:
    import datasets
    from PIL import Image

IMAGES_VARIABLE = "M4RAG_IMAGES"
MISSING_IMAGES_VARIABLE = "M4RAG_MISSING_IMAGES"
BLANK_SIZE = (336, 336)

_images_shown = True
# Data sets whose rows hold their images, with the questions whose image is null all the same.
# The harness scores rows without that column.
_embedded: dict[str, set[str]] = {}
# Files found before, by the folders looked in and the id; digests of held images, by data set and table.
_found: dict[tuple[tuple[Path, ...], str], Path] = {}
_digests: dict[tuple[str, str], dict[int, str]] = {}


def show_images(shown: bool) -> None:
    """Say whether the model to come looks at images; if it never does, none need be there.

    A process may evaluate several models one after the other, so each start sets this anew.
    """
    global _images_shown  # noqa: PLW0603 - the harness gives hooks no other way to know its model
    _images_shown = shown
    for known in (_embedded, _found, _digests):
        known.clear()


# --- files --------------------------------------------------------------------


def image_folders(dataset: Dataset) -> list[Path]:
    """Folders that image ids start from: `M4RAG_IMAGES`, else the local copy's own and its clone of the hub."""
    if dataset.hub_id is not None and (named := named_folder(IMAGES_VARIABLE)):
        return [named]
    copy, own = data_folder(dataset), home(dataset)
    clone = [copy / dataset.hub_id] if copy and dataset.hub_id else []
    return [folder.resolve() for folder in (*([own] if own else []), *clone)]


def find_image(dataset: Dataset, image_id: str) -> Path | None:
    """Path of an image file by the id that rows give; None where there is no such file.

    Ids come from data: one that is absolute or climbs out of the image folders counts as
    missing. A link inside a folder is followed: whoever laid out the folder made it.
    """
    return _find(tuple(image_folders(dataset)), image_id)


def _find(folders: tuple[Path, ...], image_id: str) -> Path | None:
    if found := _found.get((folders, image_id)):
        return found
    relative = PurePath(image_id)
    if relative.anchor or ".." in relative.parts:
        return None
    for folder in folders:
        if _is_file(folder / relative):
            return _found.setdefault((folders, image_id), folder / relative)
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for a file's name, or with characters that none can have
        return False


# --- are they there? ----------------------------------------------------------


def image_status(dataset: Dataset, doc: Doc) -> str:
    """ "shown", "blank" (missing, replaced on request) or "not shown" (the model takes none).

    Raises `MissingImageError` if the image is missing and no blank was asked for.
    """
    if not _images_shown:
        return "not shown"
    null = _embedded.get(dataset.key)
    if _holds(doc.get("image")) or (null is not None and rows.question_id(dataset, doc) not in null):
        return "shown"
    if find_image(dataset, rows.image_id(dataset, doc)) is not None:
        return "shown"
    if _blanks_asked_for():
        return "blank"
    raise _missing(dataset, rows.question_id(dataset, doc), rows.image_id(dataset, doc))


def _holds(image: Any) -> bool:
    """Whether this, the `image` of a row, is a picture: decoded, or its bytes or path."""
    return any(image.values()) if isinstance(image, Mapping) else image is not None


def _missing(dataset: Dataset, question_id: str, image_id: str) -> MissingImageError:
    folders = image_folders(dataset)
    where = f"in {' or '.join(map(str, folders))}" if folders else f"(rows of {dataset.hub_id} name images)"
    return MissingImageError(
        f"{dataset.title}, question {question_id}: there is no image {image_id[:200]!r} {where}."
        f" Name the folder of the images by {IMAGES_VARIABLE}, or set {MISSING_IMAGES_VARIABLE}=blank to show grey"
        " pictures instead (every record will say so)."
    )


def _blanks_asked_for() -> bool:
    value = os.environ.get(MISSING_IMAGES_VARIABLE, "")
    if value not in ("", "blank"):
        raise DataError(f"{MISSING_IMAGES_VARIABLE} is {value!r}; the only value it takes is 'blank'.")
    return value == "blank"


def check_images(dataset: Dataset, table: datasets.Dataset) -> None:
    """Look for each distinct image of some rows, without decoding any.

    Raises `MissingImageError` for the first row whose image is missing and may not be blank,
    `DataError` where the `image` column or the environment is not as it must be.
    """
    blanks = _blanks_asked_for()
    if not _images_shown:
        return
    pictures = pictures_of(dataset, table)
    if "image" in table.column_names:
        null = (picture.question_id for picture in pictures if picture.size is None)
        _embedded.setdefault(dataset.key, set()).update(null)
    folders = tuple(image_folders(dataset))
    for picture in distinct(pictures):
        if picture.size is None and not blanks and _find(folders, picture.image_id) is None:
            raise _missing(dataset, picture.question_id, picture.image_id)


def summary(dataset: Dataset, table: datasets.Dataset) -> str:
    """Which pictures a model sees with these rows: "not shown", or the SHA-256 of what is known of each.

    That is, by image id, the size of its file, the digest of the bytes that the row holds, or
    "blank". The same wherever the pictures lie. Reads no file; of held images, each once.
    """
    if not _images_shown:
        return "not shown"
    pictures, folders = distinct(pictures_of(dataset, table)), tuple(image_folders(dataset))
    held = _held_digests(dataset, table, pictures)
    known = []
    for picture in pictures:
        path = _find(folders, picture.image_id) if picture.size is None else None
        known.append([picture.image_id, held.get(picture.index) or (path.stat().st_size if path else "blank")])
    return hashlib.sha256(json.dumps(sorted(known, key=str)).encode()).hexdigest()


def _held_digests(dataset: Dataset, table: datasets.Dataset, pictures: Sequence[Picture]) -> dict[int, str]:
    """Of each image that a row holds, the digest by row; once per table, whatever the number of settings."""
    key = (dataset.key, table._fingerprint)
    if key not in _digests:
        held = [picture.index for picture in pictures if picture.size is not None]
        _digests[key] = {
            index: hashlib.sha256(image["bytes"] or str(image["path"]).encode()).hexdigest()
            for index, image in zip(held, stored_images(table, held), strict=True)
        }
    return _digests[key]


# --- opened -------------------------------------------------------------------


def load_image(dataset: Dataset, doc: Doc) -> Image.Image:
    """The RGB image of a row. Raises `MissingImageError` or `DataError` (unreadable)."""
    from PIL import Image

    if image_status(dataset, doc) == "blank":
        return Image.new("RGB", BLANK_SIZE, (127, 127, 127))
    return _opened(dataset, rows.question_id(dataset, doc), rows.image_id(dataset, doc), doc.get("image"))


def open_all(dataset: Dataset, table: datasets.Dataset, opened: set[tuple[Any, ...]]) -> None:
    """Open each distinct image of some rows once, whether rows hold or name it.

    What is in `opened` is left out, and what was opened is noted there (varieties share images).
    Raises `DataError` naming question and image; a missing image counts where no blank was asked for.
    """
    pictures = {(dataset.key, *picture[2:]): picture for picture in distinct(pictures_of(dataset, table))}
    new = {key: picture for key, picture in pictures.items() if key not in opened}
    held = {key: picture for key, picture in new.items() if picture.size is not None}
    stored = stored_images(table, [picture.index for picture in held.values()])
    for key, picture in [*held.items(), *((key, picture) for key, picture in new.items() if key not in held)]:
        image = next(stored) if key in held else None
        if image or not _blanks_asked_for() or find_image(dataset, picture.image_id):
            _opened(dataset, picture.question_id, picture.image_id, image)
        opened.add(key)


def _opened(dataset: Dataset, question_id: str, image_id: str, held: Any) -> Image.Image:
    """The picture that a row holds (decoded, or as it is stored), else its file."""
    from datasets import Image as Decoder
    from PIL import Image

    path = None if _holds(held) else find_image(dataset, image_id)
    if path is None and not _holds(held):
        raise _missing(dataset, question_id, image_id)
    try:
        with whole_images():
            if path is None:
                return (Decoder().decode_example(held) if isinstance(held, Mapping) else held).convert("RGB")
            with Image.open(path) as image:
                return image.convert("RGB")
    except Exception as error:  # Each of Pillow's readers raises what it likes.
        raise DataError(
            f"{dataset.title}, question {question_id}: the image {path or f'{image_id!r} in its row'} "
            f"cannot be read ({error}). Replace it."
        ) from error


# --- searched with ------------------------------------------------------------


def searchable_image(dataset: Dataset, image_id: str) -> Path | None:
    """The file to search with: of the image that rows hold, once exported, else of the one they name; None without."""
    index = _index_file(dataset)
    held = _exported(index).get(image_id)
    return index.parent / held if held and (index.parent / held).is_file() else find_image(dataset, image_id)


def export_images(dataset: Dataset) -> int:
    """Write the images that the rows of a data set hold to files, which retrievers can open; returns how many.

    The bytes are written as they are, below the cache folder, once per image. Memory stays
    that of a few hundred rows.
    """
    index = _index_file(dataset)
    before = _exported(index)
    known = {image_id: name for image_id, name in before.items() if (index.parent / name).is_file()}
    written = 0
    for part in range(len(dataset.local)):
        table = load(dataset, part)
        held = [picture for picture in distinct(pictures_of(dataset, table)) if (picture.size or 0) > 0]
        new = {picture.image_id: picture.index for picture in reversed(held) if picture.image_id not in known}
        pictures = zip(new, stored_images(table, list(new.values())), strict=True)
        for image_id, image in tqdm(pictures, "writing images", len(new), unit="image", delay=2, disable=None):
            known[image_id] = _write(index.parent, image["bytes"])
            written += 1
    if known != before:
        with atomic_file(index) as file:
            file.write(json.dumps(known, sort_keys=True).encode())
    return written


def _write(folder: Path, image: bytes) -> str:
    """Write one image to the file that its digest names; returns that name."""
    name = hashlib.sha256(image).hexdigest()
    if not (folder / name).is_file():
        with atomic_file(folder / name) as file:
            file.write(image)
    return name


def _index_file(dataset: Dataset) -> Path:
    """Which image of this very copy of a data set is in which file, {id: name}."""
    prints = [load(dataset, part)._fingerprint for part in range(len(dataset.local))]
    copy = hashlib.sha256("\n".join(prints).encode()).hexdigest()[:16]
    return cache_root() / "images" / dataset.codes / f"{copy}.json"


def _exported(index: Path) -> dict[str, str]:
    return _read_index(index, index.stat().st_mtime_ns) if index.is_file() else {}


@functools.lru_cache(maxsize=8)
def _read_index(index: Path, written: int) -> dict[str, str]:
    # `written` is part of the key: another process may have exported more.
    return json.loads(index.read_text(encoding="utf-8"))
