"""The analyser on many scripts, and BM25 against rank_bm25 itself."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable
from itertools import product

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from retrieval_cache.records import CacheCorrupt, CorpusError, Passage, Query
from retrieval_cache.sparse import bm25, layout, merge, runs, workers
from retrieval_cache.sparse.analyser import GRAM, terms, word_forms
from retrieval_cache.sparse.bm25 import Bm25Index
from retrieval_cache.sparse.hashing import code_points, gram_hashes, pair_hashes, word_hashes
from retrieval_cache.sparse.reference import ReferenceIndex
from retrieval_cache.specs import default_spec
from retrieval_cache.store.passages import PassageTable, write_passages

PARAMS = default_spec("bm25").params


def passages(*texts):
    return [Passage(f"p{i}", f"p{i}", "", text, "en") for i, text in enumerate(texts)]


def assert_equal_to_rank_bm25(index, texts, asked, *ks, **params):
    okapi = BM25Okapi([terms("\n" + text) for text in texts], **{
        "k1": PARAMS["k1"], "b": PARAMS["b"], "epsilon": PARAMS["epsilon"], **params
    })  # fmt: skip
    every = [okapi.get_scores(terms(text)) for text in asked]
    for k in ks:
        rows, scores = index.search([Query(str(i), text) for i, text in enumerate(asked)], k)
        for text, wanted, found, found_scores in zip(asked, every, rows, scores, strict=True):
            order = np.lexsort((np.arange(len(texts)), -wanted))[:k]
            assert found[: len(order)].tolist() == order.tolist(), text
            assert found_scores[: len(order)].tolist() == wanted[order].astype(np.float32).tolist(), text
            assert (found[len(order) :] == -1).all() and np.isnan(found_scores[len(order) :]).all()


def test_words_of_many_scripts():
    assert word_forms("हिन्दी भाषा में।") == ["हिन्दी", "भाषा", "में"]
    assert word_forms("বাংলা ভাষা") == ["বাংলা", "ভাষা"]
    assert word_forms("我喜欢北京。") == ["我", "喜欢", "北京"]
    assert word_forms("อาหารไทย") == ["อาหาร", "ไทย"]
    assert word_forms("ＡＢＣ Straße!") == ["abc", "strasse"]
    assert word_forms("— 😀 _ … ।") == []


def test_terms_are_words_padded_grams_and_pairs_of_short_words():
    assert terms("Cats!") == ["cats", "# cat", "#cats", "#ats "]
    assert terms("a") == ["a"]
    assert terms("我喜欢, 北京") == ["我", "喜欢", "# 喜欢 ", "我 喜欢", "北京", "# 北京 ", "喜欢 北京"]
    assert "four five" in terms("four five") and "three eighty" not in terms("three eighty")
    assert terms("\ud800") == []  # half a character must not stop a build


words = st.sampled_from(["the", "cat", "dog", "ab", "cd", "我喜欢北京", "ต้มยำ", "हिन्दी", "ſtraße", "x٣", "i̇stanbul"])
pieces = st.one_of(words, st.sampled_from([" ", "\n", "\x0c", "…", "\u2028", "\r\n", "́"]), st.text(max_size=3))
texts_of_all_kinds = st.lists(pieces, max_size=12).map(" ".join) | st.lists(pieces, max_size=12).map("".join)
made = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def term_hashes(terms: Iterable[str]) -> np.ndarray:
    """The hashes of terms as `analyser.terms` writes them: uint64 [n, 2]."""
    terms = list(terms)
    found = np.empty((len(terms), 2), np.uint64)
    kinds: dict[str, list[int]] = {"gram": [], "pair": [], "word": []}
    for i, term in enumerate(terms):
        kinds["gram" if term[0] == "#" else "pair" if " " in term else "word"].append(i)
    found[kinds["gram"]] = gram_hashes(code_points("".join(terms[i][1:] for i in kinds["gram"])).reshape(-1, GRAM))
    pairs = [terms[i].split(" ") for i in kinds["pair"]]
    found[kinds["pair"]] = pair_hashes(word_hashes([a for a, _ in pairs]), word_hashes([b for _, b in pairs]))
    found[kinds["word"]] = word_hashes([terms[i] for i in kinds["word"]])
    return found


@made
@given(st.lists(texts_of_all_kinds, min_size=1, max_size=8))
def test_a_run_holds_the_terms_that_the_analyser_gives(texts):
    run = runs.make_run(texts)
    every = [terms(text) for text in texts]
    distinct = list(dict.fromkeys(term for found in every for term in found))
    by_order = np.argsort(run.order)
    assert run.length.tolist() == [len(found) for found in every]
    assert run.hash[by_order].tolist() == term_hashes(distinct).tolist()
    for term, place in zip(distinct, by_order, strict=True):
        part = slice(run.start[place], run.start[place + 1])
        wanted = [(row, found.count(term)) for row, found in enumerate(every) if term in found]
        assert list(zip(run.offset[part].tolist(), run.count[part].tolist(), strict=True)) == wanted


@made
@given(
    st.lists(st.lists(words, max_size=9).map(" ".join), min_size=1, max_size=30),
    st.lists(st.lists(words, max_size=6).map(" ".join), min_size=1, max_size=4),
    st.sampled_from([1, 2, 5, 40]),
    st.sampled_from([1.5, 0.4]),
    st.sampled_from([0.75, 0.0, 1.0]),
)
def test_scores_are_those_of_rank_bm25(tmp_path_factory, texts, asked, k, k1, b):
    """Few distinct words, so that many stand in over half of the passages and idf gets its floor."""
    texts = ["one word at least", *texts]
    folder = tmp_path_factory.mktemp("index")
    params = {"k1": k1, "b": b}
    Bm25Index.build(passages(*texts), folder, params)
    with np.errstate(invalid="ignore"):  # b = 1 and no term: 0 / 0 in rank_bm25
        if b < 1 or all(terms(text) for text in texts):
            assert_equal_to_rank_bm25(Bm25Index(folder, params), texts, asked, k, **params)


def test_scores_are_those_of_rank_bm25_where_the_average_idf_is_negative(tmp_path):
    texts = ["the cat", "the cat", "the cat sat", "the cat"]
    Bm25Index.build(passages(*texts), tmp_path)
    assert_equal_to_rank_bm25(Bm25Index(tmp_path), texts, ["the cat", "sat", "dog"], 6)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of seven passages instead of 65,536; the compiled code keeps its own size, so only building uses it."""
    monkeypatch.setattr(bm25, "BLOCK", 7)


