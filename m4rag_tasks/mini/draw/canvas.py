"""A drawing surface in 256-unit coordinates, painted large and reduced later for smooth edges."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from PIL import Image, ImageDraw

SIZE = 256
OVERSAMPLING = 4

Point = tuple[float, float]
T = TypeVar("T")


class Canvas:
    """A transparent layer with shape methods; one is made for each picture and variant.

    ``rng`` is seeded from the slug and the variant, so scattered details differ between the
    two variants of a picture and are the same in every run.
    """

    def __init__(self, seed: str, article: bool) -> None:
        side = SIZE * OVERSAMPLING
        self.image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        self.article = article
        self.rng = random.Random(seed)
        self._pen = ImageDraw.Draw(self.image)

    def pick(self, question: T, article: T) -> T:
        """The value for the variant being drawn."""
        return article if self.article else question

    def jitter(self, color: str, amount: float = 0.15) -> str:
        """``color`` made a little lighter or darker at random."""
        return tone(color, 1 + self.rng.uniform(-amount, amount))

    def poly(self, points: Sequence[Point], fill: str) -> None:
        """A filled polygon with straight sides."""
        self._pen.polygon([_pixels(point) for point in points], fill=fill)

    def blob(self, points: Sequence[Point], fill: str) -> None:
        """A filled closed curve through ``points``."""
        self.poly(smooth(points, closed=True), fill)

    def rect(self, x0: float, y0: float, x1: float, y1: float, fill: str, radius: float = 0) -> None:
        """An upright rectangle, with rounded corners if ``radius`` is given."""
        box = (_pixels((x0, y0)), _pixels((x1, y1)))
        self._pen.rounded_rectangle(box, radius * OVERSAMPLING, fill=fill)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, fill: str, angle: float = 0) -> None:
        """A filled ellipse, turned clockwise by ``angle`` degrees."""
        self.poly([turn((cx + x, cy + y), (cx, cy), angle) for x, y in _circle(rx, ry)], fill)

    def ring(self, cx: float, cy: float, rx: float, ry: float, color: str, width: float) -> None:
        """The outline of an ellipse."""
        points = [(cx + x, cy + y) for x, y in _circle(rx, ry)]
        self.line([*points, points[0]], color, width)

    def sector(self, cx: float, cy: float, rx: float, ry: float, start: float, end: float, fill: str) -> None:
        """A slice of an ellipse between two angles (degrees, clockwise from the right)."""
        box = (_pixels((cx - rx, cy - ry)), _pixels((cx + rx, cy + ry)))
        self._pen.pieslice(box, start, end, fill=fill)

    def bar(self, cx: float, cy: float, width: float, height: float, angle: float, fill: str) -> None:
        """A rectangle about its centre, turned clockwise by ``angle`` degrees."""
        x, y = width / 2, height / 2
        corners = [(cx - x, cy - y), (cx + x, cy - y), (cx + x, cy + y), (cx - x, cy + y)]
        self.poly([turn(corner, (cx, cy), angle) for corner in corners], fill)

    def line(self, points: Sequence[Point], color: str, width: float) -> None:
        """A stroke with round ends and joints through ``points``."""
        pixels = [_pixels(point) for point in points]
        thickness = max(1, round(width * OVERSAMPLING))
        self._pen.line(pixels, fill=color, width=thickness, joint="curve")
        if width > 1.5:
            for x, y in (pixels[0], pixels[-1]):
                half = thickness / 2
                self._pen.ellipse((x - half, y - half, x + half, y + half), fill=color)

    def curve(self, points: Sequence[Point], color: str, width: float) -> None:
        """A smooth stroke through ``points``."""
        self.line(smooth(points, closed=False), color, width)

    def tube(self, points: Sequence[Point], color: str, width: float) -> None:
        """A smooth stroke shaded like a rod: dark edge, body and a light streak."""
        self.curve(points, tone(color, 0.7), width)
        self.curve(points, color, width * 0.75)
        raised = [(x - width * 0.1, y - width * 0.12) for x, y in points]
        self.curve(raised, tone(color, 1.25), width * 0.25)

    def ball(self, cx: float, cy: float, rx: float, ry: float, color: str) -> None:
        """An ellipsoid lit from the upper left."""
        steps = 14
        for step in range(steps):
            part = step / steps
            shrink = 1 - part * 0.9
            x, y = cx - rx * 0.32 * part, cy - ry * 0.36 * part
            self.ellipse(x, y, rx * shrink, ry * shrink, tone(color, 0.72 + 0.55 * part))

    def lathe(self, cx: float, profile: Sequence[Point], color: str, rounded: bool = True) -> None:
        """A solid of revolution seen from the side, lit from the left.

        ``profile`` lists (y, half width) from top to bottom; the body is laid down in thin
        upright strips so that its shading follows the silhouette.
        """
        outline = smooth(profile, closed=False) if rounded else list(profile)
        strips = 36
        for strip in range(strips):
            left = -1 + 2 * strip / strips
            right = min(1.0, left + 3 / strips)
            light = 1.14 - 0.36 * (left + 0.35) ** 2
            down = [(cx + left * half, y) for y, half in outline]
            up = [(cx + right * half, y) for y, half in reversed(outline)]
            self.poly(down + up, tone(color, light))

    def scatter(
        self,
        count: int,
        cx: float,
        cy: float,
        rx: float,
        ry: float,
        paint: Callable[[float, float], None],
    ) -> None:
        """Call ``paint(x, y)`` at ``count`` random places inside an ellipse."""
        for _ in range(count):
            angle, reach = self.rng.uniform(0, math.tau), math.sqrt(self.rng.random())
            paint(cx + rx * reach * math.cos(angle), cy + ry * reach * math.sin(angle))

    def wobble(
        self, cx: float, cy: float, rx: float, ry: float, amount: float = 0.08, corners: int = 14
    ) -> list[Point]:
        """Points of an uneven ellipse, for ``blob``."""
        points = []
        for corner in range(corners):
            angle = math.tau * corner / corners
            reach = 1 + self.rng.uniform(-amount, amount)
            points.append((cx + rx * reach * math.cos(angle), cy + ry * reach * math.sin(angle)))
        return points


def tone(color: str, factor: float) -> str:
    """``color`` (#rrggbb) darkened by a factor below 1 or lightened towards white above 1."""
    channels = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    if factor <= 1:
        mixed = [channel * max(factor, 0) for channel in channels]
    else:
        mixed = [channel + (255 - channel) * min(factor - 1, 1) for channel in channels]
    return "#" + "".join(f"{round(channel):02x}" for channel in mixed)


def turn(point: Point, centre: Point, angle: float) -> Point:
    """``point`` turned clockwise about ``centre`` by ``angle`` degrees."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = point[0] - centre[0], point[1] - centre[1]
    return centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos


def around(cx: float, cy: float, rx: float, ry: float, count: int, start: float = 0) -> list[Point]:
    """``count`` points spread evenly on an ellipse, the first at ``start`` degrees."""
    angles = [math.radians(start) + math.tau * i / count for i in range(count)]
    return [(cx + rx * math.cos(angle), cy + ry * math.sin(angle)) for angle in angles]


def smooth(points: Sequence[Point], closed: bool, steps: int = 10) -> list[Point]:
    """A Catmull-Rom curve through ``points``."""
    count = len(points)
    if closed:
        padded = [points[-1], *points, points[0], points[1]]
        segments = count
    else:
        padded = [points[0], *points, points[-1]]
        segments = count - 1
    curve = [_catmull_rom(padded[i : i + 4], step / steps) for i in range(segments) for step in range(steps)]
    return curve if closed else [*curve, points[-1]]


def _catmull_rom(knots: Sequence[Point], t: float) -> Point:
    """The point at ``t`` between the middle two of four ``knots``."""

    def along(a: float, b: float, c: float, d: float) -> float:
        return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)

    (ax, ay), (bx, by), (cx, cy), (dx, dy) = knots
    return along(ax, bx, cx, dx), along(ay, by, cy, dy)


def _circle(rx: float, ry: float) -> list[Point]:
    count = max(24, min(160, int(4 * (rx + ry))))
    return around(0, 0, rx, ry, count)


def _pixels(point: Point) -> Point:
    return point[0] * OVERSAMPLING, point[1] * OVERSAMPLING
