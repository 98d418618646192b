"""Runs of the whole grid: what is one run, what is compared with what, how open-ended answers are read."""

from __future__ import annotations

import csv
import json

import pytest

from m4rag_tasks import suite
from m4rag_tasks.errors import RunError
from m4rag_tasks.report import build_report, load_runs, write_report
from m4rag_tasks.report.examples import pick_examples
from m4rag_tasks.report.runs import _variant

from . import make_run as make


def report_of(root):
    return build_report(load_runs([root]))


def by_name(rows):
    return {row.name: row for row in rows}


def variants_of_norag_and_oracle(root, variants, dataset="wc"):
    for number, variant in enumerate(variants):
        changes = {"dataset": dataset, "variant": variant}
        scores = {"norag": {"cs": [number % 2, 0]}, "oracle": {"cs": [1, 1]}}
        make.write_run(root, scores, date=f"2026030{number + 1}_120000", changes=changes)


def open_run(root, setting, answers, language="cs", **changes):
    records = [
        make.open_record(number, language, setting, answer, dataset="wc", **changes)
        for number, answer in enumerate(answers, start=1)
    ]
    return make.write_task(root, setting, language, records)


def test_every_task_of_the_suite_is_told_its_own_variant():
    for task in suite.all_tasks().values():
        record = {
            "dataset": task.dataset.key,
            "setting": task.setting.name,
            "variant": task.variant.name,
            "language": task.language.code,
        }
        assert _variant(task.name, record) == task.variant.name


def test_a_task_of_ones_own_is_a_variant_by_its_name():
    record = {"dataset": "wc_large", "setting": "mmrag", "variant": "oe", "language": "si_formal_spoken"}
    assert _variant("m4rag_wc_large_mmrag_oe_kind_words_si_formal_spoken", record) == "oe_kind_words"
    assert _variant("somebody_elses_name", record) == "oe"


def test_variants_are_runs_of_their_own_with_titles_for_people(tmp_path):
    variants_of_norag_and_oracle(tmp_path, ["", "enprompt", "localctx", "en", "odd"])
    assert [(run.setting, run.variant, run.title) for run in load_runs([tmp_path]) if run.setting == "oracle"] == [
        ("oracle", "", "Oracle context"),
        ("oracle", "enprompt", "Oracle context (English prompt)"),
        ("oracle", "localctx", "Oracle context (context in the question's language)"),
        ("oracle", "odd", "Oracle context (odd)"),
        ("oracle", "en", "Oracle context (asked in English)"),
    ]


def test_an_umbrella_group_gives_two_runs_each_with_its_own_row(tmp_path):
    for asked, variant, base in (("local", "", "am"), ("en", "en", "en")):
        for setting, score in (("norag", 0), ("oracle", 1)):
            records = [
                make.record(
                    n,
                    "am_ethiopia",
                    setting,
                    score,
                    dataset="cvqa",
                    variant=variant,
                    base_language=base,
                    question_id=f"{n}-{asked}",
                )
                for n in (1, 2)
            ]
            make.write_task(tmp_path, setting, "am_ethiopia", records)
    report = report_of(tmp_path)
    assert [row.name for row in report.settings] == ["norag", "oracle", "norag_en", "oracle_en"]
    assert [(row.name, row.partner, row.problem) for row in report.changes] == [
        ("oracle", "norag", None),
        ("oracle_en", "norag_en", None),
    ]
    assert [(table.asking, list(table.titles.values())) for table in report.breakdowns] == [
        ("", ["No retrieval", "Oracle context"]),
        ("en", ["No retrieval", "Oracle context"]),
    ]
    assert report.notes == ()


@pytest.mark.parametrize(
    ("variants", "run", "partner"),
    [
        (["", "enprompt"], "oracle_enprompt", "norag_enprompt"),
        (["", "localctx"], "oracle_localctx", "norag_localctx"),
        (["", "enprompt", "enprompt_localctx"], "oracle_enprompt_localctx", "norag_enprompt_localctx"),
    ],
)
def test_a_variant_is_measured_against_itself(tmp_path, variants, run, partner):
    variants_of_norag_and_oracle(tmp_path, variants)
    assert by_name(report_of(tmp_path).changes)[run].partner == partner


