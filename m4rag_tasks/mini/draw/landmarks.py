"""Buildings and monuments, standing on a ground that the backdrop paints."""

from __future__ import annotations

from .canvas import Canvas, tone
from .registry import picture

BASE = 204.0  # where buildings meet the ground, a little below the horizon


def arch(c: Canvas, cx: float, top: float, half: float, bottom: float, color: str) -> None:
    """A pointed doorway or niche."""
    spring = top + half * 1.1
    curve = [(cx - half, spring), (cx - half * 0.7, top + half * 0.4), (cx, top)]
    mirrored = [(2 * cx - x, y) for x, y in reversed(curve)]
    c.poly([(cx - half, bottom), *curve, *mirrored, (cx + half, bottom)], color)


def framed_arch(c: Canvas, cx: float, top: float, half: float, bottom: float, wall: str) -> None:
    """An arch set in a rectangular frame."""
    c.rect(cx - half * 1.5, top - half * 0.5, cx + half * 1.5, bottom, tone(wall, 0.88))
    c.rect(cx - half * 1.35, top - half * 0.35, cx + half * 1.35, bottom, wall)
    arch(c, cx, top, half, bottom, tone(wall, 0.5))


def onion_dome(c: Canvas, cx: float, base: float, half: float, color: str) -> None:
    """A bulbous dome with a finial."""
    c.lathe(
        cx,
        [(base - half * 0.2, half * 0.82), (base, half * 0.82)],
        tone(color, 0.93),
        rounded=False,
    )
    shape = ((-1.9, 0.04), (-1.7, 0.2), (-1.35, 0.66), (-0.85, 1.0), (-0.45, 0.97), (-0.15, 0.8))
    c.lathe(cx, [(base + y * half, x * half) for y, x in shape], color)
    c.line([(cx, base - 1.9 * half), (cx, base - 2.35 * half)], "#b08d3c", 2)


def swept_roof(c: Canvas, cx: float, top: float, ridge: float, eave: float, bottom: float, color: str) -> None:
    """A tiled hip roof whose corners curve up."""
    right = [
        (ridge, top),
        (ridge + (eave - ridge) * 0.45, top + (bottom - top) * 0.65),
        (eave, bottom - 5),
    ]
    outline = [(cx - x, y) for x, y in right[::-1]] + [(cx + x, y) for x, y in right]
    under = [(cx + eave * 0.8, bottom), (cx - eave * 0.8, bottom)]
    c.poly([(x, y + 3) for x, y in outline + under], tone(color, 0.45))
    c.poly(outline + under, color)
    for step in range(-10, 11):
        part = step / 10
        c.line(
            [(cx + part * ridge, top + 1), (cx + part * eave * 0.8, bottom - 1)],
            tone(color, 0.8),
            1,
        )
    c.rect(cx - ridge - 2, top - 3, cx + ridge + 2, top + 1, tone(color, 0.75))


def stepped(c: Canvas, cx: float, levels: list[tuple[float, float, float]], color: str) -> None:
    """Sloping terraces from (top, bottom, half width at the bottom), each lit along its top."""
    for top, bottom, half in levels:
        slope = (bottom - top) * 0.45
        c.poly(
            [
                (cx - half, bottom),
                (cx - half + slope, top),
                (cx + half - slope, top),
                (cx + half, bottom),
            ],
            color,
        )
        c.poly(
            [
                (cx + half * 0.3, bottom),
                (cx + half * 0.3, top),
                (cx + half - slope, top),
                (cx + half, bottom),
            ],
            tone(color, 0.86),
        )
        c.line([(cx - half + slope, top), (cx + half - slope, top)], tone(color, 1.25), 2)


def stupa(c: Canvas, cx: float, base: float, half: float, color: str) -> None:
    """A bell-shaped stupa with a square knob and a spire."""
    c.lathe(
        cx,
        [
            (base - half * 1.5, half * 0.3),
            (base - half * 1.2, half * 0.75),
            (base - half * 0.4, half),
            (base, half),
        ],
        color,
    )
    c.rect(cx - half * 0.32, base - half * 1.85, cx + half * 0.32, base - half * 1.4, tone(color, 0.8))
    c.poly(
        [
            (cx - half * 0.2, base - half * 1.8),
            (cx, base - half * 2.6),
            (cx + half * 0.2, base - half * 1.8),
        ],
        color,
    )


@picture("borobudur", "grass", shadow=False)
def borobudur(c: Canvas) -> None:
    """A wide grey stepped temple of stone, set with bell stupas and a large one on top."""
    stone = c.pick("#7b756c", "#6d6460")
    levels = [(112, 126, 50), (124, 140, 68), (138, 158, 88), (156, 180, 106), (178, 208, 122)]
    for level in reversed(levels):
        stepped(c, 128, [level], stone)
    stupa(c, 128, 113, 23, stone)
    for y, half, count in ((126, 44, 6), (141, 62, 8), (159, 80, 9)):
        for index in range(count):
            x = 128 - half + 2 * half * index / (count - 1)
            stupa(c, x, y, 6, tone(stone, 1.12))
    for y, half, count in ((181, 96, 13), (208, 112, 15)):
        for index in range(count):
            x = 128 - half + 2 * half * index / (count - 1)
            c.rect(x - 4, y - 17, x + 4, y - 3, tone(stone, 0.75))
            arch(c, x, y - 15, 2.4, y - 3, tone(stone, 0.4))
    c.poly([(118, 208), (122, 122), (134, 122), (138, 208)], tone(stone, 0.8))
    for step in range(20):
        c.line([(119, 206 - step * 4.3), (137, 206 - step * 4.3)], tone(stone, 1.15), 1)


