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
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m4rag_tasks.suite import TASKS_FOLDER

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest

# They never look at images.
OUR_MODELS = {
    "m4rag_reader": "m4rag_tasks.models.reader.Reader",
    "m4rag_overlap_judge": "m4rag_tasks.models.overlap_judge.OverlapJudge",
    "m4rag_replay": "m4rag_tasks.models.replay.Replay",
}

KEPT_AT_ONCE = 512
"""Requests that a run under `--use_cache` may lose when it is killed: few, and enough for a server's batches."""

logger = logging.getLogger(__name__)


def register() -> list[ModelManifest]:
    """Our models for lmms-eval's registry; as a side effect its task index learns our tasks."""
    try:
        from lmms_eval.models.registry_v2 import ModelManifest

        _index_our_tasks()
        _keep_answers_in_blocks()
        return [ModelManifest(model_id=name, simple_class_path=path) for name, path in OUR_MODELS.items()]
    except Exception as error:
        logger.warning("m4rag tasks are not available: %s. Check with: m4rag tasks", error)
        return []


def _index_our_tasks() -> None:
    from lmms_eval import utils
    from lmms_eval.tasks import TaskManager

    if getattr(TaskManager.initialize_tasks, "m4rag", False):
        return
    initialize_tasks, match_tasks = TaskManager.initialize_tasks, TaskManager.match_tasks
    load_yaml_config = utils.load_yaml_config

    @functools.wraps(initialize_tasks)
    def initialize_with_ours(self: Any, include_path: Any = None, *args: Any, **kwargs: Any) -> dict[str, Any]:
        theirs = initialize_tasks(self, include_path, *args, **kwargs)
        folders = [include_path] if isinstance(include_path, str) else list(include_path or [])
        return _with_ours(theirs, [Path(folder) for folder in folders])

    @functools.wraps(load_yaml_config)
    def load_with_our_bases(yaml_path: Any = None, *args: Any, **kwargs: Any) -> Any:
        return load_yaml_config(_found_base(yaml_path), *args, **kwargs)

    @functools.wraps(match_tasks)
    def match_and_check(self: Any, task_list: list[str]) -> list[str]:
        names = _meant(task_list, match_tasks(self, task_list))
        ours = [name for name in names if name.startswith("m4rag_")]
        if ours:
            _check_before_model_loads({name: self.task_index[name]["yaml_path"] for name in ours}, self.model_name)
        return names

    initialize_with_ours.m4rag = True  # type: ignore[attr-defined]
    TaskManager.initialize_tasks = initialize_with_ours
    TaskManager.match_tasks = match_and_check
    utils.load_yaml_config = load_with_our_bases


def _keep_answers_in_blocks() -> None:
    """Let `--use_cache` keep the answers to our tasks as they come.

    The harness asks all requests of a command in one call of the model and keeps answers only when that
    returns, so a run that is killed loses all of them. Its own cache does the rest: `LMMS_CACHE_RUN_ID`
    names the run that is gone on with. What the harness appends so that all processes ask equally often
    (`__padding_only__`) stays with the last block: a copy of an answered request would be answered from the cache.
    """
    try:
        from lmms_eval.caching.response_cache import ResponseCache

        execute = ResponseCache.execute
    except (ImportError, AttributeError) as error:
        logger.warning("--use_cache keeps answers only at the end of a command: %s.", error)
        return
    if getattr(execute, "m4rag", False):
        return

    @functools.wraps(execute)
    def execute_in_blocks(self: Any, lm: Any, reqtype: str, requests: list[Any]) -> list[Any]:
        if not any(str(request.task_name).startswith("m4rag_") for request in requests):
            return execute(self, lm, reqtype, requests)
        return [answer for block in _blocks(requests) for answer in execute(self, lm, reqtype, block)]

    execute_in_blocks.m4rag = True  # type: ignore[attr-defined]
    ResponseCache.execute = execute_in_blocks


def _blocks(requests: list[Any]) -> list[list[Any]]:
    """The requests in blocks of `KEPT_AT_ONCE`, in their order; those that only fill up are in the last one."""
    own = sum(not (request.metadata or {}).get("__padding_only__") for request in requests)
    ends = [*range(KEPT_AT_ONCE, own, KEPT_AT_ONCE), len(requests)]
    return [requests[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _with_ours(theirs: dict[str, Any], folders: list[Path]) -> dict[str, Any]:
    """The harness's index with our tasks; `folders` are the user's own, which may hold further varieties."""
    try:
        from m4rag_tasks.images import show_images
        from m4rag_tasks.index import joined, our_index
        from m4rag_tasks.outside import use_folders

        # A new start: the harness indexes tasks before it makes the model, which may be another one.
        show_images(True)
        use_folders(folders)
        return joined(theirs, our_index(TASKS_FOLDER))
    except Exception as error:
        logger.warning("m4rag tasks are not available: %s. Check with: m4rag tasks", error)
        return theirs


def _meant(patterns: str | list[str], names: list[str]) -> list[str]:
    """The names without our tasks that a wildcard fits and does not mean."""
    from m4rag_tasks.suite import matching

    asked = [patterns] if isinstance(patterns, str) else patterns
    meant = {name for pattern in asked for name in matching(pattern, names)}
    return [name for name in names if name in meant or not name.startswith("m4rag_")]


def _found_base(yaml_path: Any) -> Any:
    """A YAML outside this package includes one of our bases by name alone: where that base lies."""
    path = Path(yaml_path) if yaml_path else None
    if path is None or not path.name.startswith("_m4rag_") or path.exists():
        return yaml_path
    from m4rag_tasks.index import bases

    return str(TASKS_FOLDER / bases()[path.name]) if path.name in bases() else yaml_path


def _check_before_model_loads(paths: Mapping[str, Any], model: str | None) -> None:
    """Stop at once if a chosen task cannot run; the harness would load the model first.

    `paths` are the YAML files of the tasks by name; -1 for tags, which have none.
    """
    from m4rag_tasks.errors import M4ragError
    from m4rag_tasks.preflight import stop_unless_ready
    from m4rag_tasks.suite import all_tasks, groups

    try:
        # Of a user's own file under a name of ours we know nothing.
        shadowed = [
            name
            for name, path in paths.items()
            if path != -1 and TASKS_FOLDER not in Path(path).parents and (name in all_tasks() or name in groups())
        ]
    except M4ragError as error:
        raise SystemExit(f"m4rag: {error}") from error
    stop_unless_ready([name for name in paths if name not in shadowed], images=model not in OUR_MODELS)
