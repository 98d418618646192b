"""A new language variety, by the steps of CONTRIBUTING.md, and from outside the package without changing it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from statistics import mean

import pytest
from fixtures import worldcuisines_copy
from harness import REPOSITORY, results, run_lmms_eval, run_m4rag, samples

from m4rag_tasks import prompts
from m4rag_tasks.suite import resolve

pytestmark = pytest.mark.e2e

CODE = "xx_test"
TASK, GROUP = f"m4rag_wc_norag_{CODE}", "m4rag_wc_norag"
ROW = f"""
[[language]]
code = "{CODE}"
name = "Backward"
script = "Latn"
resource = "low"
datasets = {{ wc = "{CODE}" }}
"""
HEADER = """{#
language: Backward
register: neutral
script: Latin
written: English words turned around, for a test
checked automatically: script, placeholders
reviewed by a fluent reader: no (nobody speaks it)
#}
{% extends skeleton %}
"""
YAML = f"""include: _{GROUP}
task: {TASK}
process_docs: !function m4rag_tasks.hooks.docs__wc__{CODE}
metadata: !function m4rag_tasks.hooks.metadata__wc__norag__{CODE}
"""
TAG = f"tag: [{GROUP}_varieties]\n"
NOT_COPIED = (".*", "__pycache__", "out", "build", "dist", "tests")


def backward(text: str) -> str:
    """A phrase in the invented language: each word from its end, then "u". Placeholders stay."""
    return re.sub(
        r"(<\w+>|\{\w+\}|JSON)|(\w+)", lambda match: match[1] or f"{match[2][::-1].lower()}u".capitalize(), text
    )


def template() -> str:
    """The words of the invented language, as a template."""
    phrases = prompts.words("en").items()
    return HEADER + "".join(f'{{% set {name} = "{backward(text)}" %}}\n' for name, text in phrases)


@pytest.fixture(scope="module")
def data(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of commands that read a copy of WorldCuisines which asks in the new variety too."""
    folder = tmp_path_factory.mktemp("wc")
    worldcuisines_copy(folder, shared_data, extra=[CODE])
    return {"M4RAG_DATA": str(folder), "HF_DATASETS_CACHE": str(folder / "converted")}


def evaluate(out: Path, tasks: str, *arguments: str, **environment: str) -> dict[str, list[dict]]:
    """The samples of a run of the reader, two questions of each leaf."""
    done = run_lmms_eval(
        *("--model", "m4rag_reader", "--tasks", tasks, "--limit", "2", *arguments),
        *("--log_samples", "--output_path", str(out)),
        **environment,
    )
    found = samples(out)
    assert found, done.stdout[-3000:] + done.stderr[-3000:]
    return found


def check_asked_in_it(lines: list[dict]) -> None:
    """All words of the prompts are the new variety's, and so are the records."""
    assert len(lines) == 2
    for line in lines:
        shown = line["input"].splitlines()
        for name in ("options_label", "instruction"):
            assert backward(prompts.words("en")[name]) in shown
        assert shown[0].startswith(backward("Question:"))
        assert line["accuracy"]["language"] == CODE
        assert line["accuracy"]["question_id"].endswith(f"-{CODE}")
        assert line["accuracy"]["parse"] == "json"


def contents(folder: Path) -> dict[Path, bytes]:
    """The files below a folder, but for what Python writes by itself."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder): path.read_bytes() for path in files}


# --- by the steps of CONTRIBUTING.md ----------------------------------------------


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Path, bytes]]:
    """A copy of the project with one row and one template more, generated anew; and its files before `generate`."""
    project = tmp_path_factory.mktemp("project") / "m4rag"
    shutil.copytree(REPOSITORY, project, ignore=shutil.ignore_patterns(*NOT_COPIED))
    run_m4rag("generate", PYTHONPATH=str(project))
    with (project / "m4rag_tasks" / "languages.toml").open("a", encoding="utf-8") as rows:
        rows.write(ROW)
    (project / "templates" / f"{CODE}.jinja").write_text(template(), encoding="utf-8")
    before = contents(project)
    done = run_m4rag("generate", PYTHONPATH=str(project))
    assert f"{project.parent.name}/{project.name}/" in done.stdout, done.stdout
    return project, before


def test_generate_writes_files_of_the_new_variety_only(added):
    project, before = added
    after = contents(project)
    assert before.keys() <= after.keys()
    changed = {path for path in before if before[path] != after[path]}
    assert changed <= {Path("docs/languages.md")}
    new = [path for path in after if path not in before]
    assert Path(f"m4rag_tasks/tasks/wc/norag/{TASK}.yaml") in new
    assert all(path.name.endswith(f"_{CODE}.yaml") for path in new)
    page = project / "docs" / "languages.md"
    if page.is_file():
        assert f"templates/{CODE}.jinja" in page.read_text(encoding="utf-8")


def test_the_new_variety_is_listed_and_its_words_are_checked(added):
    project, _ = added
    listed = run_m4rag("tasks", "--language", CODE, PYTHONPATH=str(project)).stdout
    assert TASK in listed and f"m4rag_wc_large_oracle_localctx_{CODE}" in listed
    assert "m4rag_cvqa" not in listed and "m4rag_mini" not in listed
    assert f"{CODE}: ok" in run_m4rag("check-language", CODE, PYTHONPATH=str(project)).stdout

    words = project / "templates" / f"{CODE}.jinja"
    good = words.read_text(encoding="utf-8")
    try:
        words.write_text(good.replace(backward("picture"), "picture"), encoding="utf-8")
        done = run_m4rag("check-language", CODE, check=False, PYTHONPATH=str(project))
    finally:
        words.write_text(good, encoding="utf-8")
    assert done.returncode == 1
    assert "instruction has English words: picture" in done.stdout


def test_the_new_variety_runs(added, data, tmp_path):
    project, _ = added
    found = evaluate(tmp_path, f"{TASK},m4rag_wc_norag_oe_{CODE}", PYTHONPATH=str(project), **data)
    assert set(found) == {TASK, f"m4rag_wc_norag_oe_{CODE}"}
    check_asked_in_it(found[TASK])


# --- from outside -----------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of somebody's own, with a template and the YAML of one task."""
    own = tmp_path / "own"
    own.mkdir()
    (own / f"{CODE}.jinja").write_text(template(), encoding="utf-8")
    (own / "task.yaml").write_text(YAML, encoding="utf-8")
    return own


def test_a_variety_from_outside_runs_and_is_checked(folder, data, tmp_path):
    found = evaluate(tmp_path / "out", TASK, "--include_path", str(folder), **data)
    assert set(found) == {TASK}
    check_asked_in_it(found[TASK])
    assert results(tmp_path / "out")["configs"][TASK]["metadata"]["language"] == CODE
    checked = run_m4rag("check-language", CODE, "--include_path", str(folder))
    assert f"{CODE}: ok" in checked.stdout


def test_a_variety_from_outside_joins_a_group_by_its_tag(folder, data, tmp_path):
    (folder / "task.yaml").write_text(YAML + TAG, encoding="utf-8")
    found = evaluate(tmp_path / "out", GROUP, "--include_path", str(folder), **data)
    assert set(found) == {TASK, *(task.name for task in resolve(GROUP))}
    check_asked_in_it(found[TASK])
    table = results(tmp_path / "out")["results"]
    assert table[GROUP]["accuracy,none"] == pytest.approx(mean(table[leaf]["accuracy,none"] for leaf in found))
