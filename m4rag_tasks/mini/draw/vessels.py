"""Pots, cups and drinks."""

from __future__ import annotations

from .canvas import Canvas, around, tone
from .registry import picture


@picture("tagine", "cloth")
def tagine(c: Canvas) -> None:
    """A glazed clay pot with a tall cone-shaped lid, a knob and a shallow base."""
    clay = c.pick("#b85a2b", "#a8482a")
    c.lathe(128, [(176, 100), (186, 104), (206, 92), (220, 66), (224, 60)], tone(clay, 0.85))
    c.ellipse(128, 177, 100, 17, tone(clay, 0.6))
    c.lathe(
        128,
        [(46, 10), (64, 14), (92, 26), (124, 46), (152, 70), (172, 89), (181, 88), (187, 70)],
        clay,
    )
    c.ball(128, 40, 16, 14, clay)
    band = c.pick("#f0dcae", "#2d5f8a")
    for y, half in ((96, 29), (160, 78)):
        c.curve(
            [
                (128 - half, y),
                (128 - half * 0.5, y + 4),
                (128, y + 6),
                (128 + half * 0.5, y + 4),
                (128 + half, y),
            ],
            band,
            3,
        )
    for step in range(-4, 5):
        x = 128 + step * 15
        y = 146 - abs(step) * 0.8
        c.poly([(x - 6, y), (x, y - 11), (x + 6, y), (x, y + 11)], band)
        c.ellipse(x, y, 2, 3.4, clay)


@picture("jebena", "cloth")
def jebena(c: Canvas) -> None:
    """A black round-bellied clay coffee pot with a long neck, spout and two small cups."""
    clay = c.pick("#3c2a23", "#54352a")
    c.ellipse(116, 214, 46, 11, "#c08a45")
    c.ring(116, 213, 43, 9, "#8d5f2b", 3)
    c.curve([(122, 66), (152, 72), (168, 104), (154, 140)], tone(clay, 0.7), 11)
    c.curve([(121, 65), (151, 71), (166, 103), (153, 139)], tone(clay, 1.15), 5)
    c.curve([(86, 140), (58, 122), (46, 98)], tone(clay, 0.85), 15)
    c.ellipse(45, 95, 9, 4.5, tone(clay, 0.45), -35)
    c.lathe(
        112,
        [(42, 15), (50, 12), (96, 13), (112, 24), (140, 50), (172, 57), (200, 42), (214, 26)],
        clay,
    )
    c.ellipse(112, 42, 15, 4.5, tone(clay, 0.5))
    c.lathe(112, [(22, 3), (28, 8), (38, 13), (44, 12)], "#c99a4e")
    for y, half in ((120, 32), (126, 38)):
        c.curve([(112 - half, y), (112, y + 9), (112 + half, y)], tone(clay, 1.25), 1.6)
    for x, y in ((186, 212), (224, 200)):
        c.ellipse(x, y + 9, 23, 6, "#e8e2d4")
        c.lathe(x, [(y - 18, 17), (y - 6, 15), (y + 4, 10), (y + 9, 8)], "#fbf8f0")
        c.ellipse(x, y - 18, 17, 5, "#e5dfd0")
        c.ellipse(x, y - 17.4, 14, 3.8, "#2f170b")
        c.curve([(x - 15, y - 9), (x, y - 5), (x + 15, y - 9)], c.pick("#c0392b", "#2f7d4f"), 2)