def sample(data, language=None, most=1500):
    with gzip.open(data / "corpus_sample" / "articles.jsonl.gz", "rt", encoding="utf-8") as file:
        articles = [json.loads(line) for line in file]
    chosen = [a for a in articles if language is None or f"//{language}." in a["url"]]
    paragraphs = [p for a in chosen for section in a["content"] for p in section["content"]]
    return paragraphs[:: max(1, len(paragraphs) // most)][:most]


@pytest.mark.parametrize("language", [None, "en", "ja"])
def test_scores_are_those_of_rank_bm25_on_real_text(data, tmp_path, language):
    texts = sample(data, language, 700)
    asked = [text[20:140] for text in texts[::40]] + ["the the the of and in", "の に は を た が で て と し", "zzz"]
    Bm25Index.build(passages(*texts), tmp_path)
    assert_equal_to_rank_bm25(Bm25Index(tmp_path), texts, asked, 5, 100)


def test_scores_are_those_of_rank_bm25_over_several_blocks(tmp_path):
    """Made-up words with frequencies as in language, in more than one block of 65,536."""
    random = np.random.default_rng(0)
    chance = 1 / np.arange(1, 3001)
    drawn = random.choice(3000, (66_000, 3), p=chance / chance.sum())
    texts = [" ".join(f"w{number}" for number in row) for row in drawn.tolist()]
    Bm25Index.build(passages(*texts), tmp_path)
    asked = ["w0 w1 w2 w50", "w2999 w7 w7 w7 w0", "w2500", "w17 w400 w3 w1200 w2 w1 w0 nothing"]
    assert_equal_to_rank_bm25(Bm25Index(tmp_path), texts, asked, 5, 1000)


def test_the_result_does_not_depend_on_how_queries_are_batched(data, tmp_path, monkeypatch):
    texts = sample(data, most=400)
    Bm25Index.build(passages(*texts), tmp_path)
    asked = [Query(str(i), text[:90]) for i, text in enumerate(texts)]
    rows, scores = Bm25Index(tmp_path).search(asked, 5)
    monkeypatch.setattr(bm25, "_QUERIES_AT_ONCE", 7)
    monkeypatch.setattr(bm25, "RESIDENT_BYTES", 0)  # every page is given back after each batch
    other = Bm25Index(tmp_path).search(asked[::-1], 5)
    assert (rows == other[0][::-1]).all() and (scores == other[1][::-1]).all()


def test_ties_go_to_the_lower_row_and_places_beyond_the_corpus_are_marked(tmp_path):
    Bm25Index.build(passages("tea", "milk", "tea", "tea"), tmp_path)
    rows, scores = Bm25Index(tmp_path).search([Query("1", "tea"), Query("2", "wine"), Query("3", "tea")], 5)
    assert rows.tolist() == [[0, 2, 3, 1, -1], [0, 1, 2, 3, -1], [0, 2, 3, 1, -1]]
    assert scores[1, :4].tolist() == [0, 0, 0, 0]
    assert np.isnan(scores).tolist() == (rows < 0).tolist()
    assert (rows.dtype, scores.dtype) == (np.int32, np.float32)


def test_counts_beyond_a_byte_are_kept(tmp_path):
    texts = ["ha " * 400, "ha " * 254, "ha " * 255, "ha " * 256, "ho", "hi", "he", "hu", "hy"]
    Bm25Index.build(passages(*texts), tmp_path, {"b": 0.0})
    assert_equal_to_rank_bm25(Bm25Index(tmp_path, {"b": 0.0}), texts, ["ha", "ha ho"], 9, b=0.0)


def test_same_passages_same_bytes_whatever_the_size_of_the_pieces(tmp_path, tree, data, monkeypatch):
    texts = sample(data, most=300)
    Bm25Index.build(passages(*texts), tmp_path / "a")
    monkeypatch.setattr(merge, "_POSTINGS_AT_ONCE", 999)
    monkeypatch.setattr(runs, "_TEXTS_AT_ONCE", 7)
    Bm25Index.build(passages(*texts), tmp_path / "b")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert sorted(tree(tmp_path / "a")) == sorted(layout.FILES)


def test_a_build_goes_on_from_whole_runs_only(tmp_path, tree, small_blocks, monkeypatch):
    texts = [f"passage number {number} about tea" for number in range(40)]
    Bm25Index.build(passages(*texts), tmp_path / "a")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(bm25, "merge", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        Bm25Index.build(passages(*texts), tmp_path / "b")
    kept = sorted((tmp_path / "b").glob(runs.RUNS))
    assert len(kept) == 6
    content = bytearray(kept[2].read_bytes())
    content[len(content) // 2] ^= 1
    kept[2].write_bytes(content)
    analysed = []
    make_run = runs.make_run
    monkeypatch.setattr(runs, "make_run", lambda part: analysed.append(len(part)) or make_run(part))
    with pytest.warns(UserWarning, match=f"analysing its passages again, because .*{kept[2].name} was changed"):
        Bm25Index.build(passages(*texts), tmp_path / "b")
    assert analysed == [7]
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_run_with_a_flipped_bit_anywhere_is_not_taken_for_a_whole_one(tmp_path):
    path = tmp_path / "run"
    runs.write_run(path, runs.make_run(["tea"]))
    whole = path.read_bytes()
    for place, bit in product(range(len(whole)), range(8)):
        changed = bytearray(whole)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        assert runs.open_run(path) is None, (place, bit)


def test_processes_make_the_same_bytes(tmp_path, tree, small_blocks, monkeypatch):
    monkeypatch.setattr(workers, "BLOCK", 7)
    monkeypatch.setattr(workers, "cores", lambda: 3)
    texts = [f"w{number} w{number % 7}" for number in range(60)]
    write_passages(tmp_path / "passages.arrow", passages(*texts))
    table = PassageTable(tmp_path / "passages.arrow")
    (tmp_path / "b").mkdir()
    workers.make_runs_in_processes(table, tmp_path / "b", PARAMS)
    made = [path.name[:9] for path in sorted((tmp_path / "b").iterdir())]
    assert made == [f"run-0000{number}" for number in range(9)]
    Bm25Index.build(table, tmp_path / "b")
    Bm25Index.build(passages(*texts), tmp_path / "a")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_what_processes_cannot_do_the_build_does(tmp_path, tree, monkeypatch):
    texts = [f"tea {number}" for number in range(30)]
    write_passages(tmp_path / "passages.arrow", passages(*texts))
    Bm25Index.build(passages(*texts), tmp_path / "a")
    monkeypatch.setattr(workers, "BLOCK", 10)  # so that there is work for two; but they fail at once
    monkeypatch.setattr(workers.sys, "executable", "/bin/false")
    Bm25Index.build(PassageTable(tmp_path / "passages.arrow"), tmp_path / "b")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_corpus_without_words_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="no word"):
        Bm25Index.build(passages("…", "!"), tmp_path)
    with pytest.raises(CorpusError, match="no word"):
        ReferenceIndex.build(passages("…", "!"), tmp_path)


def test_parameters_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no parameter k2; it has b, epsilon, k1, passage"):
        default_spec("bm25", k2=1)
    with pytest.raises(ValueError, match="b from 0 to 1"):
        Bm25Index.build(passages("tea"), tmp_path, {"b": 2})


def test_the_reference_engine_gives_the_same_hits(data, tmp_path):
    texts = sample(data, most=200)
    asked = [Query(str(i), text[:60]) for i, text in enumerate(texts[::10])] + [Query("none", "zzzz")]
    for engine, name in ((Bm25Index, "a"), (ReferenceIndex, "b")):
        engine.build(passages(*texts), tmp_path / name)
    ours, theirs = Bm25Index(tmp_path / "a").search(asked, 5), ReferenceIndex(tmp_path / "b").search(asked, 5)
    assert (ours[0] == theirs[0]).all() and (ours[1] == theirs[1]).all()


@pytest.mark.parametrize("name", layout.FILES)
def test_files_that_are_cut_off_or_of_another_kind_are_refused(tmp_path, name):
    Bm25Index.build(passages("ha " * 300, "tea and milk", "more tea"), tmp_path)
    whole = (tmp_path / name).read_bytes()
    for damaged in (b"", whole[:5], whole[:-3], whole + b"0", b"\x93NUMPY\x01\x00" + whole[:90], b"null"):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(CacheCorrupt, match=name):
            Bm25Index(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError):
        Bm25Index(tmp_path)


@made
@given(
    st.sampled_from(["first_segment", "segment_block", "segment_start", "offset", "count", "hash", "overflow_at"]),
    st.integers(0, 2**32),
    st.binary(min_size=1, max_size=8),
)
def test_wrong_positions_are_noticed_or_harmless(corrupt_me, name, where, content):
    """Never a crash, never a row that is not there: positions are checked before they are followed."""
    folder, queries = corrupt_me
    path = folder / f"{name}.npy"
    whole = path.read_bytes()
    start = 128 + where % max(1, len(whole) - 128 - len(content))
    path.write_bytes(whole[:start] + content + whole[start + len(content) :][: len(whole)])
    path.write_bytes(path.read_bytes()[: len(whole)])
    try:
        rows, _ = Bm25Index(folder).search(queries, 5)
        assert ((rows >= -1) & (rows < 60)).all()
    except CacheCorrupt:
        pass
    finally:
        path.write_bytes(whole)


@pytest.fixture(scope="module")
def corrupt_me(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    texts = [f"tea number {number % 7} and milk {'ha ' * (number * 9)}" for number in range(60)]
    Bm25Index.build(passages(*texts), folder)
    return folder, [Query(text, text) for text in ("tea and milk", "ha number 3", "number 1 2 3 4 5 6")]


def test_the_kernel_refuses_positions_outside_the_files(tmp_path):
    Bm25Index.build(passages("tea", "milk tea", "water"), tmp_path)
    index = Bm25Index(tmp_path)
    wrong = index._postings.segment_start.copy()
    wrong[1:-1] = wrong[-1] + 5
    index._postings = index._postings._replace(segment_start=wrong)
    with pytest.raises(CacheCorrupt, match="positions that do not exist"):
        index.search([Query("1", "tea water")], 2)


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
    assert gain / len(asked) > 0.95
