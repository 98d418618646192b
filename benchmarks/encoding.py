"""Multimodal encoding: batches of like items against one item at a time, and what sorting saves in padding.

python -m benchmarks.encoding [--quick] [--layers N --width N]

Tiny random models of the architectures of mmE5 and B3, real passages and photos of the shared sample data where it is
there. A GPU, which is used where there is one, gains more from batches; the share of padding is the same there. Larger
models (--layers, --width) are measured to be looked at: only the tiny ones go into the table.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import tiny_encoders
from benchmarks.common import SHARED, Row, apart, save

_ROUNDS = 3
_BATCH = 32  # items of a batch that is filled in the order given


def main(arguments: list[str]) -> int:
    """Measure, print and keep the table; --quick measures a few items and, as with larger models, writes nothing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few items")
    parser.add_argument("--layers", type=int, help="layers of the models, at least 2 (default: as few as there can be)")
    parser.add_argument("--width", type=int, help="numbers of a state, a multiple of 32 (default: 32)")
    options = parser.parse_args(arguments)
    size = {name: value for name in ("layers", "width") if (value := getattr(options, name)) is not None}
    rows = []
    for name, title in (("mme5", "mmE5"), ("b3", "B3")):
        found = apart("benchmarks.encoding:measure", name, *((24, 8) if options.quick else (192, 64)), size)
        for kind, what in (("passages", "passages, texts"), ("queries", "questions with a photo")):
            timed = found[kind]
            ratio = timed["single"] / timed["batched"]
            rows.append(
                Row(
                    f"{title}, {what}",
                    f"{timed['count'] / timed['batched']:.0f} items/s",
                    "one by one",
                    f"{timed['count'] / timed['single']:.0f} items/s",
                    f"{ratio:.1f} ×",
                )
            )
            rows.append(
                Row(
                    f"{title}, {what}: padded tokens",
                    f"{100 * timed['padded']:.1f} %",
                    f"{_BATCH} in the order given",
                    f"{100 * timed['padded_as_given']:.1f} %",
                )
            )
    if options.quick or size:
        print(f"{found['device']}, {found['precision']}")
        print("\n".join(f"{row.what}: {row.ours} | {row.other_name}: {row.other} {row.ratio}" for row in rows))
        return 0
    notes = [f"Tiny random models, {found['precision']}, {found['device']}; medians of three rounds."]
    save("encoding", "Encoding pictures and texts in batches", rows, notes)
    return 0


def measure(name: str, passages: int, queries: int, size: Mapping[str, int]) -> dict[str, Any]:
    """Seconds batched and one by one, and shares of padding, for passages and for queries with pictures.

    And the device and precision. `size` are layers and width of the model, where they are not the smallest.
    """
    from retrieval_cache import default_spec
    from retrieval_cache.encoders.multimodal import MultimodalEncoder
    from retrieval_cache.encoders.recipes import make_adapter
    from retrieval_cache.encoders.weights import fingerprint

    with tempfile.TemporaryDirectory() as folder:
        made = {"mme5": tiny_encoders.save_mllama, "b3": tiny_encoders.save_b3}[name](Path(folder) / "model", **size)
        spec = replace(default_spec(name), revision=fingerprint(made))
        adapter = make_adapter(spec, made)
        encoder = MultimodalEncoder(spec, adapter)
        texts, asked = _passages(passages), _queries(queries, Path(folder))
        return {
            "device": adapter.device,
            "precision": adapter.precision,
            "passages": _timed(encoder, encoder.passage_items(texts, None)),
            "queries": _timed(encoder, encoder.query_items(asked)),
        }


def _timed(encoder: Any, items: Sequence[Any]) -> dict[str, float]:
    from retrieval_cache.encoders.batches import padded_share

    encoder.encode(items[:4])  # what is loaded at first use
    times: dict[str, list[float]] = {"batched": [], "single": []}
    for _ in range(_ROUNDS):
        for way, calls in (("batched", [items]), ("single", [[item] for item in items])):
            start = time.perf_counter()
            for call in calls:
                encoder.encode(call)
            times[way].append(time.perf_counter() - start)
    tokens, batches = encoder.batches(items)
    as_given = [range(start, min(start + _BATCH, len(items))) for start in range(0, len(items), _BATCH)]
    return {
        "count": len(items),
        "padded": padded_share(tokens, batches),
        "padded_as_given": padded_share(tokens, as_given),
        **{way: statistics.median(seconds) for way, seconds in times.items()},
    }


def _passages(count: int) -> list[Any]:
    from retrieval_cache import Passage

    file = SHARED / "corpus_sample" / "articles.jsonl.gz"
    if file.is_file():
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            texts = [part for line in lines for section in json.loads(line)["content"] for part in section["content"]]
        texts = [text[:400] for text in texts[:: max(1, len(texts) // count)]]
    else:
        texts = ["Injera is a sour flatbread. " * (1 + number % 14) for number in range(count)]
    return [Passage(str(number), "a", "", text, "und") for number, text in enumerate(texts[:count])]


def _queries(count: int, folder: Path) -> list[Any]:
    from PIL import Image

    from retrieval_cache import Query

    photos = sorted((SHARED / "images" / "files").glob("*.jpg"))
    if not photos:
        for number in range(8):
            Image.new("RGB", (60 + 40 * number, 300 - 30 * number), (number * 30, 90, 40)).save(
                folder / f"{number}.png"
            )
        photos = sorted(folder.glob("*.png"))
    words = "What is this, and where does one find it? "
    return [
        Query(str(n), words * (1 + n % 3), str(n), photos[n % len(photos)]) for n in range(count)
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
