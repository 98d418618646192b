"""The analyser on many scripts, and BM25 against rank_bm25 itself."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from rank_bm25 import BM25Okapi

from retrieval_cache.records import CorpusError, Passage, Query
from retrieval_cache.sparse.analyser import terms, word_forms
from retrieval_cache.sparse.bm25 import Bm25Index
from retrieval_cache.specs import default_spec


def passages(*texts):
    return [Passage(f"p{i}", f"p{i}", "", text, "en") for i, text in enumerate(texts)]


def test_words_of_many_scripts():
    assert word_forms("हिन्दी भाषा में।") == ["हिन्दी", "भाषा", "में"]
    assert word_forms("বাংলা ভাষা") == ["বাংলা", "ভাষা"]
    assert word_forms("我喜欢北京。") == ["我", "喜欢", "北京"]
    assert word_forms("อาหารไทย") == ["อาหาร", "ไทย"]
    assert word_forms("ＡＢＣ Straße!") == ["abc", "strasse"]
    assert word_forms("— 😀 _ … ।") == []


def test_terms_are_words_and_padded_grams():
    assert terms("Cats!") == ["cats", "# cat", "#cats", "#ats "]
    assert terms("a") == ["a"]
    assert terms("\ud800") == []  # half a character must not stop a build


def test_scores_are_those_of_rank_bm25(tmp_path):
    texts = [
        "the cat sat on the mat", "a dog ran", "cats and dogs", "", "the the the end", "我喜欢猫",
        "unrelated words entirely", "the cat sat on the mat",
    ]  # fmt: skip
    asked = ["the cat", "dog dog ran", "猫", "the end of the cat and the mat", "of no such words"]
    Bm25Index.build(passages(*texts), tmp_path)
    rows, scores = Bm25Index(tmp_path).search([Query(t, t) for t in asked], 3)
    okapi = BM25Okapi([terms("\n" + text) for text in texts])
    for text, found, given in zip(asked, rows, scores, strict=True):
        wanted = okapi.get_scores(terms(text))
        order = np.lexsort((np.arange(len(texts)), -wanted))[:3]
        assert found.tolist() == order.tolist()
        assert given.tolist() == wanted[order].astype(np.float32).tolist()


def test_ties_go_to_the_lower_row_and_places_beyond_the_corpus_are_marked(tmp_path):
    Bm25Index.build(passages("tea", "milk", "tea", "tea"), tmp_path)
    rows, scores = Bm25Index(tmp_path).search([Query("1", "tea"), Query("2", "wine"), Query("3", "tea")], 5)
    assert rows.tolist() == [[0, 2, 3, 1, -1], [0, 1, 2, 3, -1], [0, 2, 3, 1, -1]]
    assert scores[1, :4].tolist() == [0, 0, 0, 0]
    assert np.isnan(scores).tolist() == (rows < 0).tolist()
    assert (rows.dtype, scores.dtype) == (np.int32, np.float32)


def test_same_passages_same_bytes(tmp_path, tree):
    for name in "ab":
        Bm25Index.build(passages("one two", "two three", "three four"), tmp_path / name)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_corpus_without_words_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="no word"):
        Bm25Index.build(passages("…", "!"), tmp_path)


def test_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match="no parameter k2; it has b, epsilon, k1, passage"):
        default_spec("bm25", k2=1)


@pytest.mark.parametrize("language", ["zh", "th", "hi", "en"])
def test_one_analyser_finds_paragraphs_in_every_script(data, tmp_path, language):
    folder = data / "retrieval"
    only = [("lang", "=", language)]
    corpus = pq.read_table(folder / "corpus.parquet", filters=only).to_pylist()
    asked = pq.read_table(folder / "queries.parquet", filters=only).to_pylist()[::8]
    qrels = pq.read_table(folder / "qrels.parquet").to_pylist()
    relevant = {row["query_id"]: row["passage_id"] for row in qrels}
    Bm25Index.build([Passage(r["id"], r["id"], "", r["text"], language) for r in corpus], tmp_path)
    rows, _ = Bm25Index(tmp_path).search([Query(r["id"], r["text"]) for r in asked], 10)
    gain = 0.0
    for row, found in zip(asked, rows.tolist(), strict=True):
        ids = [corpus[i]["id"] for i in found if i >= 0]
        if relevant[row["id"]] in ids:
            gain += 1 / math.log2(2 + ids.index(relevant[row["id"]]))
    assert gain / len(asked) > 0.94
