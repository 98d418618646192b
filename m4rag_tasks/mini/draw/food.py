"""Parts shared by the drawings of food: plates, bowls, leaves, heaps, grains, skewers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .canvas import Canvas, Point, around, tone, turn


def plate(c: Canvas, cx: float, cy: float, rx: float, ry: float, color: str) -> None:
    """A round plate with a raised rim."""
    c.ellipse(cx, cy, rx, ry, tone(color, 0.86))
    c.ellipse(cx, cy - 1.5, rx - 1, ry - 1.5, color)
    c.ellipse(cx, cy, rx * 0.78, ry * 0.78, tone(color, 0.88))
    c.ellipse(cx, cy + 1.5, rx * 0.77, ry * 0.77, tone(color, 0.97))


def bowl_of(c: Canvas, cx: float, cy: float, radius: float, color: str, filling: str) -> None:
    """A small bowl of sauce or soup seen from above."""
    c.ellipse(cx, cy, radius, radius * 0.94, tone(color, 0.75))
    c.ellipse(cx, cy - 1, radius * 0.96, radius * 0.9, color)
    c.ellipse(cx, cy, radius * 0.8, radius * 0.74, tone(filling, 0.75))
    c.ellipse(cx, cy + 1.5, radius * 0.77, radius * 0.7, filling)
    c.ellipse(cx - radius * 0.25, cy - radius * 0.2, radius * 0.2, radius * 0.1, tone(filling, 1.35), -20)


def heap(c: Canvas, cx: float, cy: float, rx: float, ry: float, color: str, bits: int = 26) -> None:
    """A mound of stew or chopped food."""
    c.blob(c.wobble(cx + 1, cy + 2, rx, ry), tone(color, 0.65))
    c.blob(c.wobble(cx, cy, rx * 0.95, ry * 0.95), color)
    size = max(1.2, rx * 0.1)

    def bit(x: float, y: float) -> None:
        c.ellipse(x, y, size * 1.3, size, c.jitter(color, 0.3), c.rng.uniform(0, 180))

    c.scatter(bits, cx, cy, rx * 0.8, ry * 0.8, bit)


def grains(c: Canvas, cx: float, cy: float, rx: float, ry: float, color: str, count: int, size: float = 3) -> None:
    """Loose rice grains or crumbs over an ellipse."""

    def grain(x: float, y: float) -> None:
        c.ellipse(x, y, size, size * 0.42, c.jitter(color, 0.2), c.rng.uniform(0, 180))

    c.scatter(count, cx, cy, rx, ry, grain)


def dome_of_rice(c: Canvas, cx: float, base: float, radius: float, color: str) -> None:
    """A rounded mound of rice seen from the side and a little above."""
    c.ball(cx, base - radius * 0.5, radius, radius * 0.8, color)
    grains(c, cx, base - radius * 0.5, radius * 0.93, radius * 0.74, color, 170, 2.6)


def half_egg(c: Canvas, cx: float, cy: float, size: float, angle: float = 0) -> None:
    """A boiled egg cut open."""
    c.ellipse(cx + 1, cy + 1.5, size, size * 0.76, "#b9ae9c", angle)
    c.ellipse(cx, cy, size, size * 0.76, "#fffaf0", angle)
    c.ball(cx, cy, size * 0.5, size * 0.46, "#f2a91f")


def cucumber(c: Canvas, cx: float, cy: float, radius: float) -> None:
    """A round cucumber slice."""
    c.ellipse(cx, cy, radius, radius * 0.92, "#3f7d34")
    c.ellipse(cx, cy, radius * 0.86, radius * 0.79, "#cfe5a4")
    for x, y in around(cx, cy, radius * 0.42, radius * 0.38, 6):
        c.ellipse(x, y, radius * 0.12, radius * 0.09, "#f3f7d8")


def wedge(c: Canvas, cx: float, cy: float, size: float, angle: float, color: str) -> None:
    """A citrus wedge: rind, pith and flesh."""
    c.sector(cx, cy, size, size, angle, angle + 180, tone(color, 0.9))
    c.sector(cx, cy, size * 0.87, size * 0.87, angle, angle + 180, "#fdf7dc")
    for part in range(4):
        start = angle + 4 + part * 44
        c.sector(cx, cy, size * 0.78, size * 0.78, start, start + 39, tone(color, 1.15))


def banana_leaf(c: Canvas, cx: float, cy: float, rx: float, ry: float, angle: float = 0) -> None:
    """An oval piece of leaf with a midrib and side veins."""
    green = "#3f8040"
    c.ellipse(cx, cy, rx, ry, tone(green, 0.85), angle)
    c.ellipse(cx, cy - 1, rx * 0.98, ry * 0.97, green, angle)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))

    def at(along: float, across: float) -> Point:
        return cx + along * rx * cos - across * ry * sin, cy + along * rx * sin + across * ry * cos

    for step in range(-8, 8):
        along = step / 9
        edge = 0.93 * math.sqrt(1 - min(1.0, abs(along + 0.12)) ** 2)
        for side in (-edge, edge):
            c.line([at(along, 0), at(along + 0.12, side)], tone(green, 1.12), 0.8)
    c.line([at(-0.97, 0), at(0.97, 0)], "#8fb85a", 2)


def chili(c: Canvas, x: float, y: float, length: float, angle: float, color: str = "#c8201c") -> None:
    """A curved chili pepper with its green stalk."""
    rad = math.radians(angle)
    tip = (x + length * math.cos(rad), y + length * math.sin(rad))
    bend = ((x + tip[0]) / 2 - length * 0.15 * math.sin(rad), (y + tip[1]) / 2 + length * 0.15)
    c.tube([(x, y), bend, tip], color, length * 0.2)
    c.line([(x, y), (x - length * 0.2 * math.cos(rad), y - length * 0.2)], "#4c7d2a", length * 0.1)


def skewer(c: Canvas, start: Point, end: Point, pieces: Sequence[tuple[str, float]], first: float) -> None:
    """A bamboo stick with (colour, half height) pieces from ``first`` (0-1) on to its end."""
    c.line([start, end], "#8a6a3a", 3.2)
    c.line([start, end], "#dcbc82", 2)
    angle = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
    long = math.dist(start, end) * (0.97 - first) / len(pieces) / 2
    shape = [(-0.9, -0.8), (0, -1), (0.95, -0.8), (1.02, 0), (0.9, 0.85), (-0.05, 1), (-0.95, 0.8)]
    for index, (color, half) in enumerate(pieces):
        part = first + (0.97 - first) * (index + 0.5) / len(pieces)
        x, y = start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part
        for scale, drop, light in ((1.02, 1.8, 0.45), (0.96, 0, 1), (0.62, -half * 0.22, 1.18)):
            size = scale * c.rng.uniform(0.92, 1.04)
            points = [(x + px * long * size, y + drop + py * half * size) for px, py in shape]
            c.blob([turn(point, (x, y), angle) for point in points], tone(color, light))
        for offset in (-0.4, 0.3):  # grill marks
            mark = [
                (x + offset * long, y - half * 0.7),
                (x + (offset + 0.3) * long, y + half * 0.7),
            ]
            c.line([turn(point, (x, y), angle) for point in mark], tone(color, 0.55), 1.8)
