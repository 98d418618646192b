"""The wheel, installed alone: no checkout, no include path, another working folder."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import REPOSITORY, results, samples

pytestmark = pytest.mark.e2e

BUILT_IN_TASK = "mmmu_val"
PACKAGES = ("m4rag_tasks", "retrieval_cache")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    # Without hatchling here, build fetches it from the package index.
    isolation = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    run([sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", str(folder), str(REPOSITORY)], folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """Python of an environment with the wheel; the heavy dependencies are borrowed from this one."""
    folder = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    path = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(path), "install", "--quiet"]
    run([*pip, "--no-deps", "--no-index", str(wheel)])
    borrowed = [entry for entry in sys.path if Path(entry).name in {"site-packages", "dist-packages"}]
    (own,) = folder.glob("lib/python*/site-packages")
    # A folder named in a .pth file comes last in the search, and .pth files inside it
    # (the editable install of this checkout is one) are not read.
    (own / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    return path


def run(command: list[str], folder: Path | None = None) -> str:
    """What a command printed; an AssertionError if it failed. The checkout is not on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=900, check=False, cwd=folder, env=environment
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{command} exited with {done.returncode}\n{output[-4000:]}"
    return output


def test_the_wheel_holds_every_file_of_the_packages_and_the_templates(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(REPOSITORY))
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    wanted |= {f"m4rag_tasks/templates/{path.name}" for path in (REPOSITORY / "templates").glob("*.jinja")}
    # Named, because these are the ones that packaging forgets: base YAMLs have no suffix.
    assert {"m4rag_tasks/tasks/_m4rag_base", "m4rag_tasks/templates/mcq.jinja"} <= wanted
    assert not wanted - inside
    assert {name.split("/")[0] for name in inside if ".dist-info/" not in name} == set(PACKAGES)


def test_the_wheel_is_what_runs(python, tmp_path):
    code = "import m4rag_tasks, retrieval_cache; print(m4rag_tasks.__file__, retrieval_cache.__file__)"
    for path in run([str(python), "-c", code], tmp_path).split():
        assert Path(path).is_relative_to(python.parents[1])


def test_our_own_command_works_from_the_wheel(python, tmp_path):
    m4rag = str(python.with_name("m4rag"))
    run([m4rag, "generate", "--check"], tmp_path)
    output = run([m4rag, "preflight", "m4rag_mini_norag", "m4rag_mini_oracle"], tmp_path)
    assert "tasks are ready" in output


def test_lmms_eval_lists_our_tasks(python, tmp_path):
    listed = list_tasks(python, tmp_path)
    assert {BUILT_IN_TASK, "m4rag_mini_norag_en", "m4rag_mini_mmrag", "m4rag_wc_norag_su_loma"} <= listed


def test_lmms_eval_runs_a_task_of_ours(python, tmp_path):
    output = run(
        [
            *(str(python), "-m", "lmms_eval", "--model", "m4rag_reader", "--tasks", "m4rag_mini_norag_en"),
            *("--limit", "4", "--log_samples", "--output_path", str(tmp_path / "out")),
        ],
        tmp_path,
    )
    found = samples(tmp_path / "out")
    assert list(found) == ["m4rag_mini_norag_en"], output[-4000:]
    scores = [sample["accuracy"]["score"] for sample in found["m4rag_mini_norag_en"]]
    assert len(scores) == 4
    assert results(tmp_path / "out")["results"]["m4rag_mini_norag_en"]["accuracy,none"] == sum(scores) / 4


# --- when something of ours is broken, lmms-eval goes on without it -----------


@pytest.fixture
def unimportable_plugin(python) -> Iterator[None]:
    """The installed plugin module raises when it is imported."""
    (plugin,) = python.parents[1].glob("lib/python*/site-packages/m4rag_tasks/plugin.py")
    text = plugin.read_text(encoding="utf-8")
    plugin.write_text("raise ImportError('this plugin is broken')\n", encoding="utf-8")
    yield
    plugin.write_text(text, encoding="utf-8")


def test_lmms_eval_survives_a_plugin_that_cannot_be_imported(python, tmp_path, unimportable_plugin):
    listed = list_tasks(python, tmp_path)
    assert BUILT_IN_TASK in listed
    assert not [name for name in listed if name.startswith("m4rag_")]


def test_a_harness_that_we_do_not_know_costs_only_our_own_tasks(python, tmp_path):
    code = """
from lmms_eval.tasks import TaskManager
del TaskManager.initialize_tasks
from lmms_eval.models import MODEL_REGISTRY_V2
names = MODEL_REGISTRY_V2.list_model_names()
assert "qwen2_5_vl" in names and "m4rag_reader" not in names, names
from m4rag_tasks.plugin import register
assert register() == []
"""
    output = run([str(python), "-c", code], tmp_path)
    assert "m4rag tasks are not available" in output
    # Ours was caught by us: for the harness nothing failed, so other plugins stay.
    assert "Failed to load model entry-point manifests" not in output


def list_tasks(python: Path, folder: Path) -> set[str]:
    """The task names that `lmms-eval --tasks list` prints."""
    output = run([str(python), "-m", "lmms_eval", "--tasks", "list"], folder)
    return {line.removeprefix(" - ") for line in output.splitlines() if line.startswith(" - ")}