@picture("taj_mahal", "grass", shadow=False)
def taj_mahal(c: Canvas) -> None:
    """A white marble tomb with a large onion dome, arches, four minarets and a pool."""
    marble = c.pick("#f4f1ea", "#f3e3d0")
    c.rect(8, 190, 248, 208, tone(marble, 0.85))
    c.rect(8, 190, 248, 194, marble)
    for x, top in ((24, 74), (232, 74), (50, 92), (206, 92)):
        c.lathe(x, [(top, 4), (190, 6.5)], marble, rounded=False)
        for y in (top, top + 36, top + 72):
            c.rect(x - 7, y, x + 7, y + 3, tone(marble, 0.8))
        onion_dome(c, x, top, 6, marble)
    for x in (92, 164):
        c.rect(x - 12, 102, x + 12, 122, tone(marble, 0.9))
        onion_dome(c, x, 106, 13, marble)
    c.rect(104, 86, 152, 122, tone(marble, 0.92))
    onion_dome(c, 128, 88, 29, marble)
    c.poly([(66, 190), (66, 126), (76, 120), (180, 120), (190, 126), (190, 190)], tone(marble, 0.94))
    framed_arch(c, 128, 124, 17, 190, marble)
    for x in (86, 170):
        for y in (128, 162):
            framed_arch(c, x, y, 8, y + 27, marble)
    c.poly([(116, 208), (140, 208), (164, 256), (92, 256)], c.pick("#7fb2d8", "#c58f7a"))
    for side in (-1, 1):
        for step in range(4):
            x, y = 128 + side * (28 + step * 9), 216 + step * 10
            c.lathe(x, [(y - 14 - step * 2, 0.5), (y, 3.5 + step)], "#2f5a34", rounded=False)


@picture("temple_of_heaven", "paving", shadow=False)
def temple_of_heaven(c: Canvas) -> None:
    """A round hall with three dark-blue cone roofs and a gold knob on white terraces."""
    blue, red = c.pick("#234f93", "#2c4377"), "#a5291f"
    for top, half in ((206, 120), (192, 104), (178, 88)):
        c.rect(128 - half, top, 128 + half, top + 15, "#e9e5da")
        c.rect(128 + half * 0.55, top, 128 + half, top + 15, "#d6d1c4")
        c.line([(128 - half, top), (128 + half, top)], "#ffffff", 2.5)
        for step in range(-9, 10):
            c.line([(128 + step * half / 9.5, top), (128 + step * half / 9.5, top + 9)], "#c9c3b5", 1.6)
    c.poly([(108, 221), (116, 178), (140, 178), (148, 221)], "#d9d3c5")
    for step in range(8):
        c.line([(109 + step, 218 - step * 5), (147 - step, 218 - step * 5)], "#b9b2a2", 1.2)
    for roof_top, roof_base, ridge, eave, wall_base, wall in (
        (130, 146, 44, 80, 178, 58),
        (92, 110, 30, 62, 132, 44),
        (46, 74, 5, 46, 94, 31),
    ):
        c.rect(128 - wall, roof_base - 2, 128 + wall, wall_base, red)
        for step in range(-4, 5):
            x = 128 + step * wall / 4.4
            c.rect(x - 1.6, roof_base, x + 1.6, wall_base, "#6d150f")
        c.rect(128 - wall, roof_base, 128 + wall, roof_base + 7, "#2f7d6a")
        c.rect(128 - wall, roof_base + 5, 128 + wall, roof_base + 7, "#d8ab3a")
        profile = [
            (roof_top, ridge),
            ((roof_top + roof_base) / 2 + 2, ridge + (eave - ridge) * 0.42),
            (roof_base, eave),
            (roof_base + 5, eave * 0.93),
        ]
        c.lathe(128, profile, blue, rounded=False)
        for step in range(-8, 9):
            c.line(
                [(128 + step * ridge / 8, roof_top), (128 + step * eave / 8.6, roof_base)],
                tone(blue, 0.75),
                0.8,
            )
        c.line([(128 - eave, roof_base + 1), (128 + eave, roof_base + 1)], "#d8ab3a", 1.6)
    c.lathe(128, [(26, 1), (32, 6), (40, 7), (46, 4), (48, 7)], "#e2b33c")


@picture("forbidden_city", "paving", shadow=False, distractor=True)
def forbidden_city(c: Canvas) -> None:
    """A long red wall with gates under a double yellow-tiled roof, on white terraces."""
    red, yellow = "#a62c20", "#e0a52e"
    for top, half in ((200, 126), (190, 116)):
        c.rect(128 - half, top, 128 + half, top + 14, "#efece4")
        for step in range(-14, 15):
            c.line(
                [(128 + step * half / 14.4, top + 2), (128 + step * half / 14.4, top + 9)],
                "#c3bdb0",
                1.5,
            )
    c.rect(22, 142, 234, 192, red)
    for step in range(-5, 6):
        c.rect(128 + step * 19.5 - 2.5, 142, 128 + step * 19.5 + 2.5, 192, "#6e160f")
    c.rect(22, 142, 234, 150, "#2c6f68")
    swept_roof(c, 128, 116, 84, 124, 144, yellow)
    c.rect(52, 98, 204, 116, red)
    c.rect(52, 98, 204, 105, "#2c6f68")
    swept_roof(c, 128, 66, 62, 100, 100, yellow)
    c.poly([(104, 214), (114, 190), (142, 190), (152, 214)], "#d9d4c8")
