"""What lies behind the things drawn: tables, cloths, skies. Each has question and article looks."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from .canvas import OVERSAMPLING, SIZE, tone

SIDE = SIZE * OVERSAMPLING
HORIZON = 186

TABLES = {
    False: ("#a8744a", "#8b5a36", "#c49a6c", "#7d6650"),
    True: ("#d8dfe2", "#35586b", "#e7d9c0", "#5d6b4e", "#b9c7b1"),
}
CLOTHS = {
    False: ("#e6dccb", "#d5dde3", "#dfe3d3", "#e9d3c6"),
    True: ("#6f8a8c", "#b98b6a", "#7b6f8f", "#a9b48c", "#8d4f45"),
}
SKIES = {
    False: (("#5b9bd9", "#d6e8f5"), ("#78b1e2", "#e8f1f2")),
    True: (("#7a86b8", "#f5c9a0"), ("#b7c4cc", "#eef0ec"), ("#e39a6f", "#fbe3bd")),
}


def table(rng: random.Random, article: bool) -> Image.Image:
    """A wooden table seen from above (question) or a cloth with a check or stripe (article)."""
    color = rng.choice(TABLES[article])
    image = Image.new("RGB", (SIDE, SIDE), color)
    pen = ImageDraw.Draw(image)
    step = SIDE // rng.choice((4, 5))
    for index, start in enumerate(range(0, SIDE, step)):
        if article:
            if index % 2:
                pen.rectangle((start, 0, start + step, SIDE), fill=tone(color, 0.93))
            continue
        pen.rectangle((0, start, SIDE, start + step), fill=tone(color, rng.uniform(0.9, 1.1)))
        pen.rectangle((0, start, SIDE, start + 5), fill=tone(color, 0.7))
        for _ in range(5):
            y = start + rng.randrange(20, step - 12)
            x = rng.randrange(-200, SIDE)
            pen.line((x, y, x + rng.randrange(200, 700), y), fill=tone(color, 0.86), width=4)
    return image


def cloth(rng: random.Random, article: bool) -> Image.Image:
    """A plain surface, lighter in the middle."""
    color = rng.choice(CLOTHS[article])
    y, x = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1) - 0.5
    # Few steps of light keep the saved file small and still look soft.
    light = np.round((1.08 - 0.5 * (x**2 + y**2)) * 40) / 40
    return _shaded(color, light)


def sky(rng: random.Random, article: bool) -> Image.Image:
    """A sky fading to the horizon with some clouds, and no ground."""
    top, bottom = rng.choice(SKIES[article])
    image = Image.new("RGB", (SIDE, SIDE))
    pen = ImageDraw.Draw(image)
    high, low = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in (top, bottom))
    for row in range(SIDE):
        part = min(1.0, row / (HORIZON * OVERSAMPLING))
        pen.line((0, row, SIDE, row), fill=tuple(int(v) for v in high + (low - high) * part))
    for _ in range(rng.randrange(2, 4)):
        _cloud(pen, rng.randrange(SIDE), rng.randrange(60, 330), rng.randrange(40, 70), bottom)
    return image


def grass(rng: random.Random, article: bool) -> Image.Image:
    """Sky over a lawn with a row of trees behind."""
    return _landscape(rng, article, ("#7fae58", "#8f9f52")[article], trees="#5d8a4a")


def sand(rng: random.Random, article: bool) -> Image.Image:
    """Sky over desert sand."""
    return _landscape(rng, article, ("#dcb97d", "#c9a071")[article], trees=None)


def paving(rng: random.Random, article: bool) -> Image.Image:
    """Sky over pale stone paving, with trees behind."""
    return _landscape(rng, article, ("#c9c3b6", "#b3ab9f")[article], trees="#6f8c62")


def rock(rng: random.Random, article: bool) -> Image.Image:
    """A surface of reddish volcanic rock seen from above."""
    color = ("#b7795a", "#a3745f")[article]
    image = Image.new("RGB", (SIDE, SIDE), color)
    pen = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = rng.randrange(-100, SIDE), rng.randrange(-60, SIDE)
        width, height = rng.randrange(60, 260), rng.randrange(14, 50)
        pen.ellipse((x, y, x + width, y + height), fill=tone(color, rng.uniform(0.92, 1.07)))
    return image


BACKDROPS: dict[str, Callable[[random.Random, bool], Image.Image]] = {
    "table": table,
    "cloth": cloth,
    "sky": sky,
    "grass": grass,
    "sand": sand,
    "paving": paving,
    "rock": rock,
}


def _landscape(rng: random.Random, article: bool, ground: str, trees: str | None) -> Image.Image:
    image = sky(rng, article)
    pen = ImageDraw.Draw(image)
    horizon = HORIZON * OVERSAMPLING
    if trees:
        for x in range(-40, SIDE + 40, 55):
            height = rng.randrange(40, 110)
            box = (x - 60, horizon - height, x + 60, horizon + height)
            pen.ellipse(box, fill=tone(trees, rng.uniform(0.85, 1.1)))
    bands = 12
    depth = (SIDE - horizon) / bands
    for band in range(bands):
        y = horizon + band * depth
        pen.rectangle((0, y, SIDE, y + depth + 1), fill=tone(ground, 1.12 - 0.02 * band))
    return image


def _cloud(pen: ImageDraw.ImageDraw, x: int, y: int, size: int, horizon: str) -> None:
    for dx, dy, scale in ((-1.2, 0.2, 0.7), (0, 0, 1), (1.1, 0.15, 0.8), (2, 0.3, 0.5)):
        cx, cy, radius = x + dx * size, y + dy * size, size * scale
        box = (cx - radius * 1.3, cy - radius * 0.6, cx + radius * 1.3, cy + radius * 0.6)
        pen.ellipse(box, fill=tone(horizon, 1.5))


def _shaded(color: str, light: np.ndarray) -> Image.Image:
    base = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], dtype=float)
    pixels = np.clip(base[None, None, :] * light[..., None], 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST)
