"""Several context sets side by side: which one is read, what is refused, and what a cache is held to."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4rag_tasks import cells, context_sets, contexts, datasets, hooks, retrieval, suite
from m4rag_tasks.cli import main
from m4rag_tasks.errors import ContextError
from m4rag_tasks.mini.build import DATA
from retrieval_cache import CacheError, build_cache, list_caches

MINI, CVQA = suite.DATASETS["mini"], suite.DATASETS["cvqa"]
BM25 = suite.SETTINGS["textrag_caption_bm25"]
BUNDLED = (DATA / "contexts/caption.jsonl").read_bytes()


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Adds a named caption set of mini, made of the bundled one by a function of its text; gives its file."""
    monkeypatch.setenv("M4RAG_CONTEXTS", str(tmp_path / "contexts"))

    def made(name, text=lambda text: text):
        entries = [json.loads(line) for line in BUNDLED.splitlines()]
        lines = "".join(json.dumps({**e, "text": text(e["text"])}, ensure_ascii=False) + "\n" for e in entries)
        path = tmp_path / "contexts/mini/caption" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines, encoding="utf-8")
        manifest = {"format": 1, "sha256": hashlib.sha256(lines.encode()).hexdigest()}
        path.with_suffix(".json").write_text(json.dumps(manifest), encoding="utf-8")
        return path

    return made


def shown():
    row = next(iter(datasets.all_rows(MINI)))
    return contexts.context(MINI, "caption", row)


def test_a_named_set_is_read_where_it_is_chosen(add, monkeypatch):
    plain = shown()
    add("a", lambda text: f"A {text}")
    assert shown() == plain and contexts.context_name(MINI, "caption") == "mini:caption"
    for choice in ("caption=a", "mini:caption=a", " oracle=x , caption = b, mini:caption=a"):
        monkeypatch.setenv("M4RAG_CONTEXT_SETS", choice)
        assert shown() == f"A {plain}" and contexts.context_name(MINI, "caption") == "mini:caption:a"
    monkeypatch.setenv("M4RAG_CONTEXT_SETS", "caption=b")
    with pytest.raises(ContextError, match=r"'b' of M4-RAG mini, and there is no .* Named sets there: a\."):
        shown()


def test_the_only_set_needs_no_choice_and_of_several_one_must_be_named(data):
    folder = data / "cvqa/contexts/caption"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.jsonl").write_text('{"question_id": "1", "text": "t"}\n')
        digest = hashlib.sha256((folder / f"{name}.jsonl").read_bytes()).hexdigest()
        (folder / f"{name}.json").write_text(json.dumps({"format": 1, "sha256": digest}))
        if name == "a":
            contexts.check(CVQA, "caption")
            assert contexts.context_name(CVQA, "caption") == "cvqa:caption:a"
    with pytest.raises(ContextError, match=r"has 2 caption sets: a, b.*M4RAG_CONTEXT_SETS=cvqa:caption=a"):
        contexts.check(CVQA, "caption")


def test_a_file_without_a_manifest_is_half_an_import_and_no_set(add, monkeypatch):
    add("a").with_suffix(".json").unlink()
    assert [one.name for one in context_sets.all_sets(MINI, "caption")] == [None]
    monkeypatch.setenv("M4RAG_CONTEXT_SETS", "caption=a")
    with pytest.raises(ContextError, match="with a manifest"):
        shown()


def test_a_set_that_was_edited_is_refused(add, monkeypatch):
    path = add("a")
    monkeypatch.setenv("M4RAG_CONTEXT_SETS", "caption=a")
    shown()
    path.write_bytes(path.read_bytes() + b'{"question_id": "x", "text": "y"}\n')
    with pytest.raises(ContextError, match="its bytes have changed since"):
        shown()
    path.with_suffix(".json").write_text("{", encoding="utf-8")
    with pytest.raises(ContextError, match=r"manifest .* cannot be read"):
        shown()


