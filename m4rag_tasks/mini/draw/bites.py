"""Things eaten from the hand: parcels, pastries, sweets and skewers."""

from __future__ import annotations

import math

from .canvas import Canvas, around, tone, turn
from .food import banana_leaf, bowl_of, chili, cucumber, grains, plate, skewer, wedge
from .registry import picture


@picture("tamale", "table")
def tamale(c: Canvas) -> None:
    """Corn-husk parcels tied with strips; one is open and shows pale dough and red filling."""
    plate(c, 128, 132, 118, 106, c.pick("#3f7f8c", "#d9734a"))
    bowl_of(c, 188, 74, 26, "#7a3b20", "#b3261a")
    wedge(c, 62, 196, 16, 20, "#8fbf3f")
    _husk(c, 92, 84, 74, 25, -14)
    _husk(c, 100, 124, 78, 26, -10)
    for y in (-16, 16):
        _husk(c, 140, 176 + y, 84, 24, -6, tied=False)
    masa = "#f2d99a"
    c.bar(140, 177, 120, 38, -6, tone(masa, 0.75))
    for step in range(18):
        offset = -17 + 2 * step
        c.bar(140, 175 + offset, 118, 2.6, -6, tone(masa, 1.12 - 0.0006 * (offset + 6) ** 2))
    c.ellipse(200, 169, 11, 19, tone(masa, 1.2), -6)
    c.blob(c.wobble(200, 169, 6.5, 12, 0.15), "#9c2a14")


def _husk(c: Canvas, cx: float, cy: float, rx: float, ry: float, angle: float, tied: bool = True) -> None:
    """A ribbed corn husk, pinched at its ties if ``tied``."""
    husk = "#dcc48a"
    ends = 0.55 if tied else 0.45
    edge = [(-1, -ends), (-0.7, -0.5), (-0.45, -0.95), (0.3, -1), (0.7, -0.5), (1, -ends)]
    edge += [(x, -y) for x, y in reversed(edge)]
    outline = [turn((cx + x * rx, cy + y * ry), (cx, cy), angle) for x, y in edge]
    c.blob([(x + 1, y + 3) for x, y in outline], tone(husk, 0.55))
    c.blob(outline, husk)
    for step in range(-4, 5):
        rib = [(-0.95, step / 10), (-0.5, step / 5.2), (0.35, step / 5.2), (0.95, step / 10)]
        points = [turn((cx + x * rx, cy + y * ry), (cx, cy), angle) for x, y in rib]
        c.curve(points, tone(husk, 0.8 if step % 2 else 1.3), 1.3)
    if tied:
        for x in (-0.7, 0.7):
            ends_of_tie = [(x, -0.58), (x + 0.03, 0), (x, 0.58)]
            tie = [turn((cx + p * rx, cy + q * ry), (cx, cy), angle) for p, q in ends_of_tie]
            c.curve(tie, "#8f6f35", 5)


@picture("zongzi", "table", distractor=True)
def zongzi(c: Canvas) -> None:
    """Leaf-wrapped rice pyramids tied with string, one opened to show sticky rice."""
    plate(c, 128, 138, 118, 98, "#e9edf0")
    for x, y in ((76, 96), (166, 88)):
        left, top, right, low = (x - 48, y + 38), (x - 2, y - 46), (x + 50, y + 32), (x + 4, y + 52)
        c.poly([left, top, right, low], "#3e5f2a")
        c.poly([left, top, low], "#5d8238")
        for step in range(1, 6):
            part = step / 6
            foot = (left[0] + (low[0] - left[0]) * part, left[1] + (low[1] - left[1]) * part)
            c.line([top, foot], "#49692d", 1.2)
        for part in (0.45, 0.68):
            mid = (top[0] + (low[0] - top[0]) * part, top[1] + (low[1] - top[1]) * part)
            ends = [(top[0] + (p[0] - top[0]) * part, top[1] + (p[1] - top[1]) * part) for p in (left, right)]
            c.line([ends[0], mid, ends[1]], "#f0e3c0", 3)
    banana_leaf(c, 128, 194, 88, 26, 4)
    c.poly([(80, 198), (128, 140), (180, 196), (134, 212)], "#d9c49a")
    c.poly([(80, 198), (128, 140), (134, 212)], "#f1e5c8")
    grains(c, 120, 186, 22, 18, "#fff6e2", 70, 3)
    c.blob(c.wobble(148, 188, 12, 9, 0.12), "#8a4322")


