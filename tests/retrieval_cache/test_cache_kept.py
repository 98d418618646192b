"""The same questions are embedded once for all builds, and hits do not depend on what was embedded before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval_cache import ChunkerSpec, Query, build_cache, default_spec
from retrieval_cache.encoders.kept import KeptQueries
from retrieval_cache.encoders.pixel import PixelEncoder


class Counting:
    """Vectors that depend on the batch, as those of real encoders do in their last bits."""

    name, dim, uses_images, passage_images, batch, memory = "counting", 3, True, False, 4, 0

    def __init__(self) -> None:
        self.calls = 0

    def encode_queries(self, queries):
        self.calls += 1
        return np.array([[len(q.text), len(queries), i] for i, q in enumerate(queries)], np.float32) / 7

    def libraries(self):
        return {"counting": "1"}


@pytest.fixture
def encoder():
    return Counting()


def kept(encoder, folder: Path, **other) -> KeptQueries:
    spec = replace(default_spec("pixel"), **other)
    return KeptQueries(encoder, spec, folder)


QUERIES = [Query("a", "one"), Query("b", "second")]


def test_the_same_call_is_made_once_and_gives_the_same_bytes(encoder, tmp_path):
    first = kept(encoder, tmp_path).encode_queries(QUERIES)
    renamed = [replace(query, id=query.id * 2) for query in QUERIES]
    again = kept(encoder, tmp_path).encode_queries(renamed)
    assert encoder.calls == 1 and again.tobytes() == first.tobytes() and again.dtype == np.float32


@pytest.mark.parametrize("asked", [QUERIES[:1], QUERIES[::-1], [*QUERIES, *QUERIES], [QUERIES[0], Query("b", "other")]])
def test_another_call_is_never_taken_for_it(encoder, tmp_path, asked):
    kept(encoder, tmp_path).encode_queries(QUERIES)
    found = kept(encoder, tmp_path).encode_queries(asked)
    assert encoder.calls == 2 and np.array_equal(found, Counting().encode_queries(asked))


def test_another_picture_is_another_query(encoder, tmp_path, draw):
    path = draw(tmp_path / "a.png", 1)
    asked = [Query("a", "one", "a.png", path)]
    kept(encoder, tmp_path / "kept").encode_queries(asked)
    copy = tmp_path / "copy.png"
    copy.write_bytes(path.read_bytes())
    kept(encoder, tmp_path / "kept").encode_queries([replace(asked[0], image_path=copy)])
    assert encoder.calls == 1
    draw(path, 2)
    kept(encoder, tmp_path / "kept").encode_queries(asked)
    assert encoder.calls == 2


@pytest.mark.parametrize(
    "other", [{"revision": "2"}, {"instruction": "x"}, {"name": "other"}, {"params": {"text_weight": 0.5}}]
)
def test_another_encoder_keeps_its_own(encoder, tmp_path, other):
    kept(encoder, tmp_path).encode_queries(QUERIES)
    kept(encoder, tmp_path, **other).encode_queries(QUERIES)
    assert encoder.calls == 2


def test_no_changed_byte_is_believed(encoder, tmp_path):
    good = kept(encoder, tmp_path).encode_queries(QUERIES)
    (path,) = tmp_path.rglob("*.f32")
    content = path.read_bytes()
    assert json.loads(content.partition(b"\n")[0])["shape"] == [2, 3]
    for place in [*range(0, len(content), 7), len(content) - 1]:
        changed = bytearray(content)
        changed[place] ^= 4
        path.write_bytes(changed)
        with pytest.warns(UserWarning, match="embedding again"):
            found = kept(encoder, tmp_path).encode_queries(QUERIES)
        assert found.tobytes() == good.tobytes() and path.read_bytes() == content
    path.write_bytes(content[:-1])
    with pytest.warns(UserWarning, match="embedding again"):
        kept(encoder, tmp_path).encode_queries(QUERIES)


def test_builds_share_across_k_corpora_and_ways_to_cut(world, tree, monkeypatch):
    asked = []
    real = PixelEncoder.encode_queries
    monkeypatch.setattr(
        PixelEncoder, "encode_queries", lambda encoder, queries: asked.append(len(queries)) or real(encoder, queries)
    )
    world.build("pixel")
    assert asked == [8]
    world.build("pixel", k=2)
    world.build("pixel", setting="other")
    world.build("pixel", chunker=ChunkerSpec(max_tokens=32, overlap=4))
    world.corpus.write_text("".join(world.corpus.read_text().splitlines(keepends=True)[:5]))
    smaller = world.build("pixel")
    assert asked == [8]
    alone = build_cache(world.spec("pixel"), world.queries, world.root.parent / "alone")
    assert asked == [8, 8]
    assert tree(smaller.folder) == tree(alone.folder)
