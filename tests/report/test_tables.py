"""The numbers of a report, checked against ones computed by hand."""

from __future__ import annotations

import pytest

from m4rag_tasks.report import build_report, load_runs

from . import make_run as make

NORAG = {"am": [1, 1, 0, 0], "en": [1, 1, 1, 0]}
MMRAG = {"am": [1, 0, 1, 1], "en": [1, 1, 0, 1]}
ORACLE = {"am": [1, 1, 1, 1], "en": [1, 1, 1, 1]}


def report_of(root, notes=()):
    return build_report(load_runs([root]), notes)


@pytest.fixture
def report(tmp_path):
    return report_of(make.write_run(tmp_path, {"norag": NORAG, "mmrag": MMRAG, "oracle": ORACLE}))


def row_of(rows, setting):
    return next(row for row in rows if row.name == setting)


def test_settings_table(report):
    row = row_of(report.settings, "norag")
    assert row.macro.value == pytest.approx((2 / 4 + 3 / 4) / 2)
    assert row.micro.value == pytest.approx(5 / 8)
    assert row.strict.value == pytest.approx(5 / 8)
    assert row.invalid.value == 0
    assert row.macro.low < row.macro.value < row.macro.high
    assert row.chance == pytest.approx(1 / 4)
    assert (row.questions, row.languages, row.averaged, row.failed) == (8, 2, 2, 0)
    assert row_of(report.settings, "mmrag").retriever == "pixel"
    assert [row.setting for row in report.settings] == ["norag", "oracle", "mmrag"]


def test_macro_and_micro_differ_where_languages_differ_in_size(tmp_path):
    # Two languages with questions of their own: sizes may differ, neither is incomplete.
    make.write_task(tmp_path, "norag", "am", [make.record(1, "am", "norag", 1)])
    make.write_task(tmp_path, "norag", "en", [make.record(n, "en", "norag", int(n == 5)) for n in (2, 3, 4, 5)])
    row = report_of(tmp_path).settings[0]
    assert row.faults == {}
    assert row.macro.value == pytest.approx((1 + 1 / 4) / 2)
    assert row.micro.value == pytest.approx(2 / 5)


def test_retention_and_correction(report):
    row = row_of(report.changes, "mmrag")
    # Right without: am 1, 2 and en 1, 2, 3; of these right with: am 1, en 1, 2.
    assert (row.retention.value, row.retention.n) == (pytest.approx(3 / 5), 5)
    # Wrong without: am 3, 4 and en 4; all become right.
    assert (row.correction.value, row.correction.n) == (1, 3)
    assert row.difference.value == pytest.approx(1 / 8)
    assert 0 < row.p_value <= 1
    # am 3, 4 and en 4 against am 2 and en 3.
    assert (row.repaired, row.broken) == (3, 2)
    assert row.mcnemar_p == 1
    assert row.partner == "norag"
    assert "norag" not in [row.setting for row in report.changes]


def test_oracle_gap(report):
    assert row_of(report.gaps, "mmrag").gap.value == pytest.approx(2 / 8)
    assert row_of(report.gaps, "norag").gap.value == pytest.approx(3 / 8)
    assert "oracle" not in [row.setting for row in report.gaps]


def test_languages_table(report):
    table = next(table for table in report.breakdowns if table.axis == "language")
    assert list(table.rows) == ["am", "en"]
    assert table.rows["am"]["norag"].accuracy.value == pytest.approx(2 / 4)
    assert table.rows["am"]["norag"].change is None
    assert table.rows["am"]["mmrag"].change == pytest.approx(1 / 4)
    assert table.rows["en"]["mmrag"].change == pytest.approx(0)
    assert table.rows["en"]["mmrag"].n == 4


def test_countries_are_told_apart_where_the_data_has_them(tmp_path):
    for setting, scores in (("norag", (0, 1)), ("mmrag", (1, 1))):
        records = [make.record(n, "en", setting, scores[n], country="AB"[n]) for n in (0, 1)]
        make.write_task(tmp_path, setting, "en", records)
    table = next(table for table in report_of(tmp_path).breakdowns if table.axis == "country")
    assert table.rows["A"]["mmrag"].change == 1
    assert table.rows["B"]["mmrag"].change == 0


def test_missing_partners_are_said(tmp_path):
    report = report_of(make.write_run(tmp_path, {"mmrag": MMRAG}))
    assert report.changes[0].problem == "no norag run"
    assert report.gaps[0].problem == "no oracle run"


def test_partner_is_the_same_models(tmp_path):
    make.write_run(tmp_path, {"norag": NORAG}, model="org/one")
    make.write_run(tmp_path, {"mmrag": MMRAG}, model="org/two")
    assert report_of(tmp_path).changes[0].problem == "no norag run"


def test_variant_is_compared_with_its_own_norag_where_there_is_one(tmp_path):
    for setting, score in (("norag", 0), ("mmrag", 1)):
        for variant, value in (("", 1), ("promptam_", score)):
            records = [make.record(n, "am", setting, value) for n in (1, 2)]
            make.write_task(tmp_path, setting, "am", records, task=f"m4rag_mini_{setting}_{variant}am")
    report = report_of(tmp_path)
    row = row_of(report.changes, "mmrag_promptam")
    assert row.partner == "norag_promptam"
    assert row.difference.value == 1
    cells = report.breakdowns[0].rows["am"]
    assert cells["mmrag_promptam"].change == 1
    assert cells["mmrag"].change == 0
    # Prompts are not retrieval: two runs without retrieval are not set against each other.
    assert cells["norag"].change is cells["norag_promptam"].change is None
    assert [row.name for row in report.changes] == ["mmrag", "mmrag_promptam"]


