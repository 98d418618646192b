"""Draws the pictures of the mini benchmark: dishes, instruments, landmarks and flags.

``draw(slug, variant)`` returns one picture. The "question" and "article" variants of a slug
show the same thing in different settings, so that telling they match takes a real image
descriptor rather than a comparison of bytes.
"""

from __future__ import annotations

import random

from PIL import Image, ImageFilter

# Importing these modules fills SLUGS with their pictures.
from . import bites, dishes, flags, instruments, landmarks, ruins, vessels  # noqa: F401
from .backdrops import BACKDROPS
from .canvas import OVERSAMPLING, SIZE, Canvas
from .registry import SLUGS, Picture

VARIANTS = ("question", "article")

__all__ = ["SLUGS", "VARIANTS", "draw", "variants_of"]


def variants_of(slug: str) -> tuple[str, ...]:
    """The variants that exist for ``slug``: distractors have no question variant."""
    return VARIANTS[1:] if SLUGS[slug].distractor else VARIANTS


def draw(slug: str, variant: str) -> Image.Image:
    """The 256x256 RGB picture of ``slug`` in ``variant`` ("question" or "article")."""
    if variant not in variants_of(slug):
        raise ValueError(f"{slug} has no {variant!r} picture, only {variants_of(slug)}")
    entry, article = SLUGS[slug], variant == "article"
    # Text seeds are hashed the same way in every run, unlike hash().
    rng = random.Random(f"{slug}/{variant}/setting")
    scene = BACKDROPS[entry.backdrop](rng, article)
    canvas = Canvas(f"{slug}/{variant}", article)
    entry.paint(canvas)
    layer = _posed(canvas.image, entry, rng, article)
    if entry.shadow:
        scene.paste((30, 20, 15), mask=_shadow(layer))
    scene.paste(layer, mask=layer)
    return scene.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _posed(layer: Image.Image, entry: Picture, rng: random.Random, article: bool) -> Image.Image:
    """The layer tilted as registered and, for an article, also flipped, scaled and moved."""
    angle, scale, shift = entry.tilt, 1.0, (0.0, 0.0)
    if article:
        if entry.mirror:
            layer = layer.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            angle = -angle
        if entry.tilt:
            angle += rng.uniform(-8, 8)
        scale = rng.choice((0.85, 0.88, 0.92, 1.06))
        reach = 3 if scale > 1 else 9
        shift = (rng.uniform(-reach, reach), rng.uniform(-reach / 2, reach / 2))
    if angle:
        layer = layer.rotate(-angle, Image.Resampling.BICUBIC)
    if scale == 1:
        return layer
    middle = SIZE * OVERSAMPLING / 2
    left = middle - (middle + shift[0] * OVERSAMPLING) / scale
    top = middle - (middle + shift[1] * OVERSAMPLING) / scale
    matrix = (1 / scale, 0, left, 0, 1 / scale, top)
    return layer.transform(layer.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def _shadow(layer: Image.Image) -> Image.Image:
    """A soft shadow mask below and to the right of what is drawn on ``layer``."""
    offset = 4 * OVERSAMPLING
    alpha = layer.getchannel("A").point(lambda value: value * 90 // 255)
    mask = Image.new("L", layer.size)
    mask.paste(alpha, (offset, offset))
    return mask.filter(ImageFilter.GaussianBlur(3 * OVERSAMPLING))
