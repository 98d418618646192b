"""Ancient and rock-hewn sites, and the tombs and temples confused with them."""

from __future__ import annotations

from .canvas import Canvas, Point, tone
from .landmarks import arch, framed_arch, onion_dome, stepped
from .registry import picture


@picture("lalibela", "rock", shadow=False)
def lalibela(c: Canvas) -> None:
    """A church cut as a cross in red rock, its flat roof seen from above in a deep pit."""
    rock = c.pick("#b9694a", "#a8604c")
    pit = [(22, 70), (150, 18), (240, 92), (226, 186), (104, 242), (20, 172)]
    c.poly([(x, y - 6) for x, y in pit], tone(rock, 1.2))
    c.poly(pit, tone(rock, 0.42))
    c.poly([(22, 70), (150, 18), (240, 92), (224, 104), (148, 50), (40, 96)], tone(rock, 0.62))
    c.poly([(22, 70), (40, 96), (40, 160), (20, 172)], tone(rock, 0.52))
    drop = 62
    roof = _cross((130, 96), (50, 24), (-46, 26), 0.36)
    edges = zip(roof, [*roof[1:], roof[0]], strict=True)
    # Going clockwise, edges that run leftwards face the viewer; far walls are drawn first.
    walls = [(start, end) for start, end in edges if end[0] < start[0]]
    for start, end in sorted(walls, key=lambda wall: wall[0][1] + wall[1][1]):
        foot = [(end[0], end[1] + drop), (start[0], start[1] + drop)]
        c.poly([start, end, *foot], tone(rock, 0.68 if end[1] > start[1] else 0.92))
        _wall_openings(c, start, end, drop, tone(rock, 0.3))
    c.poly(roof, tone(rock, 1.22))
    for reach, color in (
        (0.86, 0.75),
        (0.8, 1.18),
        (0.62, 0.75),
        (0.55, 1.15),
        (0.38, 0.75),
        (0.3, 1.12),
    ):
        inner = _cross((130, 96), (50 * reach, 24 * reach), (-46 * reach, 26 * reach), 0.36)
        c.poly(inner, tone(rock, color))


def _cross(centre: Point, u: Point, v: Point, waist: float) -> list[Point]:
    """A cross with equal arms along the slanted axes ``u`` and ``v``, clockwise on screen."""
    w = waist
    corners = [
        (1, -w),
        (1, w),
        (w, w),
        (w, 1),
        (-w, 1),
        (-w, w),
        (-1, w),
        (-1, -w),
        (-w, -w),
        (-w, -1),
        (w, -1),
        (w, -w),
    ]
    return [(centre[0] + 1.25 * (a * u[0] + b * v[0]), centre[1] + 1.25 * (a * u[1] + b * v[1])) for a, b in corners]


def _wall_openings(c: Canvas, start: Point, end: Point, drop: float, dark: str) -> None:
    """A window above a ledge and a lower opening, sheared along the wall."""

    def at(part: float, down: float) -> Point:
        return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part + down

    for top, bottom in ((0.16, 0.4), (0.6, 0.86)):
        c.poly(
            [
                at(0.38, top * drop),
                at(0.62, top * drop),
                at(0.62, bottom * drop),
                at(0.38, bottom * drop),
            ],
            dark,
        )
    c.line([at(0.02, drop * 0.5), at(0.98, drop * 0.5)], dark, 1.2)


@picture("giza", "sand", shadow=False)
def giza(c: Canvas) -> None:
    """A huge sand-coloured pyramid of stone courses, with two smaller ones behind."""
    stone = c.pick("#d3a762", "#b88a5c")
    _pyramid(c, (204, 130), 46, 196, tone(stone, 0.95), 12)
    _pyramid(c, (40, 148), 34, 194, tone(stone, 0.95), 10)
    _pyramid(c, (116, 44), 112, 208, stone, 26)
    for x, y in ((206, 222), (222, 226)):  # two camels give the scale
        c.ellipse(x, y, 5.5, 2.8, "#5d4023")
        c.ellipse(x, y - 3, 2, 2.2, "#5d4023")
        for leg in (-4, -2, 2.5, 4.5):
            c.line([(x + leg, y), (x + leg, y + 8)], "#5d4023", 1)
        c.curve([(x - 5, y), (x - 8, y - 1), (x - 9, y - 6), (x - 11, y - 6)], "#5d4023", 1.6)


