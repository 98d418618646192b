"""Evaluating retrieval: against values computed by hand, and on XQuAD."""

from __future__ import annotations

import json
import math

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval_cache import (
    BuildSpec,
    CacheMismatch,
    CorpusError,
    Query,
    build_cache,
    default_spec,
    evaluate,
    read_qrels,
)
from retrieval_cache.matching import normalised

LANGUAGES = {
    f"q{number}": language for number, language in enumerate(["en", "id", "hi", "zh", "th", "arz", "am", "en"])
}


@pytest.fixture
def cache(world):
    """Three hits for each of eight questions, the article asked about first."""
    return world.build()


def test_by_hand(cache):
    ids = {query: [hit.passage_id for hit in cache.ranking(query)] for query in ("q0", "q1", "q7")}
    qrels = {
        "q0": {ids["q0"][0]: 1},  # first: 1, 1, 1
        "q7": {ids["q7"][1]: 2, ids["q7"][2]: 1, "elsewhere": 1},  # second and third of three
        "q1": {"elsewhere": 1, ids["q1"][0]: 0},  # nothing relevant was found
        "unknown": {"x": 1},
    }
    found = evaluate(cache, LANGUAGES, qrels)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    ndcg = (2 / math.log2(3) + 1 / math.log2(4)) / ideal
    expected = {"nDCG@10": (1, ndcg, 0), "R@5": (1, 2 / 3, 0), "RR@10": (1, 1 / 2, 0)}
    assert found.level == "passage" and list(found.languages) == ["en", "id"]
    for measure, (q0, q7, q1) in expected.items():
        assert found.languages["en"][measure].value == pytest.approx((q0 + q7) / 2)
        assert found.languages["en"][measure].queries == 2
        assert found.languages["id"][measure].value == q1
        assert found.macro[measure] == pytest.approx(((q0 + q7) / 2 + q1) / 2)
        assert found.micro[measure].value == pytest.approx((q0 + q7 + q1) / 3)
        assert found.micro[measure].queries == 3


def test_articles_count_once_where_their_best_passage_stands(world):
    text = " ".join(f"Rendang number {number} is cooked slowly in coconut milk." for number in range(60))
    world.corpus.write_text(world.corpus.read_text().replace("Rendang is a slow cooked beef dish of", text))
    cache = build_cache(world.spec(), [Query("q0", "Rendang coconut"), Query("q7", "Finns stones")], world.root)
    assert [p.article_id for p in cache.passages_of("q0")] == ["a0"] * 3
    found = evaluate(cache, LANGUAGES, {"q0": {"a0": 1, "a3": 1}, "q7": {"a7": 1}})
    assert found.level == "article"
    assert found.micro["R@5"].value == pytest.approx((1 / 2 + 1) / 2)
    assert found.micro["RR@10"].value == 1


def test_answers_are_looked_for_in_title_and_text(cache):
    answers = {
        "q0": ["COCONUT  milk"],  # first passage, other case and spaces
        "q1": ["gamelan"],  # in the title
        "q2": ["nowhere", "दीये"],  # the second of two
        "q3": ["ﬁre"],  # nowhere
        "q4": ["", " "],  # no answer at all: does not count
        "q7": [cache.passages_of("q7")[2].text],  # third passage
    }
    found = evaluate(cache, LANGUAGES, answers=answers)
    assert found.level is None and set(found.micro) == {"Answer@1", "Answer@3"}  # no more than k = 3
    assert found.micro["Answer@1"].value == pytest.approx(3 / 5)
    assert found.micro["Answer@3"].value == pytest.approx(4 / 5)
    assert found.languages["en"]["Answer@3"].value == 1 and found.languages["en"]["Answer@1"].value == 0.5
    assert "th" not in found.languages


def test_both_at_once_and_json(cache):
    found = evaluate(cache, LANGUAGES, {"q0": {"a0": 1}}, {"q1": ["gamelan"]})
    assert json.loads(json.dumps(found.to_json()))["languages"]["en"]["R@5"] == {"queries": 1, "value": 1.0}
    assert set(found.languages["id"]) == {"Answer@1", "Answer@3"}


