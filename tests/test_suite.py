"""The grid: names, selection, near misses, and the generated files that follow from it."""

from __future__ import annotations

import ast
import csv
import logging
import re
from pathlib import Path

import pytest
import yaml

from m4rag_tasks import generate, index, prompts, suite, task_files
from m4rag_tasks.errors import UnknownNameError
from m4rag_tasks.rows import variety_code
from m4rag_tasks.suite import TASKS_FOLDER

REPOSITORY = Path(__file__).resolve().parents[1]


def test_the_grid_is_whole():
    def varieties(dataset, setting, variant=""):
        return len(suite.select(dataset, setting, variant=variant))

    # At least: a contributed variety adds one, and changes no test.
    published = {"mini": 9, "cvqa": 39, "wc": 30, "wc_large": 30}
    counts = {dataset: varieties(dataset, "norag") for dataset in published}
    assert all(counts[dataset] >= published[dataset] for dataset in published)
    assert varieties("mini", "mmrag") == varieties("mini", "mmrag", "enprompt") == counts["mini"]
    for setting in suite.SETTINGS:
        assert varieties("cvqa", setting) == varieties("cvqa", setting, "en") == counts["cvqa"]
        for dataset in ("wc", "wc_large"):
            assert varieties(dataset, setting) == varieties(dataset, setting, "oe") == counts[dataset]
    for dataset in ("cvqa", "wc", "wc_large"):
        assert {varieties(dataset, setting, "enprompt") for setting in suite.PAPER_SETTINGS} == {counts[dataset]}
        assert {varieties(dataset, "oracle", name) for name in ("localctx", "enprompt_localctx")} == {counts[dataset]}


def test_cvqa_has_the_subsets_of_the_inventory(shared_data):
    with (shared_data / "cvqa" / "inventory.csv").open(encoding="utf-8") as file:
        subsets = [variety_code(suite.DATASETS["cvqa"], row["Subset"]) for row in csv.DictReader(file)]
    assert sorted(subsets) == sorted(suite.own_codes(suite.DATASETS["cvqa"]))


def test_names_resolve_to_leaves():
    assert [task.name for task in suite.resolve("m4rag_mini_mmrag_am")] == ["m4rag_mini_mmrag_am"]
    all_of_it = suite.select("mini", "mmrag", variant="")
    assert suite.resolve("m4rag_mini_mmrag") == suite.resolve("m4rag_mini_mmrag_varieties") == all_of_it
    assert suite.resolve("m4rag_mini") == suite.select("mini", variant="")
    asked = [*suite.select("cvqa", "mmrag", variant=""), *suite.select("cvqa", "mmrag", variant="en")]
    assert suite.resolve("m4rag_cvqa_mmrag") == asked
    assert suite.resolve("m4rag_cvqa_mmrag_local") == suite.select("cvqa", "mmrag", variant="")
    assert suite.resolve("m4rag_cvqa_mmrag_es") == suite.select("cvqa", "mmrag", "es", "")
    assert {task.language.country for task in suite.resolve("m4rag_cvqa_mmrag_ur")} == {"India", "Pakistan"}
    assert {task.language.resource for task in suite.resolve("m4rag_wc_large_norag_oe_low_resource")} == {"low"}
    assert {task.language.code for task in suite.resolve("m4rag_wc_oracle_jv")} == {"jv_krama", "jv_ngoko"}


def test_no_two_tasks_groups_or_tags_share_a_name():
    names = [*suite.all_tasks(), *suite.groups(), *map(suite.tag, suite.groups())]
    assert len(names) == len(set(names))
    assert {name[:6] for name in names} == {"m4rag_"}


def test_a_variety_from_outside_has_the_leaves_of_the_grid():
    suite.add_outside([suite.Language("xx_test", "Test", "Latn", "low", {}, "xx_test", "xx_test")])
    (task,) = suite.resolve("m4rag_wc_norag_oe_xx_test")
    assert (task.variant.name, task.template, task.language.code_in(task.dataset)) == ("oe", "xx_test", "xx_test")
    suite.add_outside([])
    with pytest.raises(UnknownNameError):
        suite.resolve("m4rag_wc_norag_oe_xx_test")


