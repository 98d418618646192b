"""Writes the pictures that the mini benchmark shows: ``python -m m4rag_tasks.mini.draw``."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from m4rag_tasks.mini.build import DATA, picture_names
from retrieval_cache.files import atomic_file

from . import SLUGS, draw, variants_of

COLORS = 256
SUFFIXES = {"question": "", "article": "_article"}


def main() -> None:
    """Write every picture that a question or an article of the source names."""
    parser = argparse.ArgumentParser(description="Write the mini benchmark's pictures.")
    parser.add_argument("--output-dir", type=Path, default=DATA / "images", help="default: %(default)s")
    out_dir = parser.parse_args().output_dir
    names = {f"{slug}{SUFFIXES[variant]}.png": (slug, variant) for slug in SLUGS for variant in variants_of(slug)}
    wanted = picture_names()
    for name in wanted:
        save(draw(*names[name]), out_dir / name)
    print(f"{len(wanted)} pictures in {out_dir}")


def save(image: Image.Image, path: Path) -> None:
    """Write ``image`` as PNG in one step, so that a reader never sees half a file."""
    # A palette without dithering looks the same here and halves the size of the bundle.
    image = image.quantize(COLORS, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    with atomic_file(path) as file:
        image.save(file, format="PNG", optimize=True)


if __name__ == "__main__":
    main()
