"""Musical instruments, drawn upright; most are shown leaning."""

from __future__ import annotations

from .canvas import Canvas, Point, around, tone
from .registry import picture


def strings(c: Canvas, top: list[Point], bottom: list[Point], color: str = "#f3ecd8") -> None:
    """Thin straight strings between matching points."""
    for pair in zip(top, bottom, strict=True):
        c.line(pair, color, 0.8)


def spread(cx: float, y: float, half: float, count: int) -> list[Point]:
    """``count`` points side by side."""
    return [(cx - half + 2 * half * i / (count - 1), y) for i in range(count)]


def pegs(c: Canvas, x: float, ys: list[float], reach: float, color: str) -> None:
    """Tuning pegs sticking out to both sides in turn."""
    for index, y in enumerate(ys):
        side = 1 if index % 2 else -1
        c.line([(x, y), (x + side * reach, y - 1)], tone(color, 0.8), 3)
        c.ball(x + side * reach, y - 1, 3.6, 3, color)


def rose(c: Canvas, x: float, y: float, radius: float) -> None:
    """A carved sound hole."""
    c.ellipse(x, y, radius, radius, "#3a2212")
    c.ring(x, y, radius, radius, "#e0c48c", 1.6)
    for step in range(6):
        c.ellipse(x, y, radius * 0.85, radius * 0.14, "#b58a4c", step * 30)


def pear_body(c: Canvas, cx: float, top: float, bottom: float, half: float, color: str, rim: str) -> None:
    """A pear-shaped soundboard with a darker edge."""
    height = bottom - top
    shape = ((0, 0.16), (0.2, 0.42), (0.45, 0.8), (0.68, 1), (0.86, 0.86), (0.97, 0.4), (1, 0.05))
    c.lathe(cx, [(top + y * (height + 4), x * (half + 4) + 1) for y, x in shape], rim)
    c.lathe(cx, [(top + y * height, x * half) for y, x in shape], color)


@picture("angklung", "cloth")
def angklung(c: Canvas) -> None:
    """Three bamboo tubes of rising length hung in a bamboo frame over a slotted base tube."""
    bamboo = c.pick("#d9b36a", "#c79a55")
    for x in (40, 98, 154, 212):
        top = 84 - (x - 40) * 0.3
        c.tube([(x, top - 12), (x, 214)], tone(bamboo, 0.8), 6)
    c.tube([(34, 82), (218, 26)], tone(bamboo, 0.85), 6)
    c.tube([(34, 150), (218, 150)], tone(bamboo, 0.85), 5)
    for x, top, half in ((69, 86, 12), (126, 66, 14), (183, 46, 16)):
        c.lathe(x, [(top + 44, half), (206, half)], bamboo, rounded=False)
        c.poly(
            [(x - half, top + 46), (x - half, top), (x - half * 0.2, top), (x + half, top + 46)],
            tone(bamboo, 1.1),
        )
        c.poly(
            [(x - half * 0.2, top), (x + half, top + 46), (x - half * 0.1, top + 46)],
            tone(bamboo, 0.6),
        )
        for y in (top + 62, 182):
            c.line([(x - half, y), (x + half, y)], tone(bamboo, 0.6), 2)
        c.line([(x - half * 0.5, 206), (x - half * 0.5, 214)], tone(bamboo, 0.7), 4)
        c.line([(x + half * 0.5, 206), (x + half * 0.5, 214)], tone(bamboo, 0.7), 4)
    c.tube([(26, 220), (228, 220)], bamboo, 18)
    for x in (69, 126, 183):
        c.rect(x - 15, 217, x + 15, 221, "#4a3214", 2)
    for x in (40, 98, 154, 212):
        c.rect(x - 4, 208, x + 4, 216, "#a33c24")


@picture("calung", "cloth", distractor=True)
def calung(c: Canvas) -> None:
    """A row of bamboo tubes of falling size strung on one rod, with a beater."""
    bamboo = "#cda45c"
    c.tube([(12, 70), (244, 70)], tone(bamboo, 0.7), 7)
    for index in range(9):
        x, bottom, half = 26 + index * 24.5, 222 - index * 10, 11.2 - index * 0.4
        c.lathe(x, [(58, half), (bottom, half)], c.jitter(bamboo, 0.08), rounded=False)
        c.poly(
            [(x - half, 58), (x - half, 34), (x - half * 0.2, 34), (x + half, 58)],
            tone(bamboo, 1.15),
        )
        c.ellipse(x, bottom, half, 4, tone(bamboo, 0.55))
        c.line([(x - half, bottom - 30), (x + half, bottom - 30)], tone(bamboo, 0.6), 2)
        c.line([(x - 4, 70), (x + 4, 70)], "#7a2f1c", 5)
    c.tube([(150, 236), (222, 184)], "#8a5a2c", 5)
    c.ball(222, 184, 9, 9, "#a33c24")


