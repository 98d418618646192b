"""Question images, small enough to travel inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from PIL import Image, ImageOps

from m4rag_tasks.errors import M4ragError

FindImage = Callable[[str, str], Path | None]
"""Data set and image id → the image file, or None where there is none."""

_LONGEST_SIDE = 320
_JPEG_QUALITY = 82


def data_uri(find_image: FindImage, dataset: str, image_id: str | None) -> str | None:
    """A question's image as a `data:` address, or None where it cannot be shown."""
    if not image_id or not _stays_inside(image_id):
        return None
    try:
        path = find_image(dataset, image_id)
        if path is None:
            return None
        with Image.open(path) as picture:
            return _encode(_small(picture))
    # Whatever is wrong with one picture, or an unknown data set: the report is worth having without it.
    except (M4ragError, KeyError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _stays_inside(image_id: str) -> bool:
    """Image ids come from run files: one that climbs out of the image folder is not looked up."""
    path = PurePosixPath(image_id.replace("\\", "/"))
    # An id of dots and slashes alone has no parts: it names the folder itself.
    if not path.parts or path.is_absolute() or "\0" in image_id:
        return False
    return ".." not in path.parts and ":" not in path.parts[0]


def _small(picture: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(picture).convert("RGBA")
    upright.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    paper = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(paper, upright).convert("RGB")


def _encode(picture: Image.Image) -> str:
    """PNG for drawings, JPEG for photos: whichever is smaller."""
    versions = []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": _JPEG_QUALITY, "optimize": True})):
        buffer = io.BytesIO()
        picture.save(buffer, format=kind, **options)
        versions.append((kind, buffer.getvalue()))
    kind, content = min(versions, key=lambda version: len(version[1]))
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
