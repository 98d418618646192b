"""What the tests share: where the real data lies, a built mini cache, settings of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import REPOSITORY, results, run_lmms_eval, run_m4rag, samples  # noqa: F401
from hypothesis import settings

# Before anything imports a hub client: no test may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# How long an example takes says more about the machine than about the code.
settings.register_profile("m4rag", deadline=None)
settings.load_profile("m4rag")

# Nor see the user's settings; here already, because fixtures of modules come before `own_settings`.
for _name in [
    name for name in os.environ if name.startswith("M4RAG_") and name not in ("M4RAG_SHARED", "M4RAG_UPDATE_GOLDEN")
]:
    del os.environ[_name]

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
    from m4rag_tasks import contexts, datasets, images, outside, prompts, sources

    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "no-cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "no-data"))
    images.show_images(True)
    templates_dir = prompts.templates_dir
    yield
    prompts.templates_dir = templates_dir
    outside.use_folders([])
    for cached in (sources._loaded, datasets._knowledge_base, datasets._answers, contexts._texts):
        cached.cache_clear()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for local copies, which `M4RAG_DATA` names."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("M4RAG_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def mini_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache root with the caches of all mini settings, built by the command line; only to be read."""
    base = tmp_path_factory.getbasetemp()
    # Where tests run in several processes, these share it, and the work of building it.
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "mini-cache"
    run_m4rag("cache", "build", "--dataset", "mini", M4RAG_CACHE=str(root))
    return root
