"""The files of a report, the choice of examples, and the table for the terminal."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest

from m4rag_tasks.errors import RunError
from m4rag_tasks.report import load_runs, text_table, write_report
from m4rag_tasks.report.examples import pick_examples

from . import make_run as make

NORAG = {"am": [1, 1, 0, 0], "en": [1, 1, 1, 0]}
MMRAG = {"am": [1, 0, 1, 1], "en": [1, 1, 0, 1]}
FILES = ["report.html", "report.md", "results.csv", "results.json", "tables"]


def test_tables_of_an_earlier_report_are_taken_away_and_other_files_stay(tmp_path):
    runs = make.write_run(tmp_path / "runs", {"norag": {"en": [1, 0], "hi": [1, 1]}, "mmrag": {"en": [0, 1]}})
    page, _ = write_report([runs], tmp_path / "report", no_image, {})
    tables = page.parent / "tables"
    assert (tables / "changes.csv").exists()
    (tables / "mine.csv").write_text("my notes", encoding="utf-8")
    before = json.loads((tables / "index.json").read_text(encoding="utf-8"))
    assert before["changes"] == "Retention and correction"
    (tmp_path / "outside.csv").write_text("not ours", encoding="utf-8")
    (tables / "index.json").write_text(json.dumps({**before, "../../outside": "x"}), encoding="utf-8")
    write_report([make.write_run(tmp_path / "other", {"norag": {"en": [1]}})], page.parent, no_image, {})
    index = json.loads((tables / "index.json").read_text(encoding="utf-8"))
    assert {path.stem for path in tables.glob("*.csv")} == {*index, "mine"}
    assert "changes" not in index and (tmp_path / "outside.csv").exists()


def no_image(*_):
    return None


@pytest.fixture
def runs(tmp_path):
    return make.write_run(tmp_path / "runs", {"norag": NORAG, "mmrag": MMRAG})


def test_same_runs_same_bytes(runs, tmp_path):
    for name in ("one", "two"):
        write_report([runs], tmp_path / name, no_image, {})
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == FILES
    names = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(names) > len(FILES)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_csv_holds_every_figure(runs, tmp_path):
    write_report([runs], tmp_path / "report", no_image, {})
    with (tmp_path / "report" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ["model", "dataset", "setting", "variant", "axis", "group", "metric", "value", "low", "high", "n"]
    assert list(rows[0]) == columns
    figures = {(row["setting"], row["axis"], row["group"], row["metric"]): row for row in rows}
    assert len(figures) == len(rows)
    assert float(figures["norag", "all", "macro", "accuracy"]["value"]) == pytest.approx(5 / 8)
    assert float(figures["mmrag", "language", "am", "accuracy"]["value"]) == pytest.approx(3 / 4)
    assert float(figures["mmrag", "resource", "low", "accuracy"]["value"]) == pytest.approx(3 / 4)
    assert float(figures["mmrag", "all", "micro", "retention"]["value"]) == pytest.approx(3 / 5)
    assert float(figures["mmrag", "all", "macro", "difference"]["value"]) == pytest.approx(1 / 8)
    assert figures["mmrag", "all", "micro", "correction"]["n"] == "3"
    assert [figures["mmrag", "all", "micro", name]["value"] for name in ("repaired", "broken")] == ["3", "2"]
    assert float(figures["mmrag", "all", "micro", "mcnemar_p"]["value"]) == 1


def test_json_holds_the_tables(runs, tmp_path):
    write_report([runs], tmp_path / "report", no_image, {})
    content = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert content["settings"][0]["macro"]["value"] == pytest.approx(5 / 8)
    assert content["gaps"][0]["problem"] == "no oracle run"
    assert "examples" not in content


def test_folder_that_cannot_be_made(runs, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be written"):
        write_report([runs], tmp_path / "file" / "report", no_image, {})


def test_no_scraps_are_left(runs, tmp_path):
    page, _ = write_report([runs], tmp_path / "report", no_image, {})
    assert sorted(path.name for path in page.parent.iterdir()) == FILES


def test_half_characters_are_spelled_out(tmp_path):
    half = "\ud83d"
    record = make.record(1, "en", "norag", 1, question_id=f"1{half}", question=half, country=half)
    path = make.write_task(tmp_path / "runs", "norag", "en", [])
    path.write_text(json.dumps(make.sample(0, record, f'{half}{{"answer": 2}}')) + "\n", encoding="utf-8")
    results = make.write_results(tmp_path / "runs", {})
    content = {**json.loads(results.read_text(encoding="utf-8")), "model_name": f"model{half}"}
    results.write_text(json.dumps(content), encoding="utf-8")
    page, report = write_report([tmp_path / "runs"], tmp_path / "report", no_image, {})
    assert "\\ud83d" in page.read_text(encoding="utf-8")
    assert text_table(report).splitlines()[1].startswith("model\\ud83d")
    assert json.loads((page.parent / "results.json").read_text(encoding="utf-8"))["settings"][0]["questions"] == 1


def test_terminal_table_is_aligned(runs, tmp_path):
    _, report = write_report([runs], tmp_path / "report", no_image, {})
    lines = text_table(report).splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:4] == ["org/model-7b", "mini", "norag", "62.5"]
    assert len({line.index("mini") for line in lines[1:]}) == 1
    assert len({len(line) for line in lines}) == 1


def test_terminal_table_tells_what_is_incomplete(tmp_path):
    runs = make.write_run(tmp_path / "runs", {"norag": {**NORAG, "hi": [1, None, 1, 1]}})
    _, report = write_report([runs], tmp_path / "report", no_image, {})
    text = text_table(report)
    assert "2/3*" in text
    assert "hi: 1 of 4 requests failed" in text


def test_examples_show_change_first_and_spread_over_languages(tmp_path):
    scores = {code: [0, 1] * 10 for code in make.QUESTION}
    flipped = {code: [1, 0] * 10 for code in make.QUESTION}
    runs = load_runs([make.write_run(tmp_path, {"norag": scores, "mmrag": flipped})])
    examples = pick_examples(runs, no_image)
    assert len(examples) == 12
    assert Counter(example.kind for example in examples) == {"repaired": 6, "broken": 6}
    assert set(Counter(example.language for example in examples).values()) == {2}
    assert examples == pick_examples(runs, no_image)


def test_examples_show_what_each_setting_said(tmp_path):
    runs = load_runs([make.write_run(tmp_path, {"norag": {"en": [0]}, "mmrag": {"en": [1]}})])
    (example,) = pick_examples(runs, no_image)
    assert example.kind == "repaired"
    without, with_ = example.answers
    assert (without.setting, without.outcome, without.choice) == ("norag", "wrong", 3)
    assert without.response == '{"answer": 3}'
    assert (with_.outcome, with_.retriever) == ("right", "pixel")
    assert [(shown.rank, shown.title, shown.score) for shown in with_.passages] == [
        ("1", "Article 1", "1.000"),
        ("2", "Article 2", "0.500"),
    ]
    assert with_.prompt.startswith("Answer the question.")


def test_examples_of_a_variant_are_measured_against_its_own_norag(tmp_path):
    for setting, variant, score in (("norag", "", 1), ("norag", "promptam_", 0), ("mmrag", "promptam_", 1)):
        record = make.record(1, "am", setting, score)
        make.write_task(tmp_path, setting, "am", [record], task=f"m4rag_mini_{setting}_{variant}am")
    assert pick_examples(load_runs([tmp_path]), no_image)[0].kind == "repaired"


def test_oracle_alone_mends_nothing(tmp_path):
    runs = load_runs([make.write_run(tmp_path, {"norag": {"en": [0]}, "oracle": {"en": [1]}, "mmrag": {"en": [0]}})])
    assert pick_examples(runs, no_image)[0].kind == "mixed"


def test_examples_per_model_are_shared_by_its_data_sets(tmp_path):
    for dataset in ("mini", "wc"):
        records = [make.record(n, "en", "norag", 1, dataset=dataset) for n in range(9)]
        make.write_task(tmp_path, "norag", "en", records, task=f"m4rag_{dataset}_norag_en")
    chosen = Counter(example.dataset for example in pick_examples(load_runs([tmp_path]), no_image, 5))
    assert chosen == {"mini": 2, "wc": 3}


def test_failed_requests_are_no_examples(tmp_path):
    runs = load_runs([make.write_run(tmp_path, {"norag": {"en": [None]}})])
    assert pick_examples(runs, no_image) == []


def test_report_on_sixty_thousand_records(tmp_path):
    for setting, language in ((s, code) for s in ("norag", "mmrag") for code in make.QUESTION):
        path = make.write_task(tmp_path / "runs", setting, language, [make.record(1, language, setting, 1)])
        line = path.read_text(encoding="utf-8")
        lines = (line.replace('"1-', f'"{n}-').replace("images/1.png", f"images/{n}.png") for n in range(5_000))
        path.write_text("".join(lines), encoding="utf-8")
    page, report = write_report([tmp_path / "runs"], tmp_path / "report", no_image, {})
    assert sum(row.questions for row in report.settings) == 60_000
    assert page.stat().st_size < 5_000_000
