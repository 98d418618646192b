"""Accuracy along the axes of the grid, and what incomplete varieties do to it."""

from __future__ import annotations

import pytest

from m4rag_tasks import suite
from m4rag_tasks.report import build_report, load_runs, write_report
from m4rag_tasks.report.titles import names_of, value_title

from . import make_run as make

NAMES = {language.code: language.name for language in suite.languages().values()}
# High: ko twice. Mid: id twice. Low: jv.
NORAG = {
    "ko_casual": [1, 0, 0, 0],
    "ko_formal": [1, 1, 0, 0],
    "id_casual": [0, 0, 0, 0],
    "id_formal": [1, 0, 0, 0],
    "jv_krama": [1, 1, 1, 0],
}
MMRAG = {code: [1, *scores[1:]] for code, scores in NORAG.items()}


def tables(root):
    return {table.axis: table for table in build_report(load_runs([root])).breakdowns}


def write(root, **runs):
    for number, (setting, scores) in enumerate(runs.items()):
        make.write_run(root, {setting: scores}, date=f"2026030{number + 1}_120000", changes={"dataset": "wc"})
    return root


def values(table, name="norag"):
    return {value: cells[name].accuracy.value for value, cells in table.rows.items()}


def test_varieties_of_one_language_are_pooled(tmp_path):
    table = tables(write(tmp_path, norag=NORAG))["base_language"]
    assert values(table) == {"id": pytest.approx(1 / 8), "jv": pytest.approx(3 / 4), "ko": pytest.approx(3 / 8)}
    assert table.rows["ko"]["norag"].n == 8


def test_register_pools_its_records_and_leaves_out_varieties_that_have_none(tmp_path):
    table = tables(write(tmp_path, norag={**NORAG, "cs": [1, 1, 1, 1]}))["register"]
    assert values(table) == {
        "casual": pytest.approx(1 / 8),
        "formal": pytest.approx(3 / 8),
        "krama": pytest.approx(3 / 4),
    }


def test_a_resource_class_is_the_mean_over_its_varieties_from_high_to_low(tmp_path):
    """Not over its records: ko_casual has one question more than ko_formal."""
    questions = {**NORAG, "ko_casual": [1, 0, 0, 0, 0]}
    for language, scores in questions.items():
        # Questions of their own, so that sizes may differ.
        records = [
            make.record(n, language, "norag", score, dataset="wc", qa_id=f"{n}{language}", image_id=f"{language}{n}")
            for n, score in enumerate(scores)
        ]
        make.write_task(tmp_path, "norag", language, records)
    table = tables(tmp_path)["resource"]
    assert list(table.rows) == ["high", "mid", "low"]
    assert values(table) == {
        "high": pytest.approx((1 / 5 + 2 / 4) / 2),
        "mid": pytest.approx((0 + 1 / 4) / 2),
        "low": pytest.approx(3 / 4),
    }


def test_change_against_no_retrieval_on_every_axis(tmp_path):
    found = tables(write(tmp_path, norag=NORAG, mmrag=MMRAG))
    assert found["language"].rows["id_casual"]["mmrag"].change == pytest.approx(1 / 4)
    assert found["base_language"].rows["id"]["mmrag"].change == pytest.approx(1 / 8)
    assert found["register"].rows["casual"]["mmrag"].change == pytest.approx(1 / 8)
    assert found["resource"].rows["mid"]["mmrag"].change == pytest.approx(1 / 8)
    assert found["resource"].rows["low"]["mmrag"].change == 0
    assert all(cells["norag"].change is None for table in found.values() for cells in table.rows.values())


