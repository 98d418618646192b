"""What the harness noted about a run beside its samples: `<date>_results.json`.

It says which model ran, with which arguments, how many questions each task has
and whether only a part of them was asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Where a model ran, over which line and how fast, does not change which model it is.
_PLACEMENT = re.compile(
    r"""
    device | device_map | threads | num_(cpus|gpus|workers|concurrent) | max_concurrent | (max_)?batch_size
    | base_url | api_base | api_version | azure_openai | host | port | httpx_trust_env
    | timeout | max_retries | retry_backoff_s | adaptive_\w+ | prefix_aware_queue | prefix_hash_chars
    | (tensor|pipeline|data)_parallel_size | gpu_memory_utilization | disable_log_stats
    | use_cache | cache_(dir|path|folder|root) | (download|work|log)_dir | offload_folder | trust_remote_code
    | responses
    """,
    re.VERBOSE,
)
_NAMED = ("m4rag_replay", "m4rag_reader")
"""Our models that are told their name."""
_SECRET = re.compile(r"(api_?key|token|secret|password|credentials?)$", re.IGNORECASE)
_UNKNOWN = "not known"


@dataclass(frozen=True)
class ModelIdentity:
    """A model as it was run: two runs that differ in an argument that shapes answers are two models."""

    name: str
    arguments: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RunFacts:
    """The facts of one start of the harness; empty where the file is missing."""

    identity: ModelIdentity
    version: str = _UNKNOWN
    limit: str | None = None
    questions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Per task: how many questions it has, and how many were to be asked."""


def read_facts(path: Path, folder_name: str) -> tuple[RunFacts, str | None]:
    """The facts in a results file, and what is wrong with it (None where nothing is)."""
    unknown = RunFacts(ModelIdentity(folder_name, ()))
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return unknown, "is missing, so the model's arguments and the number of questions are not known"
    except (OSError, ValueError, RecursionError):
        return unknown, "cannot be read, so the model's arguments and the number of questions are not known"
    if not isinstance(content, dict):
        return unknown, "is not a JSON object, so the model's arguments and the number of questions are not known"
    config = mapping(content.get("config"))
    return RunFacts(
        identity=_identity(content, config, folder_name),
        version=_version(content),
        limit=_limit(config),
        questions=_questions(content.get("n-samples")),
    ), None


def task_config(path: Path, task: str) -> Mapping[str, Any]:
    """What the harness noted of one task in a results file; empty where it cannot be read, as `read_facts` says."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return mapping(mapping(mapping(content).get("configs")).get(task))


def _version(content: Mapping[str, Any]) -> str:
    """lmms-eval's version: of the installed package, as our tasks note it, else what the harness says."""
    # The harness itself knows only git checkouts: "unknown@unknown" for an installed package.
    for config in mapping(content.get("configs")).values():
        noted = mapping(mapping(mapping(config).get("metadata")).get("versions")).get("lmms-eval")
        if noted:
            return str(noted)
    return str(content.get("lmms_eval_version") or _UNKNOWN)


def labels(identities: Sequence[ModelIdentity]) -> dict[ModelIdentity, str]:
    """A short, distinct label per model: its name, and where names agree the arguments that differ."""
    by_name: dict[str, list[ModelIdentity]] = {}
    for identity in identities:
        by_name.setdefault(identity.name, []).append(identity)
    named: dict[ModelIdentity, str] = {}
    for name, group in by_name.items():
        differing = _differing([dict(identity.arguments) for identity in group])
        for identity in group:
            arguments = dict(identity.arguments)
            told = ", ".join(f"{key}={shortened(arguments.get(key, 'not set'))}" for key in differing)
            named[identity] = f"{name} ({told})" if told else name
    return _numbered(named)


def _numbered(named: Mapping[ModelIdentity, str]) -> dict[ModelIdentity, str]:
    """Labels that a shortened path made equal, told apart by a number."""
    by_label: dict[str, list[ModelIdentity]] = {}
    for identity, label in named.items():
        by_label.setdefault(label, []).append(identity)
    return {
        identity: label if len(group) == 1 else f"{label} #{number}"
        for label, group in by_label.items()
        for number, identity in enumerate(sorted(group, key=lambda one: one.arguments), start=1)
    }


def shortened(value: str) -> str:
    """A path without the folders that lead there: a report is made to be passed on.

    `org/model` is a name and not a path.
    """
    parts = re.split(r"[/\\]+", value.rstrip("/\\"))
    is_path = value.startswith(("/", "~", ".", "\\")) or re.match(r"\w+:[/\\]", value) or len(parts) > 2
    return parts[-1] or value if is_path else value


def _differing(arguments: list[dict[str, str]]) -> list[str]:
    keys = sorted({key for mapping in arguments for key in mapping})
    return [key for key in keys if len({mapping.get(key) for mapping in arguments}) > 1]


def _identity(content: Mapping[str, Any], config: Mapping[str, Any], folder_name: str) -> ModelIdentity:
    arguments = _arguments(config.get("model_args"))
    for key in ("model", "gen_kwargs"):
        if config.get(key):
            arguments[key] = str(config[key])
    if content.get("system_instruction_sha"):
        arguments["system_instruction"] = str(content["system_instruction_sha"])[:12]
    if (model := config.get("model")) in _NAMED:
        # The harness takes the model's name from any argument that looks like one; here it is said.
        name = arguments.pop("name", str(model))
    else:
        name = str(content.get("model_name") or model or folder_name)
    return ModelIdentity(shortened(name), tuple(sorted(arguments.items())))


def _arguments(model_args: object) -> dict[str, str]:
    """The arguments that make the model what it is, as a mapping: no placement, no secrets."""
    if isinstance(model_args, dict):
        pairs = {str(key): str(value) for key, value in model_args.items()}
    else:
        pairs = _split(str(model_args or ""))
    return {key: value for key, value in pairs.items() if not _is_aside(key)}


def _is_aside(key: str) -> bool:
    # What opens an account must not reach a report that is passed on.
    return bool(_PLACEMENT.fullmatch(key) or _SECRET.search(key))


def _split(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    last = ""
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if equals:
            last = key.strip()
            pairs[last] = value.strip()
        elif last:
            # A value may hold commas itself: the rest of it follows.
            pairs[last] += f",{part}"
    return pairs


def _limit(config: Mapping[str, Any]) -> str | None:
    limit, offset = config.get("limit"), config.get("offset")
    told = [] if limit in (None, -1) else [f"limit {limit:g}" if isinstance(limit, int | float) else f"limit {limit}"]
    if offset:
        told.append(f"offset {offset}")
    return ", ".join(told) or None


def _questions(counts: object) -> dict[str, tuple[int, int]]:
    return {
        task: (count["original"], count["effective"])
        for task, count in mapping(counts).items()
        if isinstance(count, dict) and all(isinstance(count.get(key), int) for key in ("original", "effective"))
    }


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