@picture("mooncake", "table")
def mooncake(c: Canvas) -> None:
    """Round golden-brown cakes with moulded flowers; a cut one shows paste and a yolk."""
    plate(c, 128, 132, 120, 104, c.pick("#f0ede6", "#2f4f4a"))
    _moulded_cake(c, 166, 72, 42)
    _moulded_cake(c, 82, 108, 54)
    x, y, crust = 164, 152, "#c57a24"
    for px, py in around(x, y, 51, 33, 20, 180)[:11]:
        c.ellipse(px, py, 9, 9, crust)
    c.sector(x, y, 54, 37, 180, 360, crust)
    for px, py in around(x, y - 2, 32, 20, 12, 180)[1:6]:
        c.ellipse(px, py, 8, 4, tone(crust, 1.28), math.degrees(math.atan2(py - y, px - x)))
    c.rect(x - 60, y - 2, x + 60, y + 46, tone(crust, 0.6), 7)
    c.rect(x - 59, y - 2, x + 59, y + 43, tone(crust, 0.85), 7)
    c.rect(x - 53, y + 3, x + 53, y + 38, "#5a2b12", 6)
    c.ball(x, y + 21, 17, 15, "#f5941d")


def _moulded_cake(c: Canvas, cx: float, cy: float, radius: float) -> None:
    """A scalloped cake with a raised rim and an eight-petalled flower."""
    crust, lobes = "#c57a24", 18
    for drop, color in ((14, tone(crust, 0.55)), (9, tone(crust, 0.68)), (0, crust)):
        for x, y in around(cx, cy + drop, radius * 0.9, radius * 0.82, lobes):
            c.ellipse(x, y, radius * 0.17, radius * 0.16, color)
        c.ellipse(cx, cy + drop, radius * 0.92, radius * 0.85, color)
    c.ring(cx, cy, radius * 0.84, radius * 0.76, tone(crust, 1.25), 3)
    c.ring(cx, cy, radius * 0.76, radius * 0.69, tone(crust, 0.68), 2)
    for index, (x, y) in enumerate(around(cx, cy, radius * 0.42, radius * 0.38, 8)):
        c.ellipse(x, y + 1.5, radius * 0.25, radius * 0.12, tone(crust, 0.62), index * 45)
        c.ellipse(x, y, radius * 0.23, radius * 0.1, tone(crust, 1.28), index * 45)
    c.ball(cx, cy, radius * 0.16, radius * 0.15, tone(crust, 1.15))


@picture("maamoul", "table", distractor=True)
def maamoul(c: Canvas) -> None:
    """Pale domed shortbread with pressed ridges, dusted with white sugar."""
    plate(c, 128, 134, 118, 102, "#4a7f86")
    for x, y in ((84, 92), (172, 92), (76, 160), (180, 160), (128, 128)):
        dough = "#f6cf85"
        c.ellipse(x, y + 7, 39, 33, tone(dough, 0.62))
        c.ball(x, y, 38, 33, tone(dough, 0.95))
        for index in range(16):
            inner, outer = (around(x, y, r * 1.15, r, 16)[index] for r in (9, 27))
            c.line([inner, outer], tone(dough, 0.78), 1.8)
        c.ring(x, y, 9, 8, tone(dough, 0.78), 2)
        c.scatter(90, x - 2, y - 3, 34, 28, lambda px, py: c.ellipse(px, py, 0.9, 0.9, "#ffffff"))