@picture("dallah", "cloth", distractor=True)
def dallah(c: Canvas) -> None:
    """A brass coffee pot with a pinched waist, a long beak-like spout and a spired lid."""
    brass = "#d3a534"
    c.curve([(146, 96), (186, 92), (198, 130), (164, 182)], tone(brass, 0.6), 11)
    c.curve([(146, 95), (185, 91), (196, 129), (163, 181)], brass, 6)
    c.poly([(106, 118), (74, 80), (24, 62), (34, 82), (70, 116), (98, 150)], tone(brass, 0.75))
    c.poly([(106, 110), (74, 76), (24, 62), (70, 100), (100, 136)], tone(brass, 1.2))
    c.lathe(124, [(98, 27), (122, 21), (138, 23), (170, 46), (202, 55), (216, 50), (222, 52)], brass)
    c.lathe(
        124,
        [(24, 1.5), (36, 5), (46, 3.5), (56, 8), (70, 17), (88, 27), (98, 28)],
        tone(brass, 0.95),
    )
    c.ball(124, 24, 5, 6, brass)
    for y, half in ((99, 27), (139, 23), (214, 50)):
        c.curve([(124 - half, y), (124, y + 5), (124 + half, y)], tone(brass, 0.6), 2.4)
    for step in range(-3, 4):
        c.ellipse(124 + step * 13, 186 - abs(step), 4, 7, tone(brass, 0.65))
        c.ellipse(124 + step * 13, 185 - abs(step), 2.4, 5, tone(brass, 1.3))


@picture("mate", "cloth")
def mate(c: Canvas) -> None:
    """A brown gourd cup with a silver rim, green tea leaves and a bent metal straw."""
    gourd = c.pick("#7a4420", "#4d2a1a")
    c.ellipse(122, 222, 50, 10, tone(gourd, 0.5))
    c.lathe(
        122,
        [(96, 46), (110, 49), (130, 60), (160, 73), (190, 66), (212, 44), (224, 34)],
        gourd,
    )
    c.lathe(122, [(84, 50), (92, 51), (104, 49), (108, 47)], "#c7ccd1", rounded=False)
    c.ellipse(122, 85, 50, 16, "#dfe3e6")
    c.ellipse(122, 86, 45, 13, "#3f5a1e")

    def leaf(x: float, y: float) -> None:
        c.ellipse(x, y, 2.6, 1.1, c.jitter("#7f9a3a", 0.3), c.rng.uniform(0, 180))

    c.scatter(220, 122, 85, 42, 11, leaf)
    straw = [(134, 88), (160, 50), (178, 30), (206, 24)]
    c.tube(straw, "#aeb5bc", 8)
    c.ball(159, 52, 7, 6, "#d9b04a")
    c.tube([(196, 26), (210, 23)], "#d9b04a", 9)
    for index, (x, y) in enumerate(around(122, 160, 46, 22, 10)):
        c.ellipse(x, y, 7, 2.6, tone(gourd, 1.3), index * 36)
    c.ball(122, 160, 10, 10, tone(gourd, 1.2))


@picture("chicha_morada", "cloth", distractor=True)
def chicha_morada(c: Canvas) -> None:
    """A tall glass of deep purple drink with fruit cubes, beside an ear of purple corn."""
    c.lathe(100, [(44, 50), (214, 38)], "#dfe8ee", rounded=False)
    c.lathe(100, [(70, 46), (206, 35)], "#5a1446", rounded=False)
    c.ellipse(100, 208, 36, 8, "#3c0b30")
    c.ellipse(100, 44, 50, 11, "#f2f6f8")
    c.ellipse(100, 45, 47, 9, "#d4dfe6")
    c.ellipse(100, 70, 46, 11, "#7d2363")
    for x, y in ((76, 70), (92, 65), (108, 73), (124, 68), (100, 76)):
        c.rect(x - 6, y - 5, x + 6, y + 5, "#f0dfae", 1.5)
        c.rect(x - 6, y - 5, x + 6, y - 2, "#fbf1d2", 1.5)
    c.line([(64, 84), (70, 190)], "#8f3f7c", 4)
    c.line([(118, 68), (142, 18)], "#e6493c", 6)
    for side in (-1, 1):
        c.blob(
            [(198, 226), (198 + side * 34, 196), (198 + side * 40, 150), (198 + side * 16, 180)],
            "#cdbb7f",
        )
    c.ellipse(198, 142, 24, 74, "#26101f")
    for row in range(17):
        for col in range(-3, 4):
            y = 80 + row * 8
            half = 23 * (1 - ((y - 142) / 76) ** 2) ** 0.5
            c.ball(198 + col * half / 3.4, y, 4, 4, c.jitter("#4a1a40", 0.25))