@pytest.mark.parametrize(
    "choice", ["caption", "captions=a", "mine:caption=a", "=a", "caption=../a", "caption=", "caption=A"]
)
def test_a_choice_that_says_nothing_is_explained(add, monkeypatch, choice):
    monkeypatch.setenv("M4RAG_CONTEXT_SETS", choice)
    with pytest.raises(ContextError, match=r"M4RAG_CONTEXT_SETS says|cannot name a context set"):
        shown()


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_choice_is_read_or_refused(choice):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4RAG_CONTEXT_SETS", choice)
        try:
            assert context_sets.in_use(MINI, "caption").path.is_file()
        except ContextError as error:
            assert "M4RAG_CONTEXT_SETS" in str(error) or "cannot name" in str(error)


def test_runs_and_records_name_the_set_that_was_shown_or_searched_with(add, monkeypatch, tmp_path):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "cache"))
    add("a")
    monkeypatch.setenv("M4RAG_CONTEXT_SETS", "caption=a")
    build_cache(retrieval.build_spec(MINI, BM25), retrieval.queries(MINI, BM25), tmp_path / "cache", progress=str)
    made = hooks.metadata__mini__textrag_caption_bm25__en
    digest = hashlib.sha256(add("a").read_bytes()).hexdigest()
    assert made["contexts"] == {"caption": {"name": "mini:caption:a", "sha256": digest}} and made["context"] is None
    doc = datasets.without_images(datasets.load_rows(MINI, suite.language("en")))[0]
    assert cells.cell("mini", "textrag_caption_bm25").record(doc, "1")["context"] == "mini:caption:a"
    assert cells.cell("mini", "oracle").record(doc, "1")["context"] == "mini:oracle"
    assert cells.cell("mini", "norag").record(doc, "1")["context"] is None


def test_a_cache_made_with_one_set_is_refused_for_another_and_each_finds_its_own(add, monkeypatch, tmp_path):
    root = tmp_path / "cache"
    monkeypatch.setenv("M4RAG_CACHE", str(root))
    add("a"), add("b")  # the same texts: what differs is whose they are

    def use(name):
        monkeypatch.setenv("M4RAG_CONTEXT_SETS", f"caption={name}")

    def build():
        build_cache(retrieval.build_spec(MINI, BM25), retrieval.queries(MINI, BM25), root, progress=str)

    use("a")
    build()
    first = retrieval.open_cache("mini", BM25.name)
    assert first.manifest.queries["source"].startswith("mini:caption:a@")
    use("b")
    with pytest.raises(CacheError, match=r"queries made from: cache 'mini:caption:a@\w+', task 'mini:caption:b@\w+'"):
        retrieval.open_cache("mini", BM25.name)
    build()
    assert retrieval.open_cache("mini", BM25.name).key != first.key
    use("a")
    assert retrieval.open_cache("mini", BM25.name).key == first.key
    assert len([entry for entry in list_caches(root) if entry.manifest]) == 2
    add("a", lambda text: f"{text} !")
    with pytest.raises(CacheError, match="queries made from"):
        retrieval.open_cache("mini", BM25.name)


def test_a_cache_that_does_not_say_what_its_queries_were_made_from_is_still_read(add, monkeypatch, tmp_path):
    root = tmp_path / "cache"
    monkeypatch.setenv("M4RAG_CACHE", str(root))
    oracle = suite.SETTINGS["textrag_question_bm25"]
    build_cache(retrieval.build_spec(MINI, oracle), retrieval.queries(MINI, oracle), root, progress=str)
    cache = retrieval.open_cache("mini", oracle.name)
    manifest = json.loads((cache.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["queries"].pop("source") is None
    (cache.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (entry,) = list_caches(root)
    assert entry.manifest is not None and entry.manifest.key == cache.key


def test_a_manifest_of_a_newer_version_is_refused_and_listed(add, monkeypatch, capsys):
    path = add("a")
    manifest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    path.with_suffix(".json").write_text(json.dumps({**manifest, "format": 2}), encoding="utf-8")
    monkeypatch.setenv("M4RAG_CONTEXT_SETS", "caption=a")
    with pytest.raises(ContextError, match=r"a\.json has the format 2, and this version reads 1\. Install"):
        shown()
    assert main(["context", "list", "--dataset", "mini"]) == 0
    assert "* mini:caption:a  (unusable: " in capsys.readouterr().out