def test_variant_is_compared_with_plain_norag_where_it_has_none_of_its_own(tmp_path):
    make.write_run(tmp_path, {"norag": {"am": [0, 1]}})
    records = [make.record(n, "am", "mmrag", 1) for n in (1, 2)]
    make.write_task(tmp_path, "mmrag", "am", records, task="m4rag_mini_mmrag_promptam_am")
    make.write_results(tmp_path, {})
    report = report_of(tmp_path)
    assert row_of(report.changes, "mmrag_promptam").partner == "norag"
    assert report.breakdowns[0].rows["am"]["mmrag_promptam"].change == 1 / 2


def test_failed_requests_make_a_language_incomplete(tmp_path):
    report = report_of(make.write_run(tmp_path, {"norag": {"am": [1, None, 1, 1], "en": [1, 0, 0, 0]}}))
    row = report.settings[0]
    assert row.faults == {"am": "1 of 4 requests failed"}
    assert row.macro.value == row.micro.value == pytest.approx(1 / 4)
    assert (row.failed, row.averaged, row.languages) == (1, 1, 2)
    cell = report.breakdowns[0].rows["am"]["norag"]
    assert (cell.accuracy.value, cell.n, cell.fault) == (1, 3, "1 of 4 requests failed")
    assert "incomplete, shown but left out of averages" in report.notes[0]


def test_incomplete_languages_take_no_part_in_comparisons(tmp_path):
    report = report_of(make.write_run(tmp_path, {"norag": NORAG, "mmrag": {**MMRAG, "am": [1, None, 1, 1]}}))
    row = report.changes[0]
    assert row.languages == 1
    assert row.retention.value == pytest.approx(2 / 3)


def test_nothing_complete_leaves_no_average(tmp_path):
    report = report_of(make.write_run(tmp_path, {"norag": NORAG, "mmrag": {"am": [None, None, None, None]}}))
    row = row_of(report.settings, "mmrag")
    assert row.macro is row.micro is row.strict is row.invalid is None
    assert report.changes[0].problem == "no variety is complete here and in norag"
    assert report.breakdowns[0].rows["am"]["mmrag"].accuracy is None


def test_fewer_questions_than_the_harness_noted(tmp_path):
    make.write_run(tmp_path, {"norag": NORAG})
    make.write_results(tmp_path, {"m4rag_mini_norag_am": (9, 9), "m4rag_mini_norag_en": (4, 4)})
    assert report_of(tmp_path).settings[0].faults == {"am": "4 of 9 questions answered"}


def test_fewer_questions_than_other_languages_of_a_parallel_data_set(tmp_path):
    make.write_run(tmp_path, {"norag": {"am": [1, 1, 0], "en": [1, 1, 1, 0], "hi": [0, 0, 0, 0]}})
    assert report_of(tmp_path).settings[0].faults == {"am": "3 of the 4 questions that other varieties have"}


def test_fewer_questions_than_another_run_where_nobody_noted_the_number(tmp_path):
    for setting, count in (("norag", 4), ("mmrag", 3)):
        make.write_task(tmp_path, setting, "en", [make.record(n, "en", setting, 1) for n in range(count)])
    assert row_of(report_of(tmp_path).settings, "mmrag").faults == {"en": "3 of 4 questions answered"}


def test_same_limit_everywhere_is_flagged_but_averaged(tmp_path):
    make.write_run(tmp_path, {"norag": NORAG})
    make.write_results(tmp_path, {f"m4rag_mini_norag_{code}": (64, 4) for code in NORAG}, limit=4)
    report = report_of(tmp_path)
    assert report.settings[0].faults == {}
    assert report.settings[0].limits == ("limit 4",)
    assert "only a part of the questions was asked (limit 4)" in report.notes[0]


def test_limit_on_some_languages_makes_these_incomplete(tmp_path):
    make.write_run(tmp_path, {"norag": {"am": [1, 0]}}, date="20260301_120000")
    make.write_results(tmp_path, {"m4rag_mini_norag_am": (4, 2)}, date="20260301_120000", limit=2)
    make.write_run(tmp_path, {"norag": {"en": [1, 0, 0, 0]}}, date="20260302_120000")
    row = report_of(tmp_path).settings[0]
    assert row.faults == {"am": "2 of 4 questions answered"}
    assert row.macro.value == pytest.approx(1 / 4)


def test_runs_that_hold_other_questions_are_not_compared(tmp_path):
    for setting, ids in (("norag", (1, 2)), ("mmrag", (2, 3))):
        make.write_task(tmp_path, setting, "en", [make.record(n, "en", setting, 1) for n in ids])
    assert "do not hold the same questions" in report_of(tmp_path).changes[0].problem


def test_all_right_without_retrieval_leaves_nothing_to_correct(tmp_path):
    row = report_of(make.write_run(tmp_path, {"norag": {"en": [1, 1]}, "mmrag": {"en": [1, 0]}})).changes[0]
    assert row.correction is None
    assert row.retention.value == pytest.approx(1 / 2)


def test_mixed_versions_are_said(tmp_path):
    make.write_run(tmp_path, {"norag": NORAG})
    path = make.write_results(tmp_path, {}, date="20260302_120000")
    make.write_task(tmp_path, "mmrag", "en", [make.record(1, "en", "mmrag", 1)], date="20260302_120000")
    path.write_text(path.read_text(encoding="utf-8").replace("0.7.3", "0.7.4"), encoding="utf-8")
    assert any("different versions of lmms-eval (0.7.3, 0.7.4)" in note for note in report_of(tmp_path).notes)
