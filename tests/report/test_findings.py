"""The sections of the analysis: with data in all of them, or the missing piece named."""

from __future__ import annotations

import csv
import json

import pytest

from m4rag_tasks.errors import GradesError, UnknownNameError
from m4rag_tasks.report import load_runs, write_report
from m4rag_tasks.report.tables import build_report

from . import make_run as make
from . import rich_run

KEYS = ["settings", "size", "wording", "changes", "confusion", "flips", "leaks", "positions", "invalid", "cost"]


def no_image(*_):
    return None


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rich")
    runs, grades = rich_run.write(folder)
    page, report = write_report([runs], folder / "report", no_image, {"hi": "Hindi"}, grades=[grades])
    return page, report, {section.key: section for section in report.sections}


def rows_of(page, key):
    with (page.parent / "tables" / f"{key}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_section_has_tables_and_charts_and_misses_nothing_but_variants(rich):
    _, report, sections = rich
    assert [section.key for section in report.sections] == KEYS
    for key, section in sections.items():
        assert section.tables and all(table.rows for table in section.tables), key
        assert section.charts, key
    assert {key: section.missing for key, section in sections.items() if section.missing} == {
        "wording": sections["wording"].missing
    }
    (further,) = sections["wording"].missing
    assert "further comparisons need runs that are not there" in further


def test_every_table_is_on_the_page_in_markdown_as_csv_and_json(rich):
    page, _, sections = rich
    html, markdown = page.read_text(encoding="utf-8"), (page.parent / "report.md").read_text(encoding="utf-8")
    content = json.loads((page.parent / "results.json").read_text(encoding="utf-8"))["sections"]
    for section in sections.values():
        for table in section.tables:
            rows = rows_of(page, table.key)
            assert len(rows) == len(table.rows) == len(content[section.key]["tables"][table.key]["rows"])
            assert f'download="{table.key}.csv"' in html
            assert f"**{table.title}**" in markdown
    assert {path.stem for path in (page.parent / "tables").iterdir()} >= {
        table.key for section in sections.values() for table in section.tables
    }


def test_settings_are_compared_in_pairs_with_adjusted_p(rich):
    rows = rows_of(rich[0], "settings_compared")
    assert len(rows) == 3 * 15
    for row in rows:
        assert float(row["p_adjusted"]) >= float(row["p"])
        assert (row["clear"] == "yes") == (float(row["p_adjusted"]) < 0.05)
    oracle = next(row for row in rows if (row["setting"], row["against"]) == ("oracle", "norag"))
    assert float(oracle["difference"]) > 0.3 and oracle["clear"] == "yes"


def test_a_line_is_fitted_through_three_sizes(rich):
    slopes = {(row["measured"], row["setting"]): row for row in rows_of(rich[0], "size_slopes")}
    assert {("gain", "mmrag"), ("gain", "textrag_caption"), ("gain", "oracle")} <= set(slopes)
    assert {setting for measured, setting in slopes if measured == "oracle gap"} == {"mmrag", "textrag_caption"}
    assert all(row["models"] == "3" and row["slope"] and not row["problem"] for row in slopes.values())
    points = rows_of(rich[0], "gain_by_size")
    assert {row["billions"] for row in points} == {"3.0", "7.0", "32.0"}
    # The oracle gap is that of its own section, and what the oracle context gains more than retrieval.
    found = {
        (row["measured"], row["setting"]): float(row["points"]) for row in points if row["model"] == "org/model-7b"
    }
    (gap,) = (row for row in rich[1].gaps if (row.model, row.name) == ("org/model-7b", "mmrag"))
    assert found["oracle gap", "mmrag"] == pytest.approx(gap.gap.value)
    assert found["oracle gap", "mmrag"] == pytest.approx(found["gain", "oracle"] - found["gain", "mmrag"])
    assert rich[2]["size"].charts[0].line


def test_flips_name_the_passage_and_quote_the_question(rich):
    flips = rows_of(rich[0], "flips")
    paths = rows_of(rich[0], "paths")
    turned = sum(int(row["questions"]) for row in paths if row["path"][0] != row["path"][1])
    assert len(flips) == turned
    quoted = [row for row in flips if row["question"]]
    assert len(quoted) == 12 * 6
    assert all(row["question"] == make.QUESTION[row["language"]] for row in quoted)
    assert all(row["passage_id"].startswith("article") and row["passage_title"].startswith("Article") for row in quoted)
    html = rich[0].read_text(encoding="utf-8")
    assert f'<span dir="auto" lang="ar">{make.QUESTION["ar"]}</span>' in html
    assert f"{len(flips) - 120:,} further rows are in <code>tables/flips.csv</code>" in html


def test_confusion_counts_every_question(rich):
    for row in rows_of(rich[0], "confusion"):
        cells = ("relevant_right", "relevant_wrong", "irrelevant_right", "irrelevant_wrong", "unknown")
        assert sum(int(row[cell]) for cell in cells) == rich_run.QUESTIONS * len(make.QUESTION)
    assert {row["by"] for row in rows_of(rich[0], "confusion")} == {"the judge", "the text"}


def test_costs_are_in_tokens_where_the_backend_counted_them(rich):
    rows = {row["setting"]: row for row in rows_of(rich[0], "costs") if row["model"] == "org/model-7b"}
    assert float(rows["oracle"]["tokens"]) == 150
    assert float(rows["oracle"]["gain_per_1000_tokens"]) == pytest.approx(float(rows["oracle"]["gain"]) / 0.15)
    assert rich[2]["cost"].charts[0].across == "Context, tokens per question"


def test_who_graded_is_said(rich):
    assert "Passages are graded by org/judge-72b." in rich[1].notes


def test_what_is_missing_is_named_and_nothing_is_blank(tmp_path):
    runs = load_runs([make.write_run(tmp_path, {"norag": {"en": [1, 0, 1]}})])
    report = build_report(runs)
    told = {section.key: " ".join(section.missing) for section in report.sections}
    assert all(section.tables or section.missing for section in report.sections)
    assert "No two settings of one model" in told["settings"]
    assert "no gain to set against size" in told["size"]
    assert "enprompt" in told["wording"]
    assert "nothing was retained" in told["changes"]
    assert "No retrieval setting was run" in told["confusion"]
    assert "no answer was turned" in told["flips"]
    assert "nothing can leak" in told["leaks"]
    assert "no retrieval setting was run" in told["positions"]
    assert "neither cost nor gain" in told["cost"]
    page, _ = write_report([tmp_path], tmp_path / "report", no_image, {})
    html = page.read_text(encoding="utf-8")
    assert all(text in html for section in report.sections for text in section.missing)


def test_records_of_earlier_versions_and_runs_without_grades_are_reported_all_the_same(tmp_path):
    scores = {"norag": {"en": [1, 0, 1, 0]}, "mmrag": {"en": [1, 1, 0, 0]}}
    report = build_report(load_runs([make.write_run(tmp_path, scores)]))
    told = {section.key: " ".join(section.missing) for section in report.sections}
    assert told["changes"].count("No grades of passages were given") == 2
    assert "records do not say" in told["changes"] and "records do not say" in told["leaks"]
    assert "By the judge: No grades of passages" in told["confusion"]
    assert "there is no oracle run" in told["flips"]
    paths = next(table for section in report.sections for table in section.tables if table.key == "paths")
    assert [row.cells[4:7] for row in paths.rows if row.cells[6]] == [
        ("RR", "right throughout", 1),
        ("RW", "broken by retrieval", 1),
        ("WR", "repaired by retrieval", 1),
        ("WW", "wrong throughout", 1),
    ]
    assert "Records do not say how long the context was" in told["cost"]


def test_grades_of_other_passages_are_not_used_and_that_is_said(tmp_path):
    runs, grades = rich_run.write(tmp_path)
    lines = [json.loads(line) for line in grades.read_text(encoding="utf-8").splitlines()]
    moved = [{**line, "dataset": "wc", "setting": "mmrag", "cache": "another"} for line in lines]
    grades.write_text("".join(f"{json.dumps(line)}\n" for line in moved), encoding="utf-8")
    _, report = write_report([runs], tmp_path / "report", no_image, {}, grades=[grades])
    assert any("without grades" in note and "another" in note for note in report.notes)
    changes = next(section for section in report.sections if section.key == "changes")
    rows = next(table for table in changes.tables if table.key == "retained_by_grade").rows
    assert {row.cells[2] for row in rows} == {"textrag_caption"}


@pytest.mark.parametrize(
    "shown, graded, says",
    [
        ("p1", "p1", None),
        ("p1", None, None),
        (None, "p1", None),
        ("p1", "p2", "these are of passages of p2 (passages_key: corpus, and how it was cut), and the run shows those"),
    ],
)
def test_grades_are_joined_by_what_the_corpus_was_cut_into(tmp_path, shown, graded, says):
    runs, grades = rich_run.write(tmp_path)
    lines = [json.loads(line) for line in grades.read_text(encoding="utf-8").splitlines()]
    grades.write_text("".join(f"{json.dumps({**line, 'passages_key': graded})}\n" for line in lines), encoding="utf-8")
    for path in runs.glob("*/*mmrag*.jsonl"):
        samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for sample in samples:
            sample["accuracy"]["passages_key"] = shown
        path.write_text("".join(f"{json.dumps(sample)}\n" for sample in samples), encoding="utf-8")
    page, report = write_report([runs], tmp_path / "report", no_image, {}, grades=[grades])
    notes = [note for note in report.notes if "without grades" in note and "passages_key" in note]
    assert not any("several corpora" in note for note in report.notes)
    assert ("mmrag" in {row["setting"] for row in rows_of(page, "retained_by_grade")}) == (says is None)
    assert (says in notes[0] and "judge_mmrag" in notes[0]) if says else not notes


def test_a_run_of_a_setting_that_was_not_judged_has_no_grades_for_the_few_questions_that_happen_to_have_some(tmp_path):
    runs, grades = rich_run.write(tmp_path)
    lines = [json.loads(line) for line in grades.read_text(encoding="utf-8").splitlines()]
    # The other setting shows the same five passages for one question in three alone.
    for path in runs.glob("*/*textrag_caption*.jsonl"):
        samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for sample in samples:
            record = sample["accuracy"]
            if int(record["qa_id"]) % 3:
                record["passages"][4]["id"] = "another:1"
        path.write_text("".join(f"{json.dumps(sample)}\n" for sample in samples), encoding="utf-8")
    page, report = write_report([runs], tmp_path / "report", no_image, {}, grades=[grades])
    assert {row["setting"] for row in rows_of(page, "retained_by_grade")} == {"mmrag"}
    assert {row["setting"] for row in rows_of(page, "confusion") if row["by"] == "the judge"} == {"mmrag"}
    # All models in one note.
    (note,) = (note for note in report.notes if note.startswith("Without grades"))
    asked = rich_run.QUESTIONS * len(make.QUESTION)
    assert all(f"{model}, Text RAG" in note for model in rich_run.MODELS)
    assert note.count(f"({asked // 3} of {asked})") == len(rich_run.MODELS)
    assert "run m4rag_wc_judge_textrag_caption (docs/judge.md)" in note
    # A judge that was asked but named no grade leaves the rest as it is, and that is said.
    silent = [{**line, "grade": None} if line["question_id"].startswith("1") else line for line in lines]
    grades.write_text("".join(f"{json.dumps(line)}\n" for line in silent), encoding="utf-8")
    page, report = write_report([runs], tmp_path / "report", no_image, {}, grades=[grades])
    assert {row["setting"] for row in rows_of(page, "retained_by_grade")} == {"mmrag"}
    assert any("the judge's answers named none for the others" in note for note in report.notes)


def test_grades_of_two_judges_are_never_mixed(tmp_path):
    runs, grades = rich_run.write(tmp_path)
    other = tmp_path / "other.jsonl"
    other.write_text(grades.read_text(encoding="utf-8").replace("judge-72b", "judge-7b"), encoding="utf-8")
    with pytest.raises(GradesError, match="choose one"):
        write_report([runs], tmp_path / "report", no_image, {}, grades=[grades, other])
    _, report = write_report([runs], tmp_path / "report", no_image, {}, grades=[grades, other], judge="org/judge-7b")
    assert "Passages are graded by org/judge-7b." in report.notes


def test_sizes_can_be_given_where_names_do_not_tell_them(tmp_path):
    models = {"org/one": [1, 1, 1, 1, 0, 1], "org/two": [1, 0, 1, 1, 0, 1], "org/three": [1, 0, 0, 1, 0, 1]}
    for model, scores in models.items():
        make.write_run(tmp_path, {"norag": {"en": [1, 0, 0, 1, 0, 0]}, "mmrag": {"en": scores}}, model)
    runs = load_runs([tmp_path])

    def size_section(sizes):
        return next(section for section in build_report(runs, sizes=sizes).sections if section.key == "size")

    assert "(say it with --size MODEL=7B): org/one, org/three, org/two" in " ".join(size_section(None).missing)
    told = size_section({"org/one": "3B", "org/two": "30B-A3B", "org/three": "72B"})
    assert told.missing == () and told.charts[0].line
    with pytest.raises(UnknownNameError, match="'org/four'; the models are"):
        size_section({"org/four": "3B"})
