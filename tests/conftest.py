"""What the tests share: where the real data lies, a built mini cache, the lmms-eval command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Before anything imports a hub client: no test may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("M4RAG_SHARED", REPOSITORY.parent / "shared")) / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data (WorldCuisines and others); skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}; set M4RAG_SHARED to the folder that holds data/")
    return SHARED


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No test sees the user's settings or cache, or leaves anything behind for the next."""
    from m4rag_tasks import contexts, datasets, retrieval

    for name in ("M4RAG_DATA", "M4RAG_MISSING_IMAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "no-cache"))
    monkeypatch.setattr(datasets, "_images_shown", True)
    yield
    retrieval.open_cache.cache_clear()
    datasets.knowledge_base.cache_clear()
    contexts._context_set.cache_clear()


@pytest.fixture(scope="session")
def mini_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache root with the caches of all mini settings, built by the command line."""
    root = tmp_path_factory.mktemp("cache")
    run_m4rag("cache", "build", "--dataset", "mini", M4RAG_CACHE=str(root))
    return root


def run_m4rag(*arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """The `m4rag` command in a process of its own."""
    return _run([sys.executable, "-m", "m4rag_tasks.cli", *arguments], environment, check)


def run_lmms_eval(*arguments: str, launcher: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
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


Runner = Callable[..., subprocess.CompletedProcess[str]]
