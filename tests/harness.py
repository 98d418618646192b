"""The two command lines, run as a person runs them, and what lmms-eval wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
OWN_TEMPLATES = REPOSITORY / "templates"


def run_m4rag(
    *arguments: str, check: bool = True, launcher: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """The `m4rag` command in a process of its own."""
    return _run([sys.executable, *launcher, "-m", "m4rag_tasks.cli", *arguments], environment, check)


def run_lmms_eval(
    *arguments: str, launcher: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """The `lmms-eval` command; look at its output and files, for it exits with 0 even when it failed."""
    return _run([sys.executable, *launcher, "-m", "lmms_eval", *arguments], environment, check=False)


def _run(command: list[str], environment: dict[str, str], check: bool) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=900,
        check=False,
        cwd=REPOSITORY.parent,
        env={**os.environ, **environment},
    )
    if check and done.returncode:
        raise AssertionError(f"{command} exited with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def samples(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The samples that lmms-eval wrote below a folder, by task name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.rglob("*_samples_*.jsonl")):
        task = path.stem.split("_samples_", 1)[1]
        found[task] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return found


def results(folder: Path) -> dict[str, Any]:
    """The results file that lmms-eval wrote below a folder."""
    (path,) = sorted(folder.rglob("*_results.json"))
    return json.loads(path.read_text(encoding="utf-8"))


def edit_templates(folder: Path) -> None:
    """Take our templates from `folder`: its own files, and copies of all others. `conftest` undoes it."""
    from m4rag_tasks import prompts

    for path in OWN_TEMPLATES.iterdir():
        if not (folder / path.name).exists():
            shutil.copy(path, folder)
    prompts.templates_dir = lambda: folder
    prompts.search_also([])