@pytest.mark.parametrize(
    ("spoiled", "fault"),
    [
        ([None, 0, 0, 0], "1 of 4 requests failed"),
        ([1, 0, 0], "3 of the 4 questions that other varieties have"),
    ],
)
def test_an_incomplete_variety_is_flagged_and_averaged_on_no_axis(tmp_path, spoiled, fault):
    found = tables(write(tmp_path, norag=NORAG, mmrag={**MMRAG, "id_formal": spoiled}))
    assert found["language"].rows["id_formal"]["mmrag"].fault == fault
    for axis, value in (("base_language", "id"), ("register", "formal"), ("resource", "mid")):
        whole, part = found[axis].rows[value]["norag"], found[axis].rows[value]["mmrag"]
        assert (whole.lacks, part.lacks) == ((), ("id_formal",))
        assert part.n == whole.n - 4
        assert part.change is None
    assert values(found["base_language"], "mmrag")["id"] == pytest.approx(1 / 4)
    assert found["resource"].rows["high"]["mmrag"].lacks == ()


def test_a_class_of_which_a_variety_was_not_run_is_flagged(tmp_path):
    found = tables(write(tmp_path, norag=NORAG, mmrag={code: MMRAG[code] for code in ("ko_formal", "jv_krama")}))
    assert found["resource"].rows["high"]["mmrag"].lacks == ("ko_casual",)
    assert "mmrag" not in found["resource"].rows["mid"]


def test_axes_with_one_value_or_none_are_not_shown(tmp_path):
    assert list(tables(write(tmp_path / "a", norag={"cs": [1, 0]}))) == ["language"]
    # Two languages of one variety each: the table by language would only repeat the one by variety.
    assert list(tables(write(tmp_path / "b", norag={"cs": [1, 0], "it": [1, 1]}))) == ["language"]
    assert list(tables(write(tmp_path / "c", norag={"cs": [1, 0], "yo": [1, 1]}))) == ["language", "resource"]


def test_a_lone_incomplete_variety_does_not_make_languages_look_merged(tmp_path):
    assert "base_language" not in tables(write(tmp_path, norag={"cs": [1, 0], "it": [1, 1], "yo": [None, 1]}))


def test_questions_asked_in_english_are_not_split_by_the_language_they_are_not_in(tmp_path):
    for language in ("am_ethiopia", "om_ethiopia", "ta_india"):
        records = [
            make.record(
                n, language, "norag", 1, dataset="cvqa", variant="en", base_language="en", qa_id=f"{n}{language}"
            )
            for n in (1, 2)
        ]
        make.write_task(tmp_path, "norag", language, records)
    found = tables(tmp_path)
    assert list(found["language"].rows) == ["am_ethiopia", "om_ethiopia", "ta_india"]
    assert "base_language" not in found


def test_names_and_not_codes_are_shown(tmp_path):
    languages = {"nan": [1], "nan_spoken": [0], "ko_formal": [1], "ko_casual": [1], "zh_cn": [1]}
    write(tmp_path / "runs", norag=languages)
    path, report = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, NAMES)
    assert report.names == {
        "nan": "Min Nan (Han characters)",
        "nan_spoken": "Min Nan (romanised)",
        "ko_formal": "Korean (formal)",
        "ko_casual": "Korean (casual)",
        "ko": "Korean",
        "zh_cn": "Chinese",
        "zh": "Chinese",
    }
    page = path.read_text(encoding="utf-8")
    for shown, code in (("Min Nan (romanised)", "nan_spoken"), ("Min Nan", "nan"), ("Korean", "ko"), ("Chinese", "zh")):
        assert f'<bdi>{shown}</bdi> <code class="soft">{code}</code>' in page
    rows = page.split('<table class="heat">')[1]
    assert (
        rows.index("Chinese") < rows.index("Korean (casual)") < rows.index("Min Nan (Han") < rows.index("Min Nan (rom")
    )


def test_names_of_languages_that_share_nothing_with_their_varieties():
    assert names_of([("xx", "yy"), ("am_ethiopia", "en"), ("aa", None)], NAMES) == {
        "am_ethiopia": "Amharic (Ethiopia)",
        "en": "English",
    }
    assert value_title("base_language", "yy", {}) == "yy"


def test_prompt_types_are_named(tmp_path):
    records = [make.record(n, "cs", "norag", 1, dataset="wc", prompt_type=n) for n in (1, 4)]
    make.write_task(tmp_path / "runs", "norag", "cs", records)
    path, _ = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, {})
    page = path.read_text(encoding="utf-8")
    assert "1: dish" in page
    assert "4: dish, adversarial" in page