@pytest.mark.parametrize(
    ("without", "variant", "partner"),
    [
        ([""], "enprompt", "norag"),
        ([""], "localctx", "norag"),
        (["", "enprompt"], "enprompt_localctx", "norag_enprompt"),
        ([""], "enprompt_localctx", "norag"),
    ],
)
def test_without_a_run_of_its_own_a_variant_is_measured_against_the_nearest(tmp_path, without, variant, partner):
    for number, other in enumerate(without):
        changes = {"dataset": "wc", "variant": other}
        make.write_run(tmp_path, {"norag": {"cs": [0, number]}}, date=f"2026030{number + 1}_120000", changes=changes)
    changes = {"dataset": "wc", "variant": variant}
    make.write_run(tmp_path, {"oracle": {"cs": [1, 1]}}, date="20260309_120000", changes=changes)
    row = by_name(report_of(tmp_path).changes)[f"oracle_{variant}"]
    assert (row.partner, row.problem) == (partner, None)


@pytest.mark.parametrize("variant", ["en", "oe"])
def test_other_questions_and_other_scores_are_never_set_against_plain_ones(tmp_path, variant):
    """The open-ended run has the same question ids; still its score means another thing."""
    make.write_run(tmp_path, {"norag": {"cs": [1, 0]}, "oracle": {"cs": [1, 1]}}, changes={"dataset": "wc"})
    if variant == "oe":
        open_run(tmp_path, "mmrag", [make.ANSWER, "no"])
    else:
        make.write_run(tmp_path, {"mmrag": {"cs": [1, 0]}}, changes={"dataset": "wc", "variant": "en"})
    report = report_of(tmp_path)
    name = f"mmrag_{variant}"
    assert by_name(report.changes)[name].problem == f"no norag_{variant} run"
    assert by_name(report.gaps)[name].problem == f"no oracle_{variant} run"
    table = next(table for table in report.breakdowns if table.asking == variant)
    assert list(table.rows["cs"]) == [name]
    assert table.rows["cs"][name].change is None
    assert {example.kind for example in pick_examples(load_runs([tmp_path]), lambda *_: None)} <= {
        "right",
        "wrong",
        "mixed",
    }


def test_varieties_of_another_way_of_asking_are_not_held_against_a_run(tmp_path):
    make.write_run(tmp_path, {"norag": {"cs": [1], "th": [1]}}, changes={"dataset": "wc"})
    open_run(tmp_path, "norag", [make.ANSWER])
    assert [row.lacks for row in report_of(tmp_path).settings] == [(), ()]


def test_open_ended_figures(tmp_path):
    # Own reference "Injera", English one "Injera bread", Amharic one "እንጀራ".
    open_run(tmp_path, "norag", ["Injera", "It is injera!", "እንጀራ", "rice"])
    open_run(tmp_path, "norag", ["Injera", "rice", "rice", ""], language="th")
    (row,) = report_of(tmp_path).settings
    assert (row.kind, row.title, row.strict, row.chance) == ("open_ended", "No retrieval (open-ended)", None, None)
    assert row.macro.value == row.micro.value == pytest.approx(3 / 8)
    assert {name: estimate.value for name, estimate in row.references.items()} == {
        "dual": pytest.approx(3 / 8),
        "multi": pytest.approx(4 / 8),
        "exact_single": pytest.approx(2 / 8),
        "exact_dual": pytest.approx(2 / 8),
        "exact_multi": pytest.approx(3 / 8),
    }
    assert row.invalid.value == pytest.approx(1 / 8)


