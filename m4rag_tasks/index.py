"""The harness's task index of our files, from the grid instead of from the files.

lmms-eval parses every YAML below a task folder for every command, a few
milliseconds each; for thousands of leaves that would be most of its start. What
it looks for (names, groups, tags) the grid knows already. A test holds this equal
to what the harness itself reads from the files.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m4rag_tasks.suite import all_tasks, tag
from m4rag_tasks.task_files import base_name, folder_of, paths

logger = logging.getLogger(__name__)

Index = dict[str, dict[str, Any]]


def our_index(folder: Path) -> Index:
    """What `TaskManager` indexes of the task YAMLs in `folder`: leaves, groups and tags by name."""
    index: Index = {}
    for name, path in paths().items():
        if name in all_tasks():
            index[name] = {"type": "task", "yaml_path": str(folder / path)}
        else:
            index[name] = {"type": "group", "task": -1, "yaml_path": str(folder / path)}
    for task in all_tasks().values():
        for group in task.groups:
            entry = index.setdefault(tag(group), {"type": "tag", "task": [], "yaml_path": -1})
            entry["task"].append(task.name)
    return index


@functools.cache
def bases() -> dict[str, Path]:
    """Where each base that leaves include lies, relative to `tasks/`, by file name."""
    return {base_name(task): folder_of(task) / base_name(task) for task in all_tasks().values()}


def joined(theirs: Mapping[str, Mapping[str, Any]], ours: Index) -> Index:
    """Both indexes in one; the user's own files win a clash of names, tags hold the leaves of both."""
    index: Index = {**ours, **{name: dict(entry) for name, entry in theirs.items()}}
    for name in sorted(theirs.keys() & ours.keys()):
        if theirs[name]["type"] == ours[name]["type"] == "tag":
            index[name]["task"] = [*ours[name]["task"], *theirs[name]["task"]]
        else:
            logger.warning("%s is taken from %s, not from this suite.", name, theirs[name]["yaml_path"])
    return index
