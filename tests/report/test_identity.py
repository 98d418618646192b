"""Which runs are the same model, what it is called, and which of its files is taken."""

from __future__ import annotations

import json

import pytest

from m4rag_tasks.report import build_report, load_runs

from . import make_run as make


def models(root):
    return sorted({run.model for run in load_runs([root])})


def write_setting(root, number, setting, scores, config, folder="org/model-7b"):
    """One start of the harness for one setting, on a day of its own."""
    date = f"2026030{number}_120000"
    records = [make.record(n, "en", setting, score) for n, score in enumerate(scores, start=1)]
    make.write_task(root, setting, "en", records, model=folder, date=date)
    counts = {f"m4rag_mini_{setting}_en": (len(scores), len(scores))}
    path = make.write_results(root, counts, model=folder, date=date)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["config"].update(config)
    # As the harness does where no argument of the model looks like a name.
    content["model_name"] = ""
    path.write_text(json.dumps(content), encoding="utf-8")


def replay(root, number, setting, scores, name=""):
    named = f",name={name}" if name else ""
    args = f"responses=/home/someone/answers/{setting}.jsonl{named}"
    write_setting(root, number, setting, scores, {"model": "m4rag_replay", "model_args": args}, folder="")


@pytest.mark.parametrize(("name", "shown"), [("Pangea-7B", "Pangea-7B"), ("", "m4rag_replay")])
def test_replayed_settings_pair_up_though_each_has_a_file_of_its_own(tmp_path, name, shown):
    for number, (setting, scores) in enumerate([("norag", [1, 0]), ("oracle", [1, 1]), ("mmrag", [0, 1])], start=1):
        replay(tmp_path, number, setting, scores, name)
    report = build_report(load_runs([tmp_path]))
    assert report.models == [shown]
    change = next(row for row in report.changes if row.setting == "mmrag")
    assert change.problem is None
    assert (change.retention.value, change.correction.value) == (0, 1)
    assert all(row.problem is None for row in report.gaps)
    assert "someone" not in str(report)


def test_replayed_models_with_other_names_stay_apart(tmp_path):
    replay(tmp_path, 1, "norag", [1, 0], "A")
    replay(tmp_path, 2, "norag", [1, 1], "B")
    assert models(tmp_path) == ["A", "B"]


def test_a_server_on_two_ports_is_one_model(tmp_path):
    for number, setting in enumerate(("norag", "mmrag"), start=1):
        args = f"model_version=qwen,base_url=http://host:800{number}/v1,num_concurrent={number},timeout={number}"
        args += f",max_retries={number},batch_size={number},num_cpus={number},cache_dir=/scratch/{number}"
        write_setting(tmp_path, number, setting, [1], {"model": "async_openai", "model_args": args}, folder="qwen")
    assert models(tmp_path) == ["async_openai"]


@pytest.mark.parametrize("argument", ["pretrained", "max_pixels", "system_prompt", "dtype", "max_new_tokens"])
def test_what_shapes_answers_makes_another_model(tmp_path, argument):
    for number, value in enumerate("AB", start=1):
        write_setting(tmp_path, number, "norag", [1], {"model_args": f"{argument}={value}"})
    assert models(tmp_path) == [f"qwen2_5_vl ({argument}={value})" for value in "AB"]


def test_labels_do_not_tell_where_a_model_lies(tmp_path):
    for number, folder in enumerate(("first/tuned", "second/tuned", "second/other"), start=1):
        args = f"pretrained=/home/someone/{folder}"
        write_setting(tmp_path, number, "norag", [1], {"model_args": args})
    assert models(tmp_path) == [
        "qwen2_5_vl (pretrained=other)",
        "qwen2_5_vl (pretrained=tuned) #1",
        "qwen2_5_vl (pretrained=tuned) #2",
    ]


def test_trying_one_question_out_does_not_hide_the_full_run(tmp_path):
    make.write_run(tmp_path, {"norag": {"en": [0, 0, 0]}}, date="20260301_120000")
    make.write_run(tmp_path, {"norag": {"en": [1, 0, 1]}}, date="20260302_120000")
    make.write_run(tmp_path, {"norag": {"en": [1]}}, date="20260303_120000", limit=1)
    notes: list[str] = []
    (run,) = load_runs([tmp_path], notes)
    assert [record["score"] for record in run.records] == [1, 0, 1]
    (note,) = notes
    taken, others = note.split(", not ")
    assert "20260302_120000_samples_m4rag_mini_norag_en.jsonl, the newest of those with the most questions (3)" in taken
    assert "20260303_120000_samples_m4rag_mini_norag_en.jsonl (1)" in others


def test_a_broken_newer_file_gives_way_to_the_one_before(tmp_path):
    make.write_run(tmp_path, {"norag": {"en": [1, 1]}}, date="20260301_120000")
    make.write_run(tmp_path, {"norag": {"en": [0, 0]}}, date="20260302_120000")
    path = next(tmp_path.rglob("20260302*.jsonl"))
    path.write_bytes(path.read_bytes()[:-40])
    notes: list[str] = []
    (run,) = load_runs([tmp_path], notes)
    assert [record["score"] for record in run.records] == [1, 1]
    assert any("Left out" in note and "cut off" in note for note in notes)
