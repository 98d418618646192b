"""Finding and reading runs: what is taken, what is left out, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from m4rag_tasks.errors import RunError
from m4rag_tasks.report import load_runs
from m4rag_tasks.report.samples import read_exchange

from . import make_run as make


def loaded(root: Path, **kwargs):
    notes: list[str] = []
    return load_runs([root], notes, **kwargs), notes


def test_languages_of_one_setting_make_one_run(tmp_path):
    make.write_run(tmp_path, {"norag": {"am": [1, 0], "en": [1, 1]}, "mmrag": {"am": [1, 1]}})
    runs, notes = loaded(tmp_path)
    assert notes == []
    assert [(run.model, run.dataset, run.setting) for run in runs] == [
        ("org/model-7b", "mini", "norag"),
        ("org/model-7b", "mini", "mmrag"),
    ]
    assert {language: len(records) for language, records in runs[0].languages.items()} == {"am": 2, "en": 2}
    assert runs[0].versions == ["0.7.3"]
    assert runs[0].limits == []
    assert runs[1].facts_of("retriever") == ["pixel"]
    assert runs[1].facts_of("cache") == ["c" * 12]


@pytest.mark.parametrize("where", ["", "org__model-7b", f"org__model-7b/{make.DATE}_samples_m4rag_mini_norag_en.jsonl"])
def test_output_folder_model_folder_or_file(tmp_path, where):
    make.write_run(tmp_path, {"norag": {"en": [1]}})
    assert len(load_runs([tmp_path / where])) == 1


def test_the_same_file_named_twice_is_read_once(tmp_path):
    make.write_run(tmp_path, {"norag": {"en": [1]}})
    notes: list[str] = []
    runs = load_runs([tmp_path, tmp_path / "org__model-7b"], notes)
    assert len(runs[0].records) == 1
    assert notes == []


def test_newest_of_a_task_is_taken_and_said(tmp_path):
    make.write_run(tmp_path, {"norag": {"en": [0, 0]}}, date="20260301_120000")
    make.write_run(tmp_path, {"norag": {"en": [1, 1]}}, date="20260302_080000")
    runs, notes = loaded(tmp_path)
    assert [record["score"] for record in runs[0].records] == [1, 1]
    assert "ran m4rag_mini_norag_en 2 times: took" in notes[0]
    assert "20260302_080000_samples" in notes[0].split(", not ")[0]


def test_models_with_the_same_name_and_other_arguments_stay_apart(tmp_path):
    for number, pixels in enumerate((256, 1024)):
        args = f"pretrained=org/model-7b,max_pixels={pixels},device=cuda:{number},api_key=sk-very-secret-{number}"
        make.write_run(tmp_path, {"norag": {"en": [number]}}, date=f"2026030{number + 1}_120000", model_args=args)
    runs, notes = loaded(tmp_path)
    assert notes == []
    assert [run.model for run in runs] == ["org/model-7b (max_pixels=256)", "org/model-7b (max_pixels=1024)"]
    assert "secret" not in str(runs)


def test_where_a_model_ran_does_not_make_it_another(tmp_path):
    for number, setting in enumerate(("norag", "mmrag")):
        args = f"pretrained=org/model-7b,device=cuda:{number}"
        make.write_run(tmp_path, {setting: {"en": [1]}}, date=f"2026030{number + 1}_120000", model_args=args)
    runs, _ = loaded(tmp_path)
    assert {run.model for run in runs} == {"org/model-7b"}


def test_missing_results_file_is_said(tmp_path):
    make.write_task(tmp_path, "norag", "en", [make.record(1, "en", "norag", 1)])
    runs, notes = loaded(tmp_path)
    assert runs[0].model == "org__model-7b"
    assert "20260301_120000_results.json is missing" in notes[0]


@pytest.mark.parametrize("content", ["{", "[]", '{"config": 3, "n-samples": [1]}', ""])
def test_broken_results_file_does_not_stop_the_report(tmp_path, content):
    make.write_run(tmp_path, {"norag": {"en": [1]}})
    next(tmp_path.rglob("*_results.json")).write_text(content, encoding="utf-8")
    runs, _ = loaded(tmp_path)
    assert len(runs[0].records) == 1


def test_limit_is_kept(tmp_path):
    make.write_run(tmp_path, {"norag": {"en": [1, 0]}}, limit=2.0)
    make.write_results(tmp_path, {"m4rag_mini_norag_en": (64, 2)}, limit=2.0)
    assert loaded(tmp_path)[0][0].limits == ["limit 2"]


def test_limit_that_left_nothing_out_is_none(tmp_path):
    make.write_run(tmp_path, {"norag": {"en": [1, 0]}}, limit=100)
    assert loaded(tmp_path)[0][0].limits == []


def test_variant_of_a_setting_is_a_setting_of_its_own(tmp_path):
    make.write_run(tmp_path, {"norag": {"am": [1]}})
    make.write_task(tmp_path, "norag", "am", [make.record(1, "am", "norag", 0)], task="m4rag_mini_norag_promptam_am")
    assert [(run.setting, run.variant) for run in loaded(tmp_path)[0]] == [("norag", ""), ("norag", "promptam")]


def test_a_file_with_repeated_questions_is_left_out_and_its_ids_are_named(tmp_path):
    records = [make.record(number, "en", "norag", 1) for number in (7, 8, 7)]
    make.write_task(tmp_path, "norag", "en", records)
    with pytest.raises(RunError, match=r"samples_m4rag_mini_norag_en\.jsonl .* more than once: 7-en\."):
        loaded(tmp_path)


def good_and(tmp_path: Path) -> Path:
    """A run with a good file and one to spoil, which is returned."""
    make.write_run(tmp_path, {"norag": {"en": [1, 0], "am": [1, 0, 1]}})
    return next(tmp_path.rglob("*_am.jsonl"))


def left_out(tmp_path: Path, *parts: str) -> None:
    runs, notes = loaded(tmp_path)
    assert list(runs[0].languages) == ["en"]
    assert len(notes) == 1
    for part in ("_am.jsonl", *parts):
        assert part in notes[0]


def test_cut_off_last_line(tmp_path):
    path = good_and(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    left_out(tmp_path, "Left out", "line 3 is cut off")


@pytest.mark.parametrize("line", [b"{broken", b"\xff\xfe", b"[" * 100_000])
def test_broken_json(tmp_path, line):
    path = good_and(tmp_path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], line, lines[2], b""]))
    left_out(tmp_path, "line 2 is not JSON")


def test_line_that_is_no_object(tmp_path):
    good_and(tmp_path).write_text("[1]\n", encoding="utf-8")
    left_out(tmp_path, "line 1 is not a JSON object")


def test_empty_file(tmp_path):
    good_and(tmp_path).write_text("", encoding="utf-8")
    left_out(tmp_path, "is empty")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("question_id", None, "has no 'question_id'"),
        ("language", None, "has no 'language'"),
        ("score", None, "has no score"),
        ("score", 0.5, "has a score other than 0 and 1"),
        ("options", "abc", "'options' that cannot be used"),
        ("options", ["a", 2], "has options that are not text"),
        ("gold", "2", "'gold' that cannot be used"),
        ("gold", 0, "has a right answer that is none of its options"),
        ("gold", 5, "has a right answer that is none of its options"),
        ("gold", True, "has a right answer that is none of its options"),
        ("passages", ["p1"], "has passages that cannot be used"),
        ("resource", ["low"], "'resource' that cannot be used"),
        ("context_chars", "many", "'context_chars' that cannot be used"),
        ("context_chars", float("nan"), "'context_chars' that cannot be used"),
        ("context_has_answer", "yes", "'context_has_answer' that cannot be used"),
        ("strict", 2, "has a strict score other than 0 and 1"),
    ],
)
def test_record_that_lacks_or_spoils_a_key(tmp_path, key, value, told):
    path = good_and(tmp_path)
    samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if value is None:
        del samples[1]["accuracy"][key]
    else:
        samples[1]["accuracy"][key] = value
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
    left_out(tmp_path, "line 2", told)


def test_record_missing_in_a_later_line(tmp_path):
    path = good_and(tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], '{"doc_id": 1, "accuracy": 1.0}', ""]), encoding="utf-8")
    left_out(tmp_path, "line 2 has no record")


def test_file_that_mixes_tasks(tmp_path):
    path = good_and(tmp_path)
    path.write_bytes(path.read_bytes() + next(tmp_path.rglob("*_en.jsonl")).read_bytes())
    left_out(tmp_path, "mixes records of several tasks")


def test_task_of_somebody_else_is_ignored_with_a_note(tmp_path):
    make.write_run(tmp_path, {"norag": {"en": [1]}})
    other = tmp_path / "org__model-7b" / f"{make.DATE}_samples_mmbench_en.jsonl"
    other.write_text('{"doc_id": 0, "accuracy": 1.0}\n', encoding="utf-8")
    runs, notes = loaded(tmp_path)
    assert len(runs) == 1
    assert "mmbench_en.jsonl is not from a task of this suite" in notes[0]


def test_nothing_to_report(tmp_path):
    with pytest.raises(RunError, match="no run to report"):
        load_runs([tmp_path])
    with pytest.raises(RunError, match="does not exist"):
        load_runs([tmp_path / "nowhere"])


def test_only_broken_files_is_an_error_that_says_why(tmp_path):
    make.write_run(tmp_path, {"norag": {"en": [1]}})
    next(tmp_path.rglob("*.jsonl")).write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match="line 1 is cut off"):
        load_runs([tmp_path])


def test_answers_can_be_scored_again_under_another_rule(tmp_path):
    said = [make.record(1, "en", "norag", 0, response='{"answer": 2}'), make.record(2, "en", "norag", 1, response="?")]
    failed = make.record(3, "en", "norag", 1, response="[LMMS_EVAL_REQUEST_FAILED 2]")
    make.write_task(tmp_path, "norag", "en", [*said, failed])
    records = load_runs([tmp_path], rule="reference")[0].records
    assert [record.get("score") for record in records] == [1, 0, None]
    assert records[2]["parse"] == "failed_request"


def test_no_right_answer_is_never_matched_by_an_answer_that_says_nothing(tmp_path):
    make.write_task(tmp_path, "norag", "en", [make.record(1, "en", "norag", 1, gold=None, response="?")])
    with pytest.raises(RunError, match="'gold' that cannot be used"):
        load_runs([tmp_path], rule="reference")


def test_texts_are_left_on_disk_and_read_with_the_prompt(tmp_path):
    make.write_run(tmp_path, {"mmrag": {"am": [1]}})
    (run,) = load_runs([tmp_path])
    (record,) = run.records
    assert make.QUESTION["am"] not in str(record)
    assert "Article 1" not in str(record)
    assert (record["choices"], record["best_score"]) == (4, 1.0)
    place = run.places["1-am"]
    stored = read_exchange(place.path, place.offset).record
    assert stored["question"] == make.QUESTION["am"]
    assert stored["options"] == make.OPTIONS["am"]


def test_prompt_and_response_of_one_question_are_read_where_they_stand(tmp_path):
    records = [make.record(n, "am", "norag", 1, response=f"መልስ {n}") for n in (1, 2, 3)]
    make.write_task(tmp_path, "norag", "am", records)
    place = load_runs([tmp_path])[0].places["2-am"]
    exchange = read_exchange(place.path, place.offset)
    assert exchange.response == "መልስ 2"
    assert exchange.prompt.endswith(make.QUESTION["am"])


def test_sixty_thousand_records_load(tmp_path):
    prompt = "passage " * 400
    for language in make.QUESTION:
        path = make.write_task(tmp_path, "mmrag", language, [make.record(1, language, "mmrag", 1)])
        line = path.read_text(encoding="utf-8").replace("Answer the question.", prompt)
        lines = (line.replace(f'"1-{language}"', f'"{number}-{language}"') for number in range(10_000))
        path.write_text("".join(lines), encoding="utf-8")
    runs = load_runs([tmp_path])
    assert len(runs[0].records) == 60_000
