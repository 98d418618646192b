"""Writes the pictures that the mini benchmark shows: ``python -m m4rag_tasks.mini.draw``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from PIL import Image

from m4rag_tasks.mini.build import DATA, picture_names

from . import SLUGS, draw, variants_of

COLORS = 256
SUFFIXES = {"question": "", "article": "_article"}


def main() -> None:
    """Write every picture that a question or an article of the source names."""
    parser = argparse.ArgumentParser(description="Write the mini benchmark's pictures.")
    parser.add_argument("--output-dir", type=Path, default=DATA / "images", help="default: %(default)s")
    out_dir = parser.parse_args().output_dir
    out_dir.mkdir(parents=True, exist_ok=True)
    names = {f"{slug}{SUFFIXES[variant]}.png": (slug, variant) for slug in SLUGS for variant in variants_of(slug)}
    wanted = picture_names()
    for name in wanted:
        save(draw(*names[name]), out_dir / name)
    print(f"{len(wanted)} pictures in {out_dir}")


def save(image: Image.Image, path: Path) -> None:
    """Write ``image`` as PNG in one step, so that a reader never sees half a file."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    # A palette without dithering looks the same here and halves the size of the bundle.
    image = image.quantize(COLORS, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    try:
        image.save(unfinished, format="PNG", optimize=True)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