@picture("sitar", "cloth", tilt=28)
def sitar(c: Canvas) -> None:
    """A round gourd body, a very long broad neck with curved frets, pegs and a top gourd."""
    wood = c.pick("#8a4a1e", "#6d3416")
    c.ball(150, 48, 21, 21, tone(wood, 0.95))
    pegs(c, 128, [12, 20, 28, 36, 62, 74, 86, 98, 110], 17, "#5a2d12")
    c.lathe(128, [(4, 9), (40, 10), (176, 10), (186, 16)], tone(wood, 0.8))
    for y in range(44, 172, 9):
        c.curve([(117, y), (128, y - 3), (139, y)], "#e6cf8d", 2)
    for grow, light in ((4, 0.6), (0, 1)):
        shape = [(150, 11), (166, 18), (178, 36), (206, 48), (236, 34), (250, 8)]
        c.lathe(128, [(y + grow / 2, half + grow) for y, half in shape], tone(wood, light))
    c.ellipse(128, 208, 35, 33, tone(wood, 1.12))
    c.ring(128, 208, 35, 33, "#f0e0b8", 2)
    c.rect(114, 218, 142, 223, "#f6efdc")
    c.rect(118, 206, 138, 209, "#f6efdc")
    strings(c, spread(128, 10, 6, 6), spread(128, 221, 10, 6))


@picture("sarod", "cloth", tilt=28, distractor=True)
def sarod(c: Canvas) -> None:
    """A waisted wooden body with a skin front and a bare steel fingerboard."""
    wood = "#6a3a1c"
    pegs(c, 128, [14, 22, 30, 38, 62, 72, 82, 92], 16, "#3a1e0e")
    c.lathe(128, [(6, 8), (46, 9), (120, 14), (150, 30)], wood)
    c.lathe(128, [(132, 18), (150, 34), (180, 47), (210, 50), (236, 36), (248, 10)], tone(wood, 0.8))
    c.lathe(128, [(160, 30), (182, 42), (210, 44), (232, 32), (242, 9)], "#ece0c6")
    c.lathe(128, [(48, 8), (120, 12), (166, 18)], "#c4cad0")
    c.rect(112, 212, 144, 217, "#5a2d12")
    strings(c, spread(128, 16, 5, 6), spread(128, 214, 11, 6), "#8d8f92")


@picture("oud", "cloth", tilt=30)
def oud(c: Canvas) -> None:
    """A wide pear-shaped lute with three round sound holes, a short neck and a bent pegbox."""
    wood = c.pick("#d29a55", "#c07c3c")
    c.poly([(120, 40), (136, 40), (158, 4), (146, 0)], "#4a2814")
    for step in range(5):
        x, y = 131 + step * 4.5, 34 - step * 7
        c.line([(x - 14, y - 6), (x + 15, y + 7)], "#2f180b", 3)
    pear_body(c, 128, 92, 246, 68, wood, "#5c3016")
    c.lathe(128, [(36, 8), (100, 11), (128, 12)], "#3d2010", rounded=False)
    rose(c, 128, 160, 19)
    rose(c, 98, 194, 10)
    rose(c, 158, 194, 10)
    c.rect(100, 220, 156, 227, "#3d2010", 2)
    strings(c, spread(128, 40, 5.5, 6), spread(128, 222, 18, 6))


