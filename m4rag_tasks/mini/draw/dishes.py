"""Dishes served on a plate, tray or pan."""

from __future__ import annotations

import math

from .canvas import Canvas, around, tone
from .food import (
    banana_leaf,
    bowl_of,
    chili,
    cucumber,
    dome_of_rice,
    grains,
    half_egg,
    heap,
    plate,
    wedge,
)
from .registry import picture


@picture("injera", "table")
def injera(c: Canvas) -> None:
    """A large spongy grey-brown flatbread on a woven tray, with heaps of stew."""
    straw = c.pick("#c58a3d", "#b0503a")
    c.ellipse(128, 130, 120, 110, tone(straw, 0.8))
    for ring, (rx, ry) in enumerate(((119, 109), (114, 104), (109, 99))):
        c.ring(128, 130, rx - 2, ry - 2, tone(straw, (1.15, 0.75)[ring % 2]), 3)
    c.blob(c.wobble(128, 131, 107, 97, 0.015, 20), "#9c7d58")
    c.blob(c.wobble(128, 129, 106, 96, 0.015, 20), "#c8ac86")

    def hole(x: float, y: float) -> None:
        size = c.rng.uniform(0.6, 1.5)
        c.ellipse(x, y, size, size * 0.8, c.jitter("#a48560", 0.08))

    c.scatter(1300, 128, 129, 101, 91, hole)
    stews = ["#e0b02c", "#4d7a2a", "#b4551d", "#d98e2b", "#5f8f35", "#7a2d17"]
    for (x, y), color in zip(around(128, 129, 62, 56, 6, c.pick(-90, -65)), stews, strict=True):
        heap(c, x, y, 25, 22, color, 34)
    heap(c, 128, 129, 31, 27, "#8f2711", 50)
    half_egg(c, 122, 126, 13, -20)


@picture("bibimbap", "table")
def bibimbap(c: Canvas) -> None:
    """A black stone bowl with coloured sectors of vegetables and an egg yolk in the middle."""
    for rx, ry, color in ((112, 102, "#17171a"), (108, 97, "#3b3b40"), (98, 88, "#1d1d20")):
        c.ellipse(128, 132 - (112 - rx) * 0.3, rx, ry, color)
    colors = ["#e8741e", "#2f5f24", "#eee3a6", "#6b4226", "#b9d27a", "#f4f1e6", "#8c3a1e"]
    turn, width = c.pick(-90, -40), 360 / len(colors)
    for index, color in enumerate(colors):
        start = turn + index * width
        c.sector(128, 130, 92, 82, start, start + width, tone(color, 0.8))
        for _ in range(75):
            angle = math.radians(start + c.rng.uniform(0.06, 0.94) * width)
            reach = math.sqrt(c.rng.uniform(0.12, 0.85))
            x, y = 128 + 92 * reach * math.cos(angle), 130 + 82 * reach * math.sin(angle)
            slant = angle + c.rng.uniform(-0.5, 0.5)
            tip = (x + 9 * math.cos(slant), y + 8 * math.sin(slant))
            c.line([(x, y), tip], c.jitter(color, 0.22), 2.4)
    c.blob(c.wobble(128, 130, 37, 33, 0.08), "#e3ddcf")
    c.blob(c.wobble(127, 128, 36, 32, 0.08), "#fffdf6")
    c.ball(127, 128, 20, 18, "#f7a616")
    c.ellipse(120, 121, 4, 2.5, "#fff0c0", -30)
    grains(c, 128, 130, 50, 45, "#f3e6c4", 22, 1.5)