def test_open_ended_rows_have_a_table_of_their_own(tmp_path):
    make.write_run(tmp_path / "runs", {"norag": {"cs": [1, 0]}}, changes={"dataset": "wc"})
    open_run(tmp_path / "runs", "norag", ["Injera", "rice"])
    path, _ = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, {})
    page = path.read_text(encoding="utf-8")
    multiple_choice, open_ended = page.split('aria-label="Accuracy by setting')[1:]
    heads = [f'<button type="button">{title}</button>' for title in ("Dual", "Multi", "Exact")]
    assert not any(head in multiple_choice for head in heads)
    assert all(head in open_ended for head in heads)
    assert '<button type="button">Strict</button>' in multiple_choice
    assert '<button type="button">Strict</button>' not in open_ended
    assert "WorldCuisines, open-ended" in page
    assert "Dotted: guessing" in page.split("WorldCuisines, open-ended")[0]
    with (tmp_path / "report" / "results.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["value"] for line in lines if (line["variant"], line["metric"]) == ("oe", "multi")] == ["0.5"]
    assert not [line for line in lines if (line["variant"], line["metric"]) == ("oe", "strict")]


def test_an_open_ended_example_shows_its_references_and_no_options(tmp_path):
    open_run(tmp_path / "runs", "norag", ["rice"])
    open_run(tmp_path / "runs", "mmrag", ["Injera"])
    (example,) = pick_examples(load_runs([tmp_path / "runs"]), lambda *_: None)
    assert (example.kind, example.asking, example.options) == ("repaired", "oe", ())
    assert example.references == ("Injera", "Injera bread", "እንጀራ")
    assert [answer.choice for answer in example.answers] == [None, None]
    path, _ = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, {})
    assert "2 further references" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rule", "choices", "texts"),
    [
        (None, [1, 0, 0], [1, 0, 0]),
        ("m4rag", [1, 1, 0], [1, 1, 0]),
        ("reference", [1, 0, 0], [1, 0, 0]),
        ("worldcuisines", [1, 1, 1], [1, 1, 1]),
    ],
)
def test_answers_of_both_kinds_are_scored_again_under_every_rule(tmp_path, rule, choices, texts):
    said = ['{"answer": 2}', "2", 'I count 2 and 3: {"answer": 3}']
    records = [
        make.record(n, "cs", "norag", score, dataset="wc", response=text)
        for n, (score, text) in enumerate(zip([1, 0, 0], said, strict=True))
    ]
    make.write_task(tmp_path, "norag", "cs", records)
    said = ['{"answer": "Injera"}', "Injera", 'Not injera: {"answer": "rice"}']
    stored = [
        {**make.open_record(n, "cs", "norag", "rice" if n else "Injera", dataset="wc"), "response": text}
        for n, text in enumerate(said)
    ]
    make.write_task(tmp_path, "norag", "cs", stored)
    one, two = load_runs([tmp_path], rule=rule)
    assert [record["score"] for record in one.records] == choices
    assert [record["score"] for record in two.records] == texts
    assert all("strict" not in record for record in two.records)


def test_failed_open_ended_requests_stay_failed_under_a_rule(tmp_path):
    open_run(tmp_path, "norag", ["Injera", None])
    for rule in (None, "worldcuisines"):
        (row,) = build_report(load_runs([tmp_path], rule=rule)).settings
        assert row.faults == {"cs": "1 of 2 requests failed"}
        assert (row.macro, row.references) == (None, {})


def test_texts_of_open_ended_records_stay_on_disk(tmp_path):
    open_run(tmp_path, "norag", ["Injera is what it is"])
    ((record,),) = [run.records for run in load_runs([tmp_path])]
    assert "Injera" not in str(record)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("kind", "essay", "of the unknown kind 'essay'"),
        ("kind", 3, "'kind' that cannot be used"),
        ("kind", "mcq", "has references though it is multiple choice"),
        ("references", None, "has no references"),
        ("references", {"single": "a", "dual": "b", "multi": []}, "references that are not text"),
        ("scores", {"dual": 1}, "lacks a score by one of its references"),
        ("variant", None, "'variant' that cannot be used"),
        ("faults", "open field", "'faults' that cannot be used"),
    ],
)
def test_open_ended_record_that_lacks_or_spoils_a_key(tmp_path, key, value, told):
    path = open_run(tmp_path, "norag", ["Injera"])
    sample = json.loads(path.read_text(encoding="utf-8"))
    sample["accuracy"][key] = value
    path.write_text(json.dumps(sample) + "\n", encoding="utf-8")
    for rule in (None, "m4rag"):
        with pytest.raises(RunError, match=f"line 1: the record .*{told}"):
            load_runs([tmp_path], rule=rule)