@picture("pipa", "cloth", tilt=20, distractor=True)
def pipa(c: Canvas) -> None:
    """A slender pear-shaped lute with frets down its face and an ornate bent head."""
    c.blob([(118, 30), (122, 8), (140, 2), (144, 12), (134, 20), (138, 34)], "#f0e6cc")
    pegs(c, 128, [28, 36, 44, 52], 20, "#2d1a10")
    pear_body(c, 128, 56, 250, 50, "#dcb878", "#4a2412")
    c.lathe(128, [(24, 8), (60, 10), (110, 14)], "#4a2412", rounded=False)
    for index, y in enumerate(range(62, 110, 12)):
        c.poly([(116 - index, y + 8), (128, y), (140 + index, y + 8)], "#f4ecd6")
    for y in range(118, 198, 7):
        c.rect(112, y, 144, y + 2.6, "#8a5a2c")
    c.rect(106, 220, 150, 228, "#4a2412", 2)
    strings(c, spread(128, 28, 5, 4), spread(128, 222, 9, 4), "#6d5230")


@picture("krar", "cloth", tilt=10)
def krar(c: Canvas) -> None:
    """A bowl-shaped lyre with two spreading arms, a crossbar and six strings."""
    wood = c.pick("#7c4a24", "#5d3a24")
    c.tube([(104, 168), (70, 40)], wood, 9)
    c.tube([(152, 168), (186, 40)], wood, 9)
    c.tube([(48, 44), (208, 44)], tone(wood, 0.85), 10)
    for index, (x, y) in enumerate(spread(128, 44, 44, 6)):
        c.rect(x - 4, y - 8, x + 4, y + 8, ("#b5382a", "#e0b23a", "#3d7d46")[index % 3], 2)
    c.ball(128, 190, 62, 56, tone(wood, 0.9))
    c.ellipse(128, 186, 53, 47, "#e9d8b4")
    c.ellipse(128, 187, 51, 45, "#efe2c4")
    for index in range(30):
        x, y = around(128, 187, 45, 39, 30)[index]
        c.ellipse(x, y, 3, 3, ("#b5382a", "#e0b23a", "#3d7d46")[index % 3])
    c.rect(106, 208, 150, 214, "#4a2814", 2)
    strings(c, spread(128, 46, 44, 6), spread(128, 210, 18, 6), "#5f5140")


@picture("begena", "cloth", distractor=True)
def begena(c: Canvas) -> None:
    """A tall lyre with a square box, two upright posts, a top yoke and ten long strings."""
    wood = "#8a5426"
    for x in (74, 182):
        c.tube([(x, 180), (x, 24)], wood, 13)
        for y in (60, 90, 120):
            c.rect(x - 6.5, y, x + 6.5, y + 4, tone(wood, 0.55))
    c.tube([(48, 28), (208, 28)], tone(wood, 0.8), 13)
    for x, y in spread(128, 28, 42, 10):
        c.line([(x, y - 9), (x, y + 9)], "#e6d2a4", 3)
    c.rect(66, 160, 194, 246, tone(wood, 0.65), 6)
    c.rect(70, 160, 186, 242, "#e6d3a8", 5)
    for x in (84, 172):
        c.line([(x, 172), (x, 180)], "#a5291f", 5)
    c.rect(88, 214, 168, 222, "#5a3216", 2)
    strings(c, spread(128, 30, 42, 10), spread(128, 216, 32, 10), "#c9b48a")


def _zither(c: Canvas, wood: str, half: float, count: int, bridge: str) -> None:
    """A long upright board with strings, each over its own movable bridge."""
    c.rect(128 - half - 2, 16, 128 + half + 3, 243, tone(wood, 0.5), 6)
    c.lathe(128, [(14, half), (240, half)], wood, rounded=False)
    for step in range(-3, 4):
        x = 128 + step * half / 3.6
        c.curve([(x, 28), (x + 2, 90), (x - 2, 160), (x, 228)], tone(wood, 0.88), 1)
    inner = half * 0.85
    strings(c, spread(128, 26, inner, count), spread(128, 230, inner, count))
    for index, (x, _) in enumerate(spread(128, 0, inner, count)):
        y = 70 + 110 * index / (count - 1)
        c.poly([(x - 2.6, y + 5), (x, y - 5), (x + 2.6, y + 5)], bridge)


@picture("gayageum", "cloth", tilt=52)
def gayageum(c: Canvas) -> None:
    """A long narrow pale-wood zither with twelve strings and a slanting row of bridges."""
    _zither(c, c.pick("#c9935a", "#b87d48"), 29, 12, "#4a2512")
    c.rect(98, 18, 158, 26, "#5a2d14")
    c.rect(98, 226, 158, 232, "#5a2d14")
    for index, (x, _) in enumerate(spread(128, 0, 24.6, 12)):
        c.curve([(x, 232), (x + 3, 238), (x + index % 3 - 1, 245)], "#2c4a86", 2.2)
    for side in (-1, 1):  # the ram's-horn end
        c.blob([(128 + side * 6, 242), (128 + side * 30, 234), (128 + side * 33, 246)], "#8a5228")