@picture("tumpeng", "table")
def tumpeng(c: Canvas) -> None:
    """A tall cone of yellow rice on a leaf-lined bamboo tray, ringed by side dishes."""
    c.ellipse(128, 186, 116, 56, "#8b6331")
    c.ellipse(128, 183, 114, 53, "#c99b56")
    c.ellipse(128, 184, 104, 47, "#a87a3c")
    for x, y in around(128, 184, 62, 26, 9, 10):
        banana_leaf(c, x, y, 40, 15, math.degrees(math.atan2(y - 184, x - 128)))
    for x, color in ((62, "#8f4c22"), (92, "#4f8a34"), (166, "#b5601f"), (196, "#e3c24d")):
        heap(c, x, 166, 19, 12, color)
    yellow = "#f2bd22"
    c.lathe(128, [(32, 2), (40, 7), (110, 32), (170, 53), (186, 56), (196, 44)], yellow, rounded=False)
    for _ in range(420):
        part = math.sqrt(c.rng.random())
        x, y = 128 + c.rng.uniform(-0.9, 0.9) * 54 * part, 36 + 150 * part
        c.ellipse(x, y, 2.6, 1.1, c.jitter(yellow, 0.14), c.rng.uniform(0, 180))
    c.lathe(128, [(22, 0.5), (30, 6), (62, 19)], "#3c7f3a", rounded=False)
    chili(c, 128, 22, 13, -100)
    foods = ["egg", "#a4521d", "cucumber", "#c52d1c", "egg", "#4f8a34", "cucumber", "#8f4c22"]
    if c.article:
        foods = foods[3:] + foods[:3]
    for index, food in enumerate(foods):
        angle = math.radians(172 - index * 23.5)
        x, y = 128 + 86 * math.cos(angle), 184 + 32 * math.sin(angle)
        if food == "egg":
            half_egg(c, x, y, 13, 15)
        elif food == "cucumber":
            for step in (-7, 0, 7):
                cucumber(c, x + step, y, 10)
        else:
            heap(c, x, y, 16, 11, food)


@picture("paella", "table")
def paella(c: Canvas) -> None:
    """A wide two-handled pan of yellow rice with prawns, mussels, peas and lemon wedges."""
    iron = c.pick("#3a3a3d", "#7b7f85")
    for x, bend in ((12, 4), (244, 252)):
        c.curve([(x, 108), (bend, 128), (x, 148)], tone(iron, 0.8), 7)
    c.ellipse(128, 130, 114, 108, tone(iron, 0.7))
    c.ellipse(128, 128, 113, 106, tone(iron, 1.2))
    c.ellipse(128, 129, 105, 98, "#c9901b")
    grains(c, 128, 129, 101, 94, "#efb632", 1200, 3)
    for _ in range(3):
        c.scatter(12, 128, 129, 90, 84, lambda x, y: c.ball(x, y, 3, 2.8, "#5f9e3a"))
    for x, y in around(128, 129, 70, 66, 7, 15):
        slant = c.rng.uniform(0, 180)
        c.bar(x, y, 24, 5, slant, "#c02618")
        c.bar(x, y - 1, 22, 1.5, slant, "#e05a3a")
    for index, (x, y) in enumerate(around(128, 129, 62, 57, 6, c.pick(0, 30))):
        if index % 2:
            _mussel(c, x, y, 60 * index)
        else:
            _prawn(c, x, y, 60 * index)
    _prawn(c, 128, 129, 200)
    for index, (x, y) in enumerate(around(128, 129, 90, 83, 5, c.pick(-90, -60))):
        wedge(c, x, y, 15, index * 72 + c.pick(0, 30), "#f6d62c")


def _prawn(c: Canvas, x: float, y: float, start: float) -> None:
    """A curled pink prawn, thick at the head, with a fanned tail."""
    for index in range(13):
        angle = math.radians(start + index * 19)
        size = 8.5 - index * 0.42
        color = tone("#ee7a4c", 1.18 if index % 2 else 0.92)
        c.ellipse(x + 15 * math.cos(angle), y + 15 * math.sin(angle), size, size, color)
    tail = math.radians(start + 262)
    for spread in (-0.35, 0.35):
        base = (x + 15 * math.cos(tail), y + 15 * math.sin(tail))
        tip = (x + 22 * math.cos(tail + spread), y + 22 * math.sin(tail + spread))
        c.line([base, tip], "#d4502a", 3.5)
    head = math.radians(start - 22)
    c.ellipse(x + 17 * math.cos(head), y + 17 * math.sin(head), 1.6, 1.6, "#1a1010")


def _mussel(c: Canvas, x: float, y: float, angle: float) -> None:
    """An open mussel: blue-black shell and orange flesh."""
    c.ellipse(x, y, 20, 11, "#15161f", angle)
    c.ellipse(x, y, 17.5, 8.6, "#8f93ab", angle)
    c.ellipse(x, y, 12.5, 5.8, "#e88f33", angle)
    c.ellipse(x - 1, y - 1, 7, 2, "#f6b565", angle)