def test_records_of_earlier_versions_are_plain_multiple_choice(tmp_path):
    for setting, scores in (("norag", (0, 1)), ("mmrag", (1, 1))):
        records = [make.old(make.record(n, "ko_formal", setting, scores[n])) for n in (0, 1)]
        make.write_task(tmp_path / "runs", setting, "ko_formal", records)
    for rule in (None, "m4rag"):
        _, report = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, {}, rule)
        assert [(row.name, row.kind, row.macro.value) for row in report.settings] == [
            ("norag", "mcq", 0.5),
            ("mmrag", "mcq", 1),
        ]
        assert report.changes[0].difference.value == 0.5
        assert [table.axis for table in report.breakdowns] == ["language"]


@pytest.mark.parametrize("place", [0, 1])
def test_an_answer_that_could_not_be_scored_counts_as_a_failed_request(tmp_path, place):
    records = [make.record(n, "cs", "norag", 1, dataset="wc") for n in (0, 1)]
    records[place] = make.unscored(place, "cs")
    make.write_task(tmp_path / "runs", "norag", "cs", records)
    make.write_task(tmp_path / "runs", "norag", "th", [make.record(n, "th", "norag", 1, dataset="wc") for n in (0, 1)])
    for rule in (None, "reference"):
        path, report = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, {}, rule)
        (row,) = report.settings
        assert row.faults == {"cs": "1 of 2 answers could not be scored"}
        assert (row.failed, row.questions, row.averaged) == (1, 2 + 2, 1)
        assert any(f"e.g. to {place}-cs: the picture is gone" in note for note in report.notes)
        assert "1 of 2 answers could not be scored" in path.read_text(encoding="utf-8")


def test_failed_and_unscored_are_told_apart(tmp_path):
    records = [make.record(0, "cs", "norag", None), make.record(1, "cs", "norag", 1), make.unscored(2, "cs")]
    make.write_task(tmp_path, "norag", "cs", records)
    (row,) = report_of(tmp_path).settings
    assert row.faults == {"cs": "1 of 3 requests failed, 1 of 3 answers could not be scored"}
    assert row.failed == 2


def test_a_task_of_which_nothing_could_be_scored_is_known_by_its_name(tmp_path):
    make.write_run(tmp_path, {"norag": {"cs": [1]}}, changes={"dataset": "wc"})
    make.write_task(tmp_path, "mmrag", "ko_formal", [make.unscored(1, "ko_formal")], task="m4rag_wc_mmrag_oe_ko_formal")
    row = by_name(report_of(tmp_path).settings)["mmrag_oe"]
    assert (row.dataset, row.kind, row.macro) == ("wc", "open_ended", None)
    assert row.faults == {"ko_formal": "1 of 1 answers could not be scored"}


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("m4rag_wc_norag_ko_formal", ("ko", "formal", "high")),
        ("m4rag_cvqa_norag_es_chile", ("es", None, "high")),
        ("m4rag_cvqa_norag_en_es_chile", ("en", None, "high")),
    ],
)
def test_what_the_suite_knows_of_a_task_stands_in_for_its_records(tmp_path, task, told):
    make.write_task(tmp_path, "norag", "", [make.unscored(1, "x")], task=task)
    ((record,),) = [run.records for run in load_runs([tmp_path])]
    assert (record["base_language"], record["register"], record["resource"]) == told


def test_a_task_of_somebody_else_of_which_nothing_could_be_scored_is_left_out(tmp_path):
    make.write_run(tmp_path, {"norag": {"cs": [1]}})
    make.write_task(tmp_path, "norag", "th", [make.unscored(1, "th", "no disk")], task="my_own_task")
    notes: list[str] = []
    assert len(load_runs([tmp_path], notes)) == 1
    assert any("none of its 1 answers could be scored (no disk)" in note for note in notes)