@picture("jalebi", "table")
def jalebi(c: Canvas) -> None:
    """Bright orange syrupy spirals piled on a plate, with a few green pistachio bits."""
    plate(c, 128, 132, 118, 106, c.pick("#eceff1", "#b9c4c9"))
    spots = [(128, 78), (74, 108), (182, 108), (90, 168), (168, 168), (128, 126)]
    for index, (cx, cy) in enumerate(spots):
        start, turns, reach = index * 63 + c.pick(0, 40), 3.1, 38
        coil = []
        for step in range(110):
            part = step / 109
            angle = math.radians(start + 360 * turns * part)
            radius = 3 + (reach - 3) * part
            coil.append((cx + radius * math.cos(angle), cy + radius * 0.9 * math.sin(angle)))
        c.line([(x + 1.5, y + 3) for x, y in coil], "#9a3d05", 9.5)
        c.line(coil, "#f0800f", 8.5)
        c.line([(x - 1, y - 1.6) for x, y in coil], "#ffb64d", 2.2)
    c.scatter(26, 128, 126, 76, 68, lambda x, y: c.ellipse(x, y, 2.6, 1.6, c.jitter("#7fa83c"), 30))


@picture("churro", "table", distractor=True)
def churro(c: Canvas) -> None:
    """Ridged sugared dough sticks beside a cup of dark chocolate."""
    plate(c, 128, 134, 118, 100, "#f2efe9")
    dough = "#dd9a45"
    for index, (x, y) in enumerate(((60, 176), (82, 190), (104, 202), (126, 212), (84, 160))):
        length = 118
        tip = turn((x + length, y), (x, y), -42 - index * 2)
        c.line([(x, y + 3), (tip[0], tip[1] + 3)], tone(dough, 0.5), 20)
        for offset, light in (
            (8, 0.62),
            (4, 0.85),
            (5, 1.0),
            (-1, 0.72),
            (-2, 1.08),
            (-8, 0.78),
            (-8.5, 1.22),
        ):
            c.line(
                [(x, y + offset), (tip[0], tip[1] + offset)],
                tone(dough, light),
                6 if light < 0.9 else 4,
            )
        for _ in range(55):
            part, shift = c.rng.random(), c.rng.uniform(-8, 7)
            px, py = x + (tip[0] - x) * part, y + (tip[1] - y) * part + shift
            c.ellipse(px, py, 0.9, 0.9, "#fff6e4")
    bowl_of(c, 186, 168, 40, "#ffffff", "#3d1c0c")


@picture("sate", "table")
def sate(c: Canvas) -> None:
    """Grilled skewers side by side on a leaf, with peanut sauce, cucumber and rice cake."""
    plate(c, 128, 132, 122, 104, c.pick("#f0ece2", "#7d4a2c"))
    banana_leaf(c, 128, 134, 104, 78, -10)
    bowl_of(c, 184, 84, 33, "#eae4d6", "#a9692c")
    grains(c, 184, 85, 20, 18, "#d39a55", 40, 1.8)
    for index in range(6):
        x, y = 28 + index * 16, 130 + index * 17
        meat = [(c.jitter("#9a5321", 0.18), 8.6) for _ in range(5)]
        skewer(c, (x, y), (x + 132, y - 62), meat, 0.26)
    for x, y in ((66, 76), (84, 66), (102, 62)):
        cucumber(c, x, y, 13)
    for x, y in ((206, 140), (196, 160), (180, 176)):
        c.bar(x, y + 2, 20, 18, 20, "#b9c19a")
        c.bar(x, y, 19, 16, 20, "#f3f3df")
    chili(c, 118, 56, 22, 25)


@picture("yakitori", "table", distractor=True)
def yakitori(c: Canvas) -> None:
    """Glazed chicken and green spring-onion skewers on a long dark plate."""
    c.rect(10, 62, 246, 204, "#15181d", 8)
    c.rect(13, 62, 243, 198, "#2f353d", 7)
    for index in range(4):
        y = 84 + index * 32
        pieces = [("#a2561c" if step % 2 == 0 else "#7fae45", (13.5, 9)[step % 2]) for step in range(7)]
        skewer(c, (240, y + 4), (22, y - 4), pieces, 0.22)
    grains(c, 110, 132, 84, 54, "#f0dfb4", 70, 1.5)
    wedge(c, 222, 186, 13, 200, "#f2d23a")
