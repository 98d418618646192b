"""A small image descriptor: colours on a grid, edge directions, colour histogram.

Meant to survive a small shift, another scale or another plain background: what
has the colour of the image's border counts as background, the rest is cropped
out, scaled to a square and described. A photo that fills its frame keeps the
whole of it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from retrieval_cache.images import load_rgb

_SIDE = 64  # pixels of the square that is described
_GRID = 4  # cells per side for colours and for edges
_EDGES = 8  # edge directions, 180 degrees in all
_COLOURS = (4, 5, 5)  # histogram bins for L, a, b
_BACKGROUND = 12.0  # Lab distance from the border's colour that still is background
_WEIGHTS = {"grid": 0.35, "edges": 0.35, "colours": 0.30}

DIM = _GRID * _GRID * 3 + _GRID * _GRID * _EDGES + _COLOURS[0] * _COLOURS[1] * _COLOURS[2]


def describe(path: Path) -> np.ndarray:
    """float64 [DIM] of length 1 for an image file; CorpusError if it cannot be read."""
    return describe_image(load_rgb(path, longest=128))


def describe_image(image: Image.Image) -> np.ndarray:
    """float64 [DIM] of length 1 for an RGB image."""
    lab, mask = _foreground(image)
    parts = {
        "grid": _grid_colours(lab, mask),
        "edges": _edge_directions(lab[..., 0], mask),
        "colours": _colour_histogram(lab, mask),
    }
    vector = np.concatenate([np.sqrt(_WEIGHTS[name]) * _unit(part) for name, part in parts.items()])
    return _unit(vector)


def _foreground(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Lab [64, 64, 3] of the cropped subject and its mask [64, 64], 1 where subject."""
    lab = _lab(np.asarray(image, np.float64))
    edge = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    colour = np.median(edge, axis=0)
    plain = (np.linalg.norm(edge - colour, axis=1) < _BACKGROUND).mean() > 0.6
    mask = np.linalg.norm(lab - colour, axis=2) >= _BACKGROUND
    if not plain or mask.mean() < 0.01:  # no background to speak of, or no subject
        mask = np.ones(lab.shape[:2], bool)
    rows, columns = _extent(mask.mean(axis=1)), _extent(mask.mean(axis=0))
    box = (columns[0], rows[0], columns[1], rows[1])
    square = image.crop(box).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
    small_mask = Image.fromarray(mask.astype(np.uint8) * 255).crop(box)
    small_mask = small_mask.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    return _lab(np.asarray(square, np.float64)), np.asarray(small_mask, np.float64) / 255


def _extent(share: np.ndarray) -> tuple[int, int]:
    """First and one past the last line that holds more than specks of the subject."""
    lines = np.flatnonzero(share > 0.02)
    if not len(lines):
        lines = np.flatnonzero(share > 0)
    return int(lines[0]), int(lines[-1]) + 1


def _grid_colours(lab: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean colour of the subject in each cell, around mid grey; zero where there is none."""
    centred = (lab - (50.0, 0.0, 0.0)) * mask[..., None]
    return _cells(centred).reshape(-1)


def _edge_directions(lightness: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Histogram of edge directions per cell, by gradient strength, square-rooted."""
    smooth = lightness * mask + 50.0 * (1 - mask)
    dy, dx = np.gradient(smooth)
    strength = np.hypot(dx, dy)
    turn = np.mod(np.arctan2(dy, dx), np.pi) / np.pi * _EDGES
    low = np.floor(turn).astype(int) % _EDGES
    share = turn - np.floor(turn)
    planes = np.zeros((*lightness.shape, _EDGES))
    y, x = np.indices(lightness.shape)
    # Each gradient is split between its two neighbouring directions, so that a
    # small turn moves the histogram a little and not by a whole bin.
    planes[y, x, low] += strength * (1 - share)
    planes[y, x, (low + 1) % _EDGES] += strength * share
    return np.sqrt(_cells(planes)).reshape(-1)


def _colour_histogram(lab: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Share of the subject per coarse Lab colour, square-rooted, softly assigned."""
    histogram = np.zeros(int(np.prod(_COLOURS)))
    low, share = [], []
    for channel, (bins, span) in enumerate(zip(_COLOURS, ((0, 100), (-80, 80), (-80, 80)), strict=True)):
        place = (lab[..., channel] - span[0]) / (span[1] - span[0]) * (bins - 1)
        place = np.clip(place, 0, bins - 1 - 1e-9)
        low.append(np.floor(place).astype(int))
        share.append(place - np.floor(place))
    for corner in np.ndindex(2, 2, 2):
        weight = mask.copy()
        for channel, step in enumerate(corner):
            weight *= share[channel] if step else 1 - share[channel]
        colour = np.ravel_multi_index([low[i] + corner[i] for i in range(3)], _COLOURS)
        histogram += np.bincount(colour.ravel(), weight.ravel(), minlength=len(histogram))
    return np.sqrt(histogram / max(mask.sum(), 1e-9))


def _cells(planes: np.ndarray) -> np.ndarray:
    """Means over the cells of the grid: [64, 64, c] → [4, 4, c]."""
    size = _SIDE // _GRID
    return planes.reshape(_GRID, size, _GRID, size, -1).mean(axis=(1, 3))


def _lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB 0…255 → CIE L*a*b*, white D65: distances follow what the eye sees."""
    linear = rgb / 255.0
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    # Sums are written out: a matrix product may add in another order elsewhere.
    red, green, blue = linear[..., 0], linear[..., 1], linear[..., 2]
    xyz = (
        (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047,
        0.2126729 * red + 0.7151522 * green + 0.0721750 * blue,
        (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883,
    )
    x, y, z = (np.where(v > 0.008856, np.cbrt(v), 7.787 * v + 16 / 116) for v in xyz)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.square(vector).sum())
    return vector / length if length else vector
