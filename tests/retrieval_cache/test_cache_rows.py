"""Corpora of any packing, in one file or several: the same articles, and nothing lost unsaid."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval_cache import Article, CorpusError, read_articles
from retrieval_cache.corpus import rows as rows_module
from retrieval_cache.corpus.layout import KINDS


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


PACKERS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
words = texts.filter(str.strip)
images = st.fixed_dictionaries({"src": texts, "alt": texts, "caption": texts})
section = st.fixed_dictionaries(
    {"heading": texts, "content": st.lists(texts, max_size=3), "images": st.lists(images, max_size=2)}
)
languages = st.sampled_from(["en", "su", "arz", "zh-min-nan", "simple"])
row = st.builds(
    lambda article_id, title, language, content: {
        "id": article_id,
        "pageid": 1,
        "title": title,
        "url": f"https://{language}.wikipedia.org/wiki/X",
        "content": content,
    },
    words,
    texts,
    languages,
    st.lists(section, max_size=3),
)
rows_of_a_corpus = st.lists(row, min_size=1, max_size=6, unique_by=lambda row: row["id"])


def expected(row: dict) -> tuple:
    sections = [
        (s["heading"], tuple(s["content"]), tuple(i["src"].strip() for i in s["images"] if i["src"].strip()))
        for s in row["content"]
    ]
    return row["id"], row["title"], row["url"].split("//")[1].split(".")[0], row["url"], sections


def given_back(article: Article) -> tuple:
    sections = [(s.heading, s.paragraphs, s.images) for s in article.sections]
    return article.id, article.title, article.language, article.url, sections


def lines(rows: list[dict], ascii_only: bool = False) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows).encode()


anywhere = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


@pytest.mark.parametrize("suffix", PACKERS)
@anywhere
@given(rows=rows_of_a_corpus, ascii_only=st.booleans(), named_so=st.booleans())
def test_valid_articles_come_back_from_every_packing(tmp_path, suffix, rows, ascii_only, named_so):
    path = tmp_path / f"articles.jsonl{suffix if named_so else '.dat'}"
    path.write_bytes(PACKERS[suffix](lines(rows, ascii_only)))
    reader = read_articles(path)
    assert [given_back(article) for article in reader] == [expected(row) for row in rows]
    assert (reader.read, reader.skipped, reader.broken.total()) == (len(rows), 0, 0)
    assert reader.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert reader.position == path.stat().st_size


GOOD = {"id": "a", "pageid": 1, "title": "T", "url": "https://en.wikipedia.org/wiki/T", "content": []}


@anywhere
@given(garbage=st.binary(max_size=200), suffix=st.sampled_from(list(PACKERS)))
def test_whatever_bytes_a_line_has_it_is_an_article_or_counted(tmp_path, garbage, suffix):
    garbage = garbage.replace(b"\n", b"")
    path = tmp_path / f"articles.jsonl{suffix}"
    said = []
    path.write_bytes(PACKERS[suffix](lines([GOOD]) + garbage + b"\n" + lines([{**GOOD, "id": "b"}])))
    reader = read_articles(path, max_broken=1, progress=said.append)
    assert [article.id for article in reader] == ["a", "b"]
    assert reader.broken.total() == len(said) == bool(garbage.strip())
    assert set(reader.broken) <= set(KINDS)
    assert all(f"{path}:2: " in line for line in said)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.just("https://en.wikipedia.org/wiki/T"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "title", "url", "content", "heading", "images", "src"]), inner)
    ),
    max_leaves=12,
)


@anywhere
@given(value=values, field=st.sampled_from(["id", "title", "url", "content", "row"]))
def test_whatever_json_a_line_has_it_is_an_article_or_counted(tmp_path, value, field):
    path = tmp_path / "articles.jsonl"
    path.write_text(json.dumps(value if field == "row" else {**GOOD, field: value}) + "\n")
    reader = read_articles(path, max_broken=1)
    found = list(reader)
    assert len(found) == reader.read and reader.read + reader.skipped + reader.broken.total() == 1
    for article in found:
        texts = [article.id, article.title, article.url]
        for section in article.sections:
            texts += [section.heading, *section.paragraphs, *section.images]
        assert "".join(texts).encode("utf-8")


@pytest.mark.parametrize("place", ["title", "url", "heading", "paragraph", "src", "alt"])
def test_half_a_character_is_found_wherever_text_is_read(tmp_path, place):
    half = "\ud83d"
    image = {"src": half if place == "src" else "x", "alt": half if place == "alt" else "", "caption": ""}
    section = {
        "heading": half if place == "heading" else "h",
        "content": ["\U0001f35c", half if place == "paragraph" else "p"],
        "images": [image],
    }
    row = {**GOOD, "content": [section]} | ({place: GOOD[place] + half} if place in GOOD else {})
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row) + "\n")
    reader = read_articles(path, max_broken=1)
    assert len(list(reader)) == (place == "alt")  # which nobody reads
    assert reader.broken == ({} if place == "alt" else {"lone_surrogate": 1})


@anywhere
@given(content=st.binary(max_size=300))
def test_a_file_of_any_bytes_is_read_or_refused(tmp_path, content):
    path = tmp_path / "articles.jsonl"
    for magic in (b"", *rows_module._UNPACK, b"PAR1"):
        path.write_bytes(magic + content)
        try:
            list(read_articles(path, max_broken=None))
        except CorpusError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_file_cut_off_anywhere_is_an_error_whatever_is_allowed(tmp_path, suffix):
    rows = [{**GOOD, "id": f"a{number}", "title": "ਪੰਜਾਬੀ" * 40} for number in range(20)]
    whole = PACKERS[suffix](lines(rows))
    path = tmp_path / "articles.jsonl"
    for length in {1 + len(whole) // 3, len(whole) // 2, len(whole) - 2}:
        path.write_bytes(whole[:length])
        with pytest.raises(CorpusError, match=r"articles\.jsonl: cannot be read after line \d+ \(.*cut short"):
            list(read_articles(path, max_broken=None))


@pytest.mark.parametrize("suffix", list(PACKERS)[1:])
def test_damage_and_bytes_behind_the_end_are_errors(tmp_path, suffix):
    whole = PACKERS[suffix](lines([{**GOOD, "id": f"a{number}"} for number in range(300)]))
    path = tmp_path / "articles.jsonl"
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0x55
    path.write_bytes(flipped)
    with pytest.raises(CorpusError):
        list(read_articles(path))
    path.write_bytes(whole + whole)  # several streams in one file are one
    with pytest.raises(CorpusError, match=r":301.*duplicate id: line 1 has it"):
        list(read_articles(path))


def test_a_last_line_without_its_end_may_be_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + lines([GOOD]).rstrip())
    assert [article.id for article in read_articles(path)] == ["a"]


def test_an_endless_line_is_broken_and_never_held(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "MAX_LINE", 1 << 20)
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines([GOOD]) + b"x" * (5 << 20) + b"\n" + lines([{**GOOD, "id": "b"}]))
    reader = read_articles(path, max_broken=1)
    assert [article.id for article in reader] == ["a", "b"] and reader.broken == {"too_long": 1}


def test_a_folder_is_read_in_the_order_of_names(tmp_path):
    parts = {"part-10.jsonl.zst": "c", "part-1.jsonl": "a", "part-10.jsonl.gz": "b"}
    for name, article_id in parts.items():
        pack = PACKERS[name.partition(".jsonl")[2]]
        (tmp_path / name).write_bytes(pack(lines([{**GOOD, "id": article_id}])))
    write_parquet(tmp_path / "part-2.parquet", [{**GOOD, "id": "d"}])
    for name in ("README.md", ".hidden.jsonl", "queries.json", "part.jsonl.tmp"):
        (tmp_path / name).write_text("no article")
    assert [article.id for article in read_articles(tmp_path)] == ["a", "b", "c", "d"]
    (tmp_path / "part-3.jsonl").write_bytes(lines([{**GOOD, "id": "b"}]))
    with pytest.raises(CorpusError, match=r"part-3\.jsonl:1 \(id 'b'\): duplicate id: .*part-10\.jsonl\.gz:1 has it"):
        list(read_articles(tmp_path))


def test_a_folder_without_articles_names_what_is_in_it(tmp_path):
    (tmp_path / "cvqa").mkdir()
    (tmp_path / "README.md").write_text("")
    with pytest.raises(CorpusError, match=r"has no article files.*the folders cvqa: name one of them"):
        read_articles(tmp_path)


IMAGE = pa.struct({name: pa.string() for name in ("src", "alt", "caption")})
SECTION = pa.struct({"heading": pa.string(), "content": pa.list_(pa.string()), "images": pa.list_(IMAGE)})
SCHEMA = pa.schema(
    {"id": pa.string(), "pageid": pa.int64(), "title": pa.string(), "url": pa.string(), "content": pa.list_(SECTION)}
)


def write_parquet(path, rows, schema=SCHEMA):
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=3)


@anywhere
@given(rows=rows_of_a_corpus)
def test_parquet_gives_the_same_articles(tmp_path, rows):
    path = tmp_path / "articles.parquet"
    write_parquet(path, rows)
    reader = read_articles(path)
    assert [given_back(article) for article in reader] == [expected(row) for row in rows]
    assert reader.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_parquet_rows_may_be_without_content_or_broken(tmp_path):
    path = tmp_path / "articles.parquet"
    rows = [GOOD, {**GOOD, "id": "gone", "content": None}, {**GOOD, "id": None}, {**GOOD, "id": "z"}]
    write_parquet(path, rows)
    said = []
    reader = read_articles(path, max_broken=1, progress=said.append)
    assert [article.id for article in reader] == ["a", "z"] and reader.skipped == 1
    assert said == [f"left out: {path}:3: 'id' must be text, this is null."]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CorpusError, match="cannot be read after line 0"):
        list(read_articles(path))
