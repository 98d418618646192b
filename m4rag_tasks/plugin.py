"""The entry point by which lmms-eval finds our tasks and models.

lmms-eval 0.7.3 has no way for an installed package to bring tasks, only models
(entry-point group `lmms_eval.models`). Its loader calls `register` whenever the
models package is imported, which every evaluation does before it indexes tasks:
that is the moment to add our folder to the index. An error here would hide every
other plugin's models too, so nothing heavy is imported and nothing may raise.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest

TASKS_FOLDER = Path(__file__).parent / "tasks"

logger = logging.getLogger(__name__)


def register() -> list[ModelManifest]:
    """Our models for lmms-eval's registry; as a side effect its task index learns our tasks."""
    try:
        from lmms_eval.models.registry_v2 import ModelManifest

        _index_our_tasks()
        return [
            ModelManifest(model_id="m4rag_reader", simple_class_path="m4rag_tasks.models.reader.Reader"),
            ModelManifest(model_id="m4rag_replay", simple_class_path="m4rag_tasks.models.replay.Replay"),
        ]
    except Exception as error:
        logger.warning("m4rag tasks are not available: %s. Check with: m4rag tasks", error)
        return []


def _index_our_tasks() -> None:
    from lmms_eval.tasks import TaskManager

    if getattr(TaskManager.initialize_tasks, "m4rag", False):
        return
    initialize_tasks, match_tasks = TaskManager.initialize_tasks, TaskManager.match_tasks

    @functools.wraps(initialize_tasks)
    def initialize_with_ours(self: Any, include_path: Any = None, *args: Any, **kwargs: Any) -> dict[str, Any]:
        from m4rag_tasks.datasets import show_images

        # A new start: the harness indexes tasks before it makes the model, which may be another one.
        show_images(True)
        paths = [include_path] if isinstance(include_path, str) else list(include_path or [])
        # Ours come last: a folder that the user names wins a name clash.
        return initialize_tasks(self, [*paths, str(TASKS_FOLDER)], *args, **kwargs)

    @functools.wraps(match_tasks)
    def match_and_check(self: Any, task_list: list[str]) -> list[str]:
        names = match_tasks(self, task_list)
        _check_before_model_loads([name for name in names if _is_ours(self.task_index[name])])
        return names

    initialize_with_ours.m4rag = True  # type: ignore[attr-defined]
    TaskManager.initialize_tasks = initialize_with_ours
    TaskManager.match_tasks = match_and_check


def _is_ours(entry: dict[str, Any]) -> bool:
    """Whether a task of the harness's index is one of our files (tags have no file: -1)."""
    path = entry["yaml_path"]
    return path == -1 or TASKS_FOLDER in Path(path).parents


def _check_before_model_loads(names: list[str]) -> None:
    """Stop at once if a chosen task cannot run; the harness would load the model first."""
    ours = [name for name in names if name.startswith("m4rag_")]
    if not ours:
        return
    from m4rag_tasks.preflight import stop_unless_ready

    stop_unless_ready(ours)
