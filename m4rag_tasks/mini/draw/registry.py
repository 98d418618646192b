"""The table of pictures: every drawing function registers itself here under its slug."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .canvas import Canvas

Painter = Callable[[Canvas], None]


@dataclass(frozen=True)
class Picture:
    """How one slug is drawn."""

    paint: Painter
    backdrop: str  # a key of backdrops.BACKDROPS
    tilt: float  # degrees clockwise, for things drawn upright but shown leaning
    mirror: bool  # whether the article variant may be flipped left to right
    shadow: bool
    distractor: bool  # distractors have an article variant only


SLUGS: dict[str, Picture] = {}


def picture(
    slug: str,
    backdrop: str,
    *,
    tilt: float = 0,
    mirror: bool = True,
    shadow: bool = True,
    distractor: bool = False,
) -> Callable[[Painter], Painter]:
    """Register the decorated function as the painter of ``slug``."""

    def register(paint: Painter) -> Painter:
        SLUGS[slug] = Picture(paint, backdrop, tilt, mirror, shadow, distractor)
        return paint

    return register
