"""Image files named by data: found inside one folder only, hashed, opened.

An address in a corpus is never followed out of the image root and never
fetched from the network.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from PIL import Image, ImageFile, ImageOps

from retrieval_cache.files import file_sha256
from retrieval_cache.records import CorpusError, Query, canonical_json

_REMOTE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


def is_remote(address: str) -> bool:
    """True for urls, which count as "no image here"."""
    return bool(_REMOTE.match(address))


def resolve_image(root: Path, address: str, owner: str) -> Path:
    """The file that `address` names inside `root`; `owner` is named in errors.

    Raises CorpusError if the address is absolute, climbs out of the root (by
    "..", by a link) or names no file.
    """
    parts = PurePosixPath(address).parts
    unsafe = "\\" in address or "\0" in address or ":" in address.split("/", maxsplit=1)[0]
    if unsafe or not parts or address.startswith("/") or ".." in parts:
        raise CorpusError(
            f"{owner}: image path {address!r} does not stay inside the image root.",
            "Give paths relative to that folder, with '/' and without '..'.",
        )
    path = root.joinpath(*parts)
    real_root = os.path.realpath(root)
    if os.path.commonpath([real_root, os.path.realpath(path)]) != real_root:
        raise CorpusError(
            f"{owner}: image path {address!r} is a link that leaves the image root {root}.",
            "Copy the file into that folder.",
        )
    if not path.is_file():
        raise CorpusError(f"{owner}: there is no image {path}.", "Check the image root.")
    return path


def query_image(query: Query) -> Path | None:
    """The image file of a query, None if it has no image; checked to be there."""
    if query.image_path is None:
        if query.image_id is not None:
            raise CorpusError(
                f"query {query.id!r} has image {query.image_id!r} but no image_path.",
                "A retriever that reads images needs the file: set image_path.",
            )
        return None
    if not query.image_path.is_file():
        raise CorpusError(f"query {query.id!r}: there is no image {query.image_path}.", "Check the image folder.")
    return query.image_path


@contextmanager
def whole_images() -> Iterator[None]:
    """Within this, a file that is cut off is an error whatever other packages have told Pillow.

    lmms-eval lets Pillow fill up what is missing with grey, for the whole process.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def load_rgb(path: Path, longest: int) -> Image.Image:
    """Read an image: turned upright, transparency on white, RGB, scaled to `longest` pixels."""
    image = read_rgb(path, (longest * 2, longest * 2))
    scale = longest / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)


def read_rgb(path: Path, at_least: tuple[int, int] | None = None) -> Image.Image:
    """Read an image: turned upright, transparency on white, RGB, as large as it is stored.

    With `at_least`, a JPEG may be read at a half, a quarter or an eighth of its size, but not below that.
    Raises CorpusError for a file that is no whole image, or one of so many pixels that it would fill the memory.
    """
    with _readable(path), Image.open(path) as image:
        if at_least is not None:
            image.draft("RGB", at_least)
        image.load()
        return _on_white(ImageOps.exif_transpose(image))


def image_size(path: Path) -> tuple[int, int]:
    """Width and height as stored, from the head of the file alone; CorpusError if it cannot be read."""
    with _readable(path), Image.open(path) as image:
        return image.size


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Within this, whatever Pillow says against a file is a CorpusError."""
    try:
        with warnings.catch_warnings():
            # Pillow only warns at first about images that would fill the memory.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with whole_images():
                yield
    except (
        OSError, ValueError, SyntaxError, EOFError,
        Image.DecompressionBombError, Image.DecompressionBombWarning,
    ) as error:  # fmt: skip
        raise CorpusError(
            f"image {path} cannot be read ({error}).",
            "Replace the file, or remove the image from its row.",
        ) from error


def pictures_sha256(files: Iterable[tuple[str, Path | None]]) -> dict[str, str | None]:
    """Name → hex sha256 of its picture's bytes, None where there is no picture."""
    known: dict[Path, str] = {}
    for_name: dict[str, str | None] = {}
    for name, path in files:
        if path is not None and path not in known:
            known[path] = picture_sha256(path)
        for_name[name] = known[path] if path is not None else None
    return for_name


def images_sha256(pictures: Mapping[str, str | None]) -> str:
    """Hex sha256 over names and digests in their order: changed pictures give another cache key."""
    digest = hashlib.sha256()
    for name, sha in pictures.items():
        digest.update(canonical_json([name, sha]).encode("ascii"))
    return digest.hexdigest()


def picture_sha256(path: Path) -> str:
    """Hex sha256 of an image file; CorpusError if it cannot be read."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise CorpusError(f"image {path} cannot be read ({error.strerror}).", "Check the image folder.") from error


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