@picture("dosa", "table", distractor=True)
def dosa(c: Canvas) -> None:
    """A long crisp golden rolled crepe on a steel plate, with three small bowls."""
    plate(c, 128, 132, 118, 104, "#c6ccd2")
    for x, filling in ((66, "#f3efe2"), (124, "#c8401f"), (182, "#c77d22")):
        bowl_of(c, x, 78, 27, "#aab1b8", filling)
    body = "#ecbc66"
    c.bar(128, 164, 222, 56, -8, tone(body, 0.5))
    for step in range(29):
        offset = -28 + step * 2
        c.bar(
            128 + offset * 0.13,
            160 + offset,
            222,
            2.6,
            -8,
            tone(body, 1.1 - 0.0003 * (offset + 10) ** 2),
        )

    def crisp(x: float, y: float) -> None:
        size = c.rng.uniform(2, 5)
        c.ellipse(x, y, size * 1.5, size * 0.7, c.jitter("#c98236", 0.12), c.rng.uniform(-30, 15))

    c.scatter(150, 132, 158, 84, 15, crisp)
    c.curve([(22, 194), (80, 187), (160, 174), (240, 165)], "#b3752f", 2.5)
    for rx, ry, color in (
        (12, 28, "#b3752f"),
        (10, 25, "#f4d08a"),
        (6, 18, "#b3752f"),
        (4.5, 15, "#8a5320"),
    ):
        c.ellipse(20, 176, rx, ry, color, -8)


@picture("nasi_lemak", "table", distractor=True)
def nasi_lemak(c: Canvas) -> None:
    """White rice on a banana leaf with red sambal, egg, cucumber, peanuts and anchovies."""
    banana_leaf(c, 128, 132, 120, 98, -8)
    dome_of_rice(c, 128, 150, 50, "#f4f1e8")
    heap(c, 128, 184, 36, 21, "#a31f10", 60)
    half_egg(c, 60, 120, 25, -25)
    for x, y in ((182, 152), (198, 136), (206, 116)):
        cucumber(c, x, y, 18)
    c.scatter(26, 66, 164, 24, 17, lambda x, y: c.ball(x, y, 5, 3.5, c.jitter("#b8763a")))

    def anchovy(x: float, y: float) -> None:
        c.curve([(x - 9, y), (x, y - 3), (x + 9, y + 1)], c.jitter("#9c7a4a", 0.25), 2.8)

    c.scatter(28, 160, 76, 34, 16, anchovy)


@picture("jollof_rice", "table", distractor=True)
def jollof_rice(c: Canvas) -> None:
    """Orange-red rice on a white plate with fried plantain slices and a chicken leg."""
    plate(c, 128, 132, 116, 106, "#f4f2ee")
    c.blob(c.wobble(120, 126, 82, 72, 0.05), "#a8380f")
    grains(c, 120, 126, 78, 68, "#dd5a1c", 1100, 3.2)
    c.scatter(18, 120, 126, 66, 58, lambda x, y: c.ball(x, y, 2.8, 2.6, "#5f9e3a"))
    for x, y in ((72, 186), (98, 198), (126, 202), (154, 198)):
        c.ellipse(x, y + 2, 19, 13, "#7a4312", -25)
        c.ellipse(x, y, 18, 12, "#e3a02f", -25)
        c.ellipse(x, y, 11, 6, "#f0c35c", -25)
    c.tube([(176, 118), (206, 84)], "#efe4cf", 9)
    c.ball(211, 79, 7, 7, "#efe4cf")
    c.ball(158, 138, 36, 29, "#8a4517")
    grains(c, 156, 136, 28, 20, "#5e2a0c", 26, 2.4)


@picture("couscous", "table", distractor=True)
def couscous(c: Canvas) -> None:
    """A mound of fine yellow semolina with carrots, courgettes, pumpkin and chickpeas."""
    plate(c, 128, 136, 118, 102, "#eef2f4")
    for x, y in around(128, 136, 105, 91, 30):
        c.ellipse(x, y, 4, 4, "#2c5fa5")
    c.ball(128, 132, 84, 72, "#dcb44e")
    c.scatter(2300, 128, 132, 82, 70, lambda x, y: c.ellipse(x, y, 1.2, 1.1, c.jitter("#e6c366", 0.2)))
    for index, (x, y) in enumerate(around(128, 124, 44, 34, 9)):
        color = ("#e2711d", "#4d8a3a", "#e8a23a")[index % 3]
        angle = index * 40
        c.ellipse(x, y + 2, 25, 8.5, tone(color, 0.6), angle)
        c.ellipse(x, y, 24, 7.5, color, angle)
        c.ellipse(x, y - 2, 17, 2.4, tone(color, 1.3), angle)
    heap(c, 128, 122, 22, 17, "#8a4a22")
    c.scatter(34, 128, 138, 74, 58, lambda x, y: c.ball(x, y, 4.4, 4, "#d9b071"))
