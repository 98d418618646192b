"""What a corpus holds: counted right on real articles, by language, whatever lines are broken."""

from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import pytest

from retrieval_cache import CorpusError, corpus_stats
from retrieval_cache.corpus.stats import QUANTILES


def article(number: int, language: str, title: str, *paragraphs: str, images: tuple[str, ...] = ()) -> dict:
    section = {"heading": "H", "content": list(paragraphs), "images": [{"src": src} for src in images]}
    url = f"https://{language}.wikipedia.org/wiki/{number}"
    return {"id": f"a{number}", "title": title, "url": url, "content": [section, section]}


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.fixture
def corpus(tmp_path):
    """Three Sundanese articles, one English, one page without content, three broken lines."""
    return write(
        tmp_path / "articles.jsonl",
        article(1, "su", "Seblak", "abc", "ਪੰ", images=("x.jpg", " ")),
        article(2, "su", "Seblak ", "a" * 10),
        article(3, "en", "Seblak", "a"),
        article(4, "su", "Surabi", "a" * 20),
        {**article(5, "en", "Gone"), "content": ""},
        "not json",
        article(4, "su", "Surabi"),
        article(6, "www", "Nowhere"),
    )


def test_counts_by_language_and_kind(corpus):
    said = []
    stats = corpus_stats(corpus, said.append)
    assert list(stats.languages) == ["su", "en"] and len(said) == 3
    su, total = stats.languages["su"], stats.total
    assert (su.articles, su.sections, su.paragraphs, su.images) == (3, 6, 8, 2)
    assert (su.characters, su.bytes) == (2 * 35, 2 * 39)
    assert (total.articles, total.characters, total.bytes) == (4, 72, 80)
    assert su.lengths == [10, 10, 10, 20, 40, 40, 40] and total.lengths[0] == 2
    assert (stats.skipped, stats.broken) == (1, {"not_json": 1, "bad_url": 1, "duplicate_id": 1})
    assert (stats.same_title, stats.same_title_examples) == (1, ["su: Seblak"])
    assert (stats.name, stats.files, stats.stored_bytes) == ("articles.jsonl", 1, corpus.stat().st_size)


def test_the_real_sample_has_what_its_list_says(data):
    folder = data / "corpus_sample"
    stats = corpus_stats(folder)
    with (folder / "articles_meta.csv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    columns = {"sections": "sections", "paragraphs": "paragraphs", "images": "images", "characters": "chars"}
    for name, column in columns.items():
        assert getattr(stats.total, name) == sum(int(row[column]) for row in listed), name
        for language, counts in stats.languages.items():
            assert getattr(counts, name) == sum(int(row[column]) for row in listed if row["lang"] == language)
    assert {language: counts.articles for language, counts in stats.languages.items()} == Counter(
        row["lang"] for row in listed
    )
    lengths = [int(row["chars"]) for row in listed]
    assert stats.total.lengths == [int(np.quantile(lengths, q, method="inverted_cdf")) for q in QUANTILES]
    assert stats.broken == {} and stats.skipped == 0


def test_an_unreadable_corpus_is_an_error(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"id": "cut off')
    path.write_bytes(path.read_bytes().rstrip())
    with pytest.raises(CorpusError, match="cannot be read"):
        corpus_stats(path)