def test_every_language_has_a_template():
    missing = {language.template for language in suite.languages().values()} - set(prompts.template_languages())
    assert not missing


def test_generated_files_are_up_to_date():
    assert generate.check() == []


def test_check_names_changed_missing_and_stale_files_and_write_mends_them(tmp_path):
    (tmp_path / "docs").mkdir()
    folders = (tmp_path / "tasks", tmp_path / "docs")
    generate.write(*folders)
    changed = tmp_path / "tasks/mini/norag/m4rag_mini_norag_en.yaml"
    changed.write_text(changed.read_text() + "repeats: 2\n")
    (tmp_path / "docs/languages.md").write_text("old")
    (tmp_path / "tasks/mini/norag/m4rag_mini_norag_hi.yaml").unlink()
    (tmp_path / "tasks/mini/norag/m4rag_mini_norag_xx.yaml").write_text("task: m4rag_mini_norag_xx\n")
    (tmp_path / "tasks/.DS_Store").write_bytes(b"\x00\xff not ours, not text")
    found = {(difference.kind, difference.path.name) for difference in generate.check(*folders)}
    assert found == {
        ("changed", "m4rag_mini_norag_en.yaml"),
        ("changed", "languages.md"),
        ("missing", "m4rag_mini_norag_hi.yaml"),
        ("stale", "m4rag_mini_norag_xx.yaml"),
    }
    generate.write(*folders)
    assert generate.check(*folders) == []


def without_axes(text, task):
    """A generated file with the names of its axes taken out, the longest first."""
    text = text.replace(f"test_split: {task.dataset.split}", "test_split: *")
    # Where no picture is looked at, the function for it carries no axis.
    text = text.replace("hooks.no_image", f"hooks.image__{task.dataset.key}")
    axes = [task.language.code, task.dataset.key, task.setting.name, task.variant.name, task.kind]
    for axis in sorted(filter(None, axes), key=len, reverse=True):
        text = re.sub(rf"(?<![a-z0-9]){axis}(?![a-z0-9])", "*", text)
    # A variant or a language group more or less is an axis too.
    return re.sub(r"(_\*)+|(?:__\*)+|\.\./", "~", text)


def test_leaves_and_bases_are_short_and_differ_only_in_their_axes():
    leaves, bases = set(), set()
    for task in suite.all_tasks().values():
        text = task_files.leaf(task)
        assert len(text.splitlines()) <= 8
        leaves.add(re.sub(r"tag: .*", "tag", without_axes(text, task)))
        bases.add(re.sub("~+", "~", without_axes(task_files.base(task), task)))
    assert len(leaves) == len(bases) == 1


def test_groups_differ_only_in_name_members_and_kind():
    shapes = {}
    for name, members in suite.groups().items():
        text = task_files.group(name, ["MEMBERS"]).replace(f"group: {name}\n", "group\n")
        whole = members[0] in suite.groups() and len(members) > 2
        shapes.setdefault((suite.resolve(name)[0].kind, whole), set()).add(text)
    assert {len(texts) for texts in shapes.values()} == {1}


def test_the_index_is_what_the_harness_reads_from_the_files():
    from lmms_eval.tasks import TaskManager

    manager = object.__new__(TaskManager)
    manager.logger = logging.getLogger("test")
    read = manager._get_task_and_group(str(TASKS_FOLDER))
    made = index.our_index(TASKS_FOLDER)
    for entry in (*read.values(), *made.values()):
        if isinstance(entry.get("task"), list):
            entry["task"] = sorted(entry["task"])
    assert made == read