def test_what_does_not_fit_is_refused(cache):
    with pytest.raises(CacheMismatch, match="none of the 1 queries of the qrels"):
        evaluate(cache, LANGUAGES, {"x": {"a0": 1}})
    with pytest.raises(CacheMismatch, match="none of them is the id of a passage or article"):
        evaluate(cache, LANGUAGES, {"q0": {"b0": 1}})
    with pytest.raises(CacheMismatch, match="no language is given for query 'q1'"):
        evaluate(cache, {"q0": "en"}, {"q0": {"a0": 1}})
    with pytest.raises(CacheMismatch, match="has an answer"):
        evaluate(cache, LANGUAGES, answers={"q0": [" "]})


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.txt", "q1 0 d1 1\nq1 0 d2 0\nq2 Q0 d1 2\n"),
        ("a.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td1\t2\n"),
        ("a.tsv", "\ufeffq1\td1\t1\r\nq1\td2\t0.0\r\n\r\nq2\td1\t2\r\n"),
        (
            "a.jsonl",
            '{"query_id": "q1", "passage_id": "d1"}\n{"query-id": "q1", "corpus-id": "d2", "score": 0}\n'
            '{"qid": "q2", "article_id": "d1", "relevance": "2"}\n',
        ),
    ],
)
def test_qrels_are_read_in_each_form(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_qrels(tmp_path / name) == {"q1": {"d1": 1, "d2": 0}, "q2": {"d1": 2}}


@pytest.mark.parametrize(
    "name, text, says",
    [
        ("a.txt", "q1 0 d1 1\nq1 d1\n", r"a\.txt:2: not a judgement: 'q1 d1'"),
        ("a.txt", "q1 0 d1 high\n", r"a\.txt:1: not a judgement"),
        ("a.txt", "q1 0 d1 0.5\n", r"a\.txt:1: not a judgement"),
        ("a.txt", "q1 0 d1 1\nq1 0 d1 2\n", r"a\.txt:2: 'q1' and 'd1' are judged twice"),
        ("a.jsonl", '{"query_id": 1, "passage_id": "d"}\n', r"a\.jsonl:1: not a judgement"),
        ("a.jsonl", "[]\n", r"a\.jsonl:1: not a judgement"),
        ("a.jsonl", "[" * 100_000, r"a\.jsonl:1: not a judgement"),
        ("a.tsv", "query-id\tcorpus-id\tscore\n", "hold no judgement"),
        ("a.tsv", "", "hold no judgement"),
    ],
)
def test_qrels_that_cannot_be_used(tmp_path, name, text, says):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=says):
        read_qrels(tmp_path / name)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_qrels(tmp_path / "nowhere.tsv")


IDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8).filter(
    lambda text: text.split() == [text] and "\ufeff" not in text
)


@given(st.dictionaries(IDS, st.dictionaries(IDS, st.integers(-1, 4), min_size=1, max_size=4), min_size=1, max_size=4))
def test_qrels_survive_writing_in_each_form(tmp_path_factory, qrels):
    folder = tmp_path_factory.mktemp("qrels")
    triples = [(query, document, r) for query, judged in qrels.items() for document, r in judged.items()]
    forms = {
        "a.trec": "".join(f"{q} 0 {d} {r}\n" for q, d, r in triples),
        "a.tsv": "query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{r}\n" for q, d, r in triples),
        "a.jsonl": "".join(json.dumps({"query_id": q, "passage_id": d, "relevance": r}) + "\n" for q, d, r in triples),
    }
    for name, text in forms.items():
        (folder / name).write_text(text, encoding="utf-8")
        assert read_qrels(folder / name) == qrels


def test_normalising():
    assert normalised("  Ｆull\u00a0WIDTH ﬁ\nStraße ") == "full width fi strasse"


def test_xquad(tmp_path, data):
    """English and Chinese Wikipedia paragraphs: BM25 must find the right one as well as the published baselines."""

    def rows(name: str) -> list[dict]:
        found = pq.read_table(data / "retrieval" / f"{name}.parquet").to_pylist()
        return [row for row in found if row.get("lang", "en") in ("en", "zh")]

    with (tmp_path / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows("corpus")):
            section = {"heading": "", "content": [row["text"]], "images": [], "access_time": ""}
            url = f"https://{row['lang']}.wikipedia.org/wiki/{number}"
            article = {"id": row["id"], "pageid": number, "title": row["title"], "url": url, "content": [section]}
            file.write(json.dumps(article) + "\n")
    questions = rows("queries")[::8]
    ids = {row["id"] for row in questions}
    (tmp_path / "qrels.tsv").write_text(
        "".join(f"{r['query_id']}\t{r['passage_id']}\t1\n" for r in rows("qrels") if r["query_id"] in ids)
    )
    spec = BuildSpec("xquad", "bm25", tmp_path / "corpus.jsonl", default_spec("bm25"), k=10)
    cache = build_cache(spec, [Query(row["id"], row["text"]) for row in questions], tmp_path / "caches")
    languages = {row["id"]: row["lang"] for row in questions}
    answers = {row["id"]: row["answers"] for row in questions}
    found = evaluate(cache, languages, read_qrels(tmp_path / "qrels.tsv"), answers)
    assert found.level == "article" and set(found.languages) == {"en", "zh"}
    assert found.languages["en"]["nDCG@10"].value > 0.93 and found.languages["zh"]["nDCG@10"].value > 0.85
    for language in ("en", "zh"):
        measures = found.languages[language]
        assert measures["Answer@5"].value >= measures["Answer@1"].value > 0.8
        assert measures["R@5"].value <= measures["Answer@5"].value + 0.02  # the right paragraph holds the answer