def _pyramid(c: Canvas, peak: Point, half: float, base: float, color: str, courses: int) -> None:
    """A pyramid with a lit left face, a shaded right face and lines of stone courses."""
    (x, top), corner = peak, (peak[0] + half * 0.35, base + 6)
    c.poly([peak, (x - half, base), corner], color)
    c.poly([peak, corner, (x + half, base)], tone(color, 0.66))
    for step in range(1, courses):
        part = step / courses
        y = top + (base - top) * part
        bend = (x + half * 0.35 * part, y + 6 * part)
        c.line([(x - half * part, y), bend], tone(color, 0.86), 1)
        c.line([bend, (x + half * part, y)], tone(color, 0.55), 1)
        for _ in range(step // 2):
            spot = c.rng.uniform(-0.95, 0.25) * half * part
            c.line([(x + spot, y), (x + spot, y + (base - top) / courses)], tone(color, 0.86), 1)


@picture("teotihuacan", "grass", shadow=False, distractor=True)
def teotihuacan(c: Canvas) -> None:
    """A broad flat-topped brown pyramid in five terraces with a stairway up the front."""
    stone = "#a58a66"
    levels = [(102, 120, 40), (120, 140, 62), (140, 160, 84), (160, 182, 104), (182, 210, 124)]
    for level in reversed(levels):
        stepped(c, 128, [level], stone)
    c.scatter(160, 128, 176, 96, 26, lambda x, y: c.ellipse(x, y, 2.4, 1, c.jitter(stone, 0.2)))
    c.poly([(104, 210), (120, 102), (136, 102), (152, 210)], tone(stone, 1.2))
    for step in range(24):
        half = 8 + (23 - step) * 0.68
        c.line([(128 - half, 207 - step * 4.4), (128 + half, 207 - step * 4.4)], tone(stone, 0.7), 1.2)


@picture("angkor_wat", "grass", shadow=False, distractor=True)
def angkor_wat(c: Canvas) -> None:
    """Five grey lotus-bud towers over long galleries, mirrored in a pond."""
    stone = "#8a7f72"
    c.rect(4, 168, 252, 204, tone(stone, 0.8))
    c.rect(4, 164, 252, 171, tone(stone, 1.15))
    for step in range(31):
        c.rect(8 + step * 8, 176, 11 + step * 8, 198, tone(stone, 0.4))
    c.rect(60, 140, 196, 166, tone(stone, 0.9))
    for step in range(17):
        c.rect(64 + step * 8, 148, 67 + step * 8, 164, tone(stone, 0.45))
    for x, top, base, half in (
        (36, 116, 166, 12),
        (220, 116, 166, 12),
        (78, 86, 150, 16),
        (178, 86, 150, 16),
        (128, 48, 150, 22),
    ):
        height = base - top
        profile = ((0, 0.08), (0.15, 0.35), (0.4, 0.78), (0.65, 1), (0.8, 0.95), (1, 1))
        c.lathe(x, [(top + y * height, w * half) for y, w in profile], stone)
        for step in range(3, 9):
            y = top + height * step / 9
            reach = half * (0.45 + 0.07 * step)
            c.line([(x - reach, y), (x + reach, y)], tone(stone, 0.65), 1.5)
    framed_arch(c, 128, 146, 9, 204, stone)
    c.ellipse(128, 232, 112, 20, "#6f9aa8")
    for x, half in ((36, 8), (78, 11), (128, 15), (178, 11), (220, 8)):
        c.ellipse(128 + (x - 128) * 0.85, 228, half, 11, "#5b7370")


@picture("humayuns_tomb", "grass", shadow=False, distractor=True)
def humayuns_tomb(c: Canvas) -> None:
    """A red sandstone tomb with white trim, arched fronts and one white marble dome."""
    red, white = "#b5563a", "#f3eee4"
    c.rect(4, 178, 252, 210, tone(red, 0.85))
    c.rect(4, 176, 252, 180, white)
    for step in range(14):
        arch(c, 15 + step * 17.4, 186, 5, 208, tone(red, 0.45))
    c.lathe(128, [(78, 27), (108, 27)], red, rounded=False)
    onion_dome(c, 128, 80, 30, white)
    for x in (70, 186):
        for post in (-8, 8):
            c.rect(x + post - 2, 98, x + post + 2, 114, red)
        c.lathe(x, [(86, 1), (92, 9), (98, 12)], white)
    for x, half, top in ((66, 36, 114), (190, 36, 114), (128, 32, 102)):
        c.rect(x - half, top, x + half, 178, red)
        c.rect(x - half, top, x + half, top + 3, white)
    for x, top, half in ((66, 126, 14), (190, 126, 14), (128, 114, 20)):
        c.rect(x - half * 1.4, top - half * 0.4, x + half * 1.4, 178, white)
        c.rect(x - half * 1.28, top - half * 0.28, x + half * 1.28, 178, red)
        arch(c, x, top, half, 178, tone(red, 0.42))


@picture("aksum_obelisk", "grass", shadow=False, distractor=True)
def aksum_obelisk(c: Canvas) -> None:
    """A tall grey carved stone shaft with a rounded top, rows of windows and a false door."""
    stone = "#8f8c86"
    c.rect(84, 206, 172, 218, tone(stone, 0.75))
    c.poly([(146, 206), (138, 20), (145, 26), (156, 206)], tone(stone, 0.6))
    c.poly([(106, 206), (114, 20), (138, 20), (148, 206)], stone)
    c.ellipse(126, 21, 12, 15, stone)
    c.ellipse(126, 20, 6, 7, tone(stone, 0.75))
    for row in range(9):
        y, half = 44 + row * 16, 11 + row * 0.75
        c.rect(127 - half, y, 127 + half, y + 2.4, tone(stone, 0.62))
        for x in (-half * 0.45, half * 0.45):
            c.rect(127 + x - 3.4, y + 5, 127 + x + 3.4, y + 12, tone(stone, 0.45))
            c.line([(127 + x, y + 5), (127 + x, y + 12)], stone, 1)
    c.rect(118, 190, 138, 206, tone(stone, 0.4))
    c.rect(121, 193, 135, 206, tone(stone, 0.7))