def test_tags_of_the_user_s_own_leaves_join_ours_and_other_clashes_are_the_user_s():
    tag = suite.tag("m4rag_mini_norag")
    theirs = {
        tag: {"type": "tag", "task": ["m4rag_mini_norag_xx"], "yaml_path": -1},
        "m4rag_mini_norag_am": {"type": "task", "yaml_path": "/elsewhere/am.yaml"},
        "mmmu": {"type": "group", "task": -1, "yaml_path": "/elsewhere/mmmu.yaml"},
    }
    joined = index.joined(theirs, index.our_index(TASKS_FOLDER))
    assert (
        joined[tag]["task"][-1] == "m4rag_mini_norag_xx"
        and len(joined[tag]["task"]) == len(suite.resolve("m4rag_mini_norag")) + 1
    )
    assert joined["m4rag_mini_norag_am"]["yaml_path"] == "/elsewhere/am.yaml"
    assert "mmmu" in joined and "m4rag_mini_norag_hi" in joined
    assert len(theirs[tag]["task"]) == 1


class Loader(yaml.CSafeLoader):
    """YAML as the harness reads it for its index: functions are not looked up."""


Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def test_no_yaml_of_ours_is_broken_and_bases_carry_no_yaml_suffix():
    """A base with the suffix would be taken for a task; includes are looked up by name."""
    bases, includes = {}, []
    for path in TASKS_FOLDER.rglob("*"):
        if path.is_dir():
            continue
        config = yaml.load(path.read_text(encoding="utf-8"), Loader)
        assert isinstance(config, dict)
        if "include" in config:
            includes.append(path.parent / config["include"])
        if path.suffix == ".yaml":
            assert "task" in config
        else:
            assert path.name not in bases
            bases[path.name] = path
    assert all(path.is_file() for path in set(includes))


@pytest.mark.parametrize("kind", list(task_files.WEIGHTED))
def test_no_metric_name_stands_inside_another(kind):
    """lmms-eval's groups match metrics by substring."""
    names = re.findall(r"metric: (\w+)", (TASKS_FOLDER / f"_m4rag_{kind}").read_text())
    assert len(names) >= 3
    assert not [(a, b) for a in names for b in names if a != b and a in b]
    assert set(task_files.WEIGHTED[kind]) < set(names)


# Modules from the bottom up: each may import those above it in this list.
LAYERS = [
    "errors",
    "axes",
    "toml_file",
    "languages",
    "suite",
    "task_files",
    "index",
    "prompts",
    "outside",
    "check_language",
    "languages_doc",
    "generate",
    "rows",
    "evidence",
    "revisions",
    "sources",
    "datasets",
    "images",
    "context_sets",
    "contexts",
    "retrieval",
    "option_text",
    "answer_text",
    "json_lines",
    "published_rules",
    "answers",
    "open_ended",
    "records",
    "grades",
    "judging",
    "intervals",
    "metrics",
    "analysis",
    "cell",
    "written_text",
    "writing",
    "judging_cell",
    "cells",
    "hooks",
    "preflight",
    "plugin",
    "models",
    "report",
    "judge_import",
    "text_language",
    "context_checks",
    "written_samples",
    "context_import",
    "demo",
    "cli_outside",
    "cli_context",
    "cli_corpus",
    "cli_encoder",
    "cli_cache",
    "cli_judge",
    "cli",
]


def test_imports_point_one_way():
    package = REPOSITORY / "m4rag_tasks"
    for path in package.rglob("*.py"):
        layer = path.relative_to(package).with_suffix("").parts[0]
        if layer not in LAYERS:
            assert layer in ("__init__", "mini"), f"{layer} has no place in LAYERS"
            continue
        for name in top_level_imports(path):
            target = name.split(".")[1] if name.startswith("m4rag_tasks.") else None
            if target and target != layer:
                assert LAYERS.index(target) < LAYERS.index(layer), f"{path.name} imports {name}"


def test_the_retrieval_cache_stands_alone():
    for path in (REPOSITORY / "retrieval_cache").rglob("*.py"):
        assert not [name for name in top_level_imports(path) if name.startswith("m4rag_tasks")]


def top_level_imports(path: Path) -> list[str]:
    """Modules that a file imports when it is imported itself (imports inside functions are lazy on purpose)."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            if node.module == "m4rag_tasks":
                names += [f"m4rag_tasks.{alias.name}" for alias in node.names]
    return names
