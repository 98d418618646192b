"""National flags, exact in layout and never mirrored."""

from __future__ import annotations

import math

from .canvas import Canvas, Point, turn
from .registry import picture

LEFT, WIDTH = 22.0, 214.0


def _cloth_box(c: Canvas, height_to_width: float) -> tuple[float, float]:
    """The flag's top edge and height; an article's flag also gets a pole on its hoist side."""
    height = WIDTH * height_to_width
    top = c.pick(128 - height / 2, 40.0)
    if c.article:
        c.rect(LEFT - 8, top - 16, LEFT, 300, "#9aa0a6")
        c.rect(LEFT - 6, top - 16, LEFT - 4, 300, "#e3e6e8")
        c.ball(LEFT - 4, top - 18, 7, 7, "#d8b64a")
    return top, height


def _tricolour(c: Canvas, top: float, height: float, colors: tuple[str, str, str]) -> None:
    """Three equal upright bands."""
    for index, color in enumerate(colors):
        left = LEFT + index * WIDTH / 3
        c.rect(left, top, left + WIDTH / 3, top + height, color)


@picture("flag_south_korea", "sky", mirror=False)
def flag_south_korea(c: Canvas) -> None:
    """White with a red-over-blue taegeuk and a black trigram in each corner."""
    top, height = _cloth_box(c, 2 / 3)
    unit = height / 24  # the flag law divides the height in 24
    cx, cy = LEFT + WIDTH / 2, top + height / 2
    diagonal = math.degrees(math.atan2(2, 3))
    c.rect(LEFT, top, LEFT + WIDTH, top + height, "#ffffff")
    red, blue = "#cd2e3a", "#0047a0"
    c.ellipse(cx, cy, 6 * unit, 6 * unit, red)
    c.sector(cx, cy, 6 * unit, 6 * unit, diagonal, diagonal + 180, blue)
    for side, color in ((-1, red), (1, blue)):
        x, y = turn((cx + side * 3 * unit, cy), (cx, cy), diagonal)
        c.ellipse(x, y, 3 * unit, 3 * unit, color)
    # Each trigram's bars from the outside in; True is a whole bar, False a broken one.
    for angle, bars in (
        (180 + diagonal, (True, True, True)),
        (-diagonal, (False, True, False)),
        (180 - diagonal, (True, False, True)),
        (diagonal, (False, False, False)),
    ):
        for index, whole in enumerate(bars):
            _trigram_bar(c, (cx, cy), (12.5 - 1.5 * index) * unit, angle, unit, whole)


def _trigram_bar(c: Canvas, centre: Point, distance: float, angle: float, unit: float, whole: bool) -> None:
    """One bar across the diagonal, 6 units long, with a gap of half a unit if broken."""
    spans = ((0.0, 6.0),) if whole else ((-1.625, 2.75), (1.625, 2.75))
    for shift, length in spans:
        place = (centre[0] + distance, centre[1] + shift * unit)
        x, y = turn(place, centre, angle)
        c.bar(x, y, unit, length * unit, angle, "#000000")


@picture("flag_mexico", "sky", mirror=False)
def flag_mexico(c: Canvas) -> None:
    """Green, white and red bands with an eagle on a cactus, holding a snake."""
    top, height = _cloth_box(c, 4 / 7)
    _tricolour(c, top, height, ("#006847", "#ffffff", "#ce1126"))
    x, y = LEFT + WIDTH / 2, top + height / 2
    for side in (-1, 1):  # the half wreath of oak and laurel
        for step in range(7):
            angle = math.radians(90 + side * step * 13)
            px, py = x + 27 * math.cos(angle), y + 1 + 27 * math.sin(angle)
            c.ellipse(px, py, 4.6, 2, "#3f7a35", side * step * 13 - 35)
            c.ellipse(px, py - 2, 4.2, 1.8, "#5c9a48", side * step * 13 + 35)
    c.ellipse(x, y + 21, 15, 3.6, "#5aa9c2")
    c.rect(x - 7, y + 16, x + 7, y + 20, "#a9826a", 2)
    for px, py, angle in ((0, 13, 0), (-8, 11, -40), (8, 11, 40), (-13, 6, -10), (13, 6, 10)):
        c.ellipse(x + px, y + py, 3, 5, "#2f7d3f", angle)
    _eagle(c, x, y)


def _eagle(c: Canvas, x: float, y: float) -> None:
    """A brown eagle in profile facing the hoist, wings spread, with a green snake in its beak."""
    brown, dark = "#7a4f28", "#4a2d15"

    def at(*points: Point) -> list[Point]:
        return [(x + px, y + py) for px, py in points]

    for side, reach in ((-1, 0.85), (1, 1.0)):
        wing = [
            (1, -4),
            (9, -13),
            (19, -21),
            (21, -14),
            (23, -9),
            (21, -4),
            (21, 1),
            (17, 3),
            (15, 7),
            (3, 6),
        ]
        c.poly(at(*((side * reach * px, py * reach) for px, py in wing)), dark)
        for tip_x, tip_y in ((17, -17), (19, -9), (18, -2), (14, 4)):
            c.line(at((side * 5, -2), (side * reach * tip_x, reach * tip_y)), brown, 2.6)
    c.poly(at((0, 5), (13, 12), (9, 16), (1, 11)), dark)
    c.blob(at((-6, -14), (1, -13), (6, -3), (5, 7), (0, 11), (-5, 6), (-6, -4)), brown)
    c.ellipse(x - 4, y - 17, 5, 4.6, "#9a6c3c")
    c.poly(at((-7, -20), (-12, -18), (-13, -13), (-10.5, -15), (-6, -14)), "#e8ae25")
    c.ellipse(x - 5, y - 18, 1, 1, "#20140a")
    c.curve(at((-12, -20), (-14, -14), (-20, -9), (-15, -3), (-20, 3), (-15, 8)), "#4f9a3a", 2.4)
    for px in (-3, 2):
        c.line(at((px, 9), (px - 1, 14)), "#e8ae25", 1.8)


@picture("flag_italy", "sky", mirror=False, distractor=True)
def flag_italy(c: Canvas) -> None:
    """Plain green, white and red bands."""
    top, height = _cloth_box(c, 2 / 3)
    _tricolour(c, top, height, ("#009246", "#ffffff", "#ce2b37"))
