"""The grid: names, selection, near misses, and the generated files that follow from it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from m4rag_tasks import generate, prompts, suite
from m4rag_tasks.errors import UnknownNameError
from m4rag_tasks.plugin import TASKS_FOLDER

REPOSITORY = Path(__file__).resolve().parents[1]


def test_every_language_of_both_data_sets_is_a_leaf():
    assert len(suite.select("wc", "norag")) >= 30
    assert len(suite.select("mini", "mmrag")) >= 9
    assert len({suite.languages()[task.language.code].script for task in suite.select("mini", "mmrag")}) >= 6


def test_names_resolve_to_leaves():
    assert [task.name for task in suite.resolve("m4rag_mini_mmrag_am")] == ["m4rag_mini_mmrag_am"]
    nine = suite.select("mini", "mmrag")
    assert suite.resolve("m4rag_mini_mmrag") == suite.resolve("m4rag_mini_mmrag_languages") == nine
    assert suite.resolve("m4rag_mini") == suite.select("mini")


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: suite.resolve("m4rag_mini_mmrag_amh"), "m4rag_mini_mmrag_am"),
        (lambda: suite.select(setting="textrag_bm25"), "textrag_oracle_bm25"),
        (lambda: suite.select(language="id_formall"), "id_formal"),
        (lambda: suite.select(dataset="minni"), "mini"),
    ],
)
def test_unknown_names_are_errors_that_name_the_nearest(call, hint):
    with pytest.raises(UnknownNameError, match=hint):
        call()


def test_every_language_has_a_template():
    missing = {language.template for language in suite.languages().values()} - set(prompts.template_languages())
    assert not missing


def test_generated_files_are_up_to_date():
    assert generate.check() == []


def test_check_names_changed_missing_and_stale_files_and_write_mends_them(tmp_path):
    generate.write(tmp_path)
    changed = tmp_path / "mini/norag/m4rag_mini_norag_en.yaml"
    changed.write_text(changed.read_text() + "repeats: 2\n")
    (tmp_path / "mini/norag/m4rag_mini_norag_hi.yaml").unlink()
    (tmp_path / "mini/norag/m4rag_mini_norag_xx.yaml").write_text("task: m4rag_mini_norag_xx\n")
    (tmp_path / ".DS_Store").write_bytes(b"\x00\xff not ours, not text")
    found = {(difference.kind, difference.path.name) for difference in generate.check(tmp_path)}
    assert found == {
        ("changed", "m4rag_mini_norag_en.yaml"),
        ("missing", "m4rag_mini_norag_hi.yaml"),
        ("stale", "m4rag_mini_norag_xx.yaml"),
    }
    generate.write(tmp_path)
    assert generate.check(tmp_path) == []


def test_leaves_are_short_and_differ_only_in_their_axes():
    shapes = set()
    for task in suite.all_tasks().values():
        text = generate.leaf(task)
        assert len(text.splitlines()) <= 8
        for axis in (task.name, task.group, task.setting.name, task.dataset.key, task.language.code):
            text = re.sub(rf"(?<![a-z0-9]){axis}(?![a-z0-9])", "*", text)
        shapes.add(text)
    assert len(shapes) == 1


def test_no_yaml_of_ours_is_broken_and_bases_carry_no_yaml_suffix():
    """Every lmms-eval command parses every *.yaml below the folder: one broken file breaks them all."""

    class Loader(yaml.FullLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))
    bases = {}
    for path in TASKS_FOLDER.rglob("*"):
        if path.is_dir():
            continue
        config = yaml.load(path.read_text(encoding="utf-8"), Loader)
        if path.suffix == ".yaml":
            assert isinstance(config, dict)
            assert "task" in config
        else:
            assert path.name not in bases, "includes are looked up by name: base names must be unique"
            bases[path.name] = path
    for path in TASKS_FOLDER.rglob("*.yaml"):
        include = yaml.load(path.read_text(encoding="utf-8"), Loader).get("include")
        assert include is None or (path.parent / include).is_file()


def test_no_metric_name_stands_inside_another():
    """lmms-eval's groups match metrics by substring."""
    names = re.findall(r"metric: (\w+)", (TASKS_FOLDER / "_m4rag_base").read_text())
    assert len(names) == 5
    assert not [(a, b) for a in names for b in names if a != b and a in b]


# Modules from the bottom up: each may import those above it in this list.
LAYERS = [
    "errors",
    "suite",
    "prompts",
    "datasets",
    "contexts",
    "retrieval",
    "option_text",
    "published_rules",
    "answers",
    "intervals",
    "metrics",
    "hooks",
    "preflight",
    "plugin",
    "generate",
    "models",
    "report",
    "demo",
    "cli",
]


def test_imports_point_one_way():
    package = REPOSITORY / "m4rag_tasks"
    for path in package.rglob("*.py"):
        layer = path.relative_to(package).with_suffix("").parts[0]
        if layer not in LAYERS:
            assert layer in ("__init__", "mini")
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
