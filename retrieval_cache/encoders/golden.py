"""Golden vectors: what a model gave for fixed items, to notice when it gives something else.

Another version of a library may change a prompt, a position or a pixel and
still give vectors, of another kind. A golden file is made once on a machine
with the real weights, `m4rag encoder fingerprint`, and compared wherever the
weights are loaded: cosines stay above 0.999 between devices and precisions,
and a changed recipe moves them further.

Files that lie in `golden/` beside this module, named like their retriever, are
checked before anything is embedded. None is there yet: making one takes the
real weights.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retrieval_cache.encoders.base import Encoder
from retrieval_cache.encoders.weights import ModelError
from retrieval_cache.files import read_json, write_json
from retrieval_cache.records import CacheCorrupt, Passage, Query, RetrieverSpec
from retrieval_cache.specs import IVF_PARAMS

FOLDER = Path(__file__).parent / "golden"
NEAR = 0.999
"""Cosine that the same model reaches on another device or in another precision."""

_FORMAT = 1
_TEXTS = (
    "What is this dish called?",
    "ይህ ምግብ ምን ይባላል?",
    "这道菜叫什么名字？",
    "ما اسم هذا الطبق؟",
    "อาหารจานนี้เรียกว่าอะไร",
    "Injera is a sour flatbread of teff flour, baked on a hot clay plate and eaten in Ethiopia and Eritrea. " * 2,
)
_SIZES = ((96, 64), (300, 500), (1, 1), (640, 40))


def golden_vectors(encoder: Encoder) -> np.ndarray:
    """float32 [16, dim]: passages, queries without pictures, queries with drawn ones where the encoder sees them."""
    passages = [Passage(f"p{number}", "a", "Injera", text, "und") for number, text in enumerate(_TEXTS)]
    queries = [Query(f"q{number}", text) for number, text in enumerate(_TEXTS)]
    with tempfile.TemporaryDirectory() as folder:
        for number, (width, height) in enumerate(_SIZES):
            path = Path(folder) / f"{number}.png"
            _drawn(width, height).save(path)
            queries.append(Query(f"i{number}", _TEXTS[number], f"{number}.png", path))
        asked = encoder.encode_queries(queries)
    return np.concatenate([encoder.encode_passages(passages, None), asked])


def write_golden(path: Path, spec: RetrieverSpec, encoder: Encoder) -> None:
    """Make the vectors and write them with what made them."""
    vectors = golden_vectors(encoder)
    write_json(
        path,
        {
            "format": _FORMAT,
            "retriever": _shaping(spec),
            "libraries": encoder.libraries(),
            "shape": list(vectors.shape),
            "float16": base64.b64encode(vectors.astype("<f2").tobytes()).decode("ascii"),
        },
    )


def check_golden(path: Path, spec: RetrieverSpec, encoder: Encoder) -> float:
    """The lowest cosine between the vectors of a file and those of the encoder now.

    Raises ModelError if it is under `NEAR`, or if the file is that of another
    retriever, of other weights or another wording; CacheCorrupt if it is no golden file.
    """
    told, golden = _read(path)
    if told["retriever"] != _shaping(spec):
        raise ModelError(
            f"{path.name} was made for another model: {_difference(told['retriever'], _shaping(spec))}.",
            "Name the retriever, weights and instruction that it was made with.",
        )
    vectors = golden_vectors(encoder)
    if vectors.shape != golden.shape:
        raise ModelError(f"{path.name} holds vectors of {golden.shape[1]} numbers, the model gives {vectors.shape[1]}.")
    cosines = (_unit(vectors) * _unit(golden)).sum(axis=1)
    worst = int(np.argmin(cosines))
    if cosines[worst] < NEAR:
        now, then = encoder.libraries(), told["libraries"]
        changed = ", ".join(f"{name} {then.get(name)} → {now[name]}" for name in now if then.get(name) != now[name])
        raise ModelError(
            f"{spec.name} does not give the vectors that it should: cosine {cosines[worst]:.4f} for probe {worst} of "
            f"{path.name}, where {NEAR} is the least. Since then changed: {changed or 'nothing that is recorded'}.",
            "Install the versions that the file names, or make sure that the weights are whole.",
        )
    return float(cosines[worst])


def prove(spec: RetrieverSpec, encoder: Encoder) -> None:
    """Check the encoder against the golden file of its weights and wording where one comes with the package.

    Raises ModelError if it gives other vectors.
    """
    path = FOLDER / f"{spec.name}.json"
    if path.is_file() and _read(path)[0]["retriever"] == _shaping(spec):
        check_golden(path, spec, encoder)


def _read(path: Path) -> tuple[Mapping[str, Any], np.ndarray]:
    value = read_json(path)
    try:
        if value["format"] != _FORMAT:
            raise ValueError(f"format {value['format']!r}")
        rows, dim = (int(side) for side in value["shape"])
        data = base64.b64decode(value["float16"], validate=True)
        vectors = np.frombuffer(data, "<f2").reshape(rows, dim).astype(np.float32)
        if not isinstance(value["retriever"], dict) or not isinstance(value["libraries"], dict):
            raise ValueError("retriever and libraries are no mappings")
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise CacheCorrupt(f"{path} is no file of golden vectors ({error}).", "Make it again.") from error
    return value, vectors


def _shaping(spec: RetrieverSpec) -> dict[str, Any]:
    """What of a spec shapes the golden vectors: not how they are kept and searched."""
    other = {"index", "vectors", "passage_images", *IVF_PARAMS}
    return spec.to_json() | {"params": {name: value for name, value in spec.params.items() if name not in other}}


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {then.get(name)!r}, here {now[name]!r}" for name in now if then.get(name) != now[name])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _drawn(width: int, height: int) -> Image.Image:
    """Stripes and slopes of colour: the same picture everywhere, and no photo of anything."""
    y, x = np.mgrid[0:height, 0:width]
    planes = x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x // 7 + y // 5) % 2 * 200
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))