@picture("guzheng", "cloth", tilt=64, distractor=True)
def guzheng(c: Canvas) -> None:
    """A broad dark lacquered zither with twenty-one strings and a gold-trimmed end."""
    _zither(c, "#5a2018", 37, 21, "#f0dcae")
    for y in (12, 230):
        c.rect(90, y, 166, y + 14, "#2a0f0b", 4)
        c.rect(96, y + 5, 160, y + 8, "#d8ab4a", 1)
    for x in (108, 128, 148):
        c.ellipse(x, 38, 5, 5, "#d8ab4a")


@picture("erhu", "cloth", tilt=14)
def erhu(c: Canvas) -> None:
    """A small six-sided snakeskin sound box, a long thin neck, two pegs and a bow."""
    wood = c.pick("#5a2514", "#3a1c14")
    for y in (34, 54):
        c.line([(128, y), (92, y - 3)], tone(wood, 0.8), 4.5)
        c.ball(90, y - 3, 6, 4.5, wood)
    c.curve([(116, 4), (126, 8), (128, 20)], wood, 8)
    c.tube([(128, 14), (128, 196)], wood, 7)
    hexagon = [(108, 186), (148, 186), (166, 214), (148, 242), (108, 242), (90, 214)]
    c.poly([(x + 3, y + 4) for x, y in hexagon], tone(wood, 0.6))
    c.poly(hexagon, wood)
    c.poly([(128 + (x - 128) * 0.84, 214 + (y - 214) * 0.84) for x, y in hexagon], "#d9cba6")
    for row in range(5):
        for col in range(-4, 5):
            x, y = 128 + col * 7 + (row % 2) * 3.5, 198 + row * 8
            if abs(x - 128) < 30 - abs(y - 214) * 0.6:
                c.poly([(x - 3, y), (x, y - 3.6), (x + 3, y), (x, y + 3.6)], "#5d4f36")
    c.rect(121, 213, 135, 217, "#8a5a2c")
    strings(c, [(126, 36), (130, 56)], [(126, 214), (130, 214)], "#d8dde0")
    c.line([(119, 84), (137, 84)], "#f0e6cc", 2)
    c.line([(186, 62), (104, 196)], "#f7f3e6", 2)
    c.curve([(190, 58), (170, 110), (100, 200)], "#b58748", 3.4)


@picture("morin_khuur", "cloth", tilt=10, distractor=True)
def morin_khuur(c: Canvas) -> None:
    """A trapezoid wooden fiddle with two strings and a carved horse's head."""
    wood = "#a35a26"
    for y, side in ((62, -1), (72, 1)):
        c.line([(128, y), (128 + side * 28, y - 4)], "#3a1e0e", 5)
    c.lathe(128, [(46, 8), (160, 9)], "#5a2d14", rounded=False)
    horse = [
        (120, 52),
        (118, 26),
        (128, 6),
        (134, 12),
        (150, 26),
        (156, 36),
        (148, 41),
        (136, 32),
        (138, 52),
    ]
    c.blob(horse, "#8a4a22")
    c.curve([(119, 50), (114, 28), (126, 8)], "#2f180b", 5)
    c.ellipse(136, 20, 1.8, 1.8, "#ffffff")
    c.poly([(86, 142), (172, 142), (190, 246), (72, 246)], tone(wood, 0.6))
    c.poly([(88, 140), (168, 140), (185, 242), (72, 242)], wood)
    c.poly([(94, 147), (162, 147), (177, 236), (80, 236)], tone(wood, 1.18))
    for side in (-1, 1):
        x = 128 + side * 26
        c.curve([(x + 3, 172), (x - 2, 180), (x + 2, 200), (x - 3, 208)], "#2f180b", 3)
    c.rect(114, 212, 142, 217, "#f0e0b8")
    strings(c, spread(128, 56, 3, 2), spread(128, 240, 4, 2), "#fdf8ea")
    c.line([(214, 50), (206, 232)], "#f7f3e6", 2)
    c.curve([(216, 46), (226, 140), (208, 236)], "#6b3a1a", 3.4)
