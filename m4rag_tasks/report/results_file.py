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

# Where a model ran does not change which model it is.
_PLACEMENT = frozenset({"device", "device_map"})
_SECRET = re.compile(r"(api_?key|token|secret|password|credentials?)$", re.IGNORECASE)
_UNKNOWN = "not known"


@dataclass(frozen=True)
class ModelIdentity:
    """A model as it was run: two runs with another argument are two models."""

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
    config = _mapping(content.get("config"))
    return RunFacts(
        identity=_identity(content, config, folder_name),
        version=_version(content),
        limit=_limit(config),
        questions=_questions(content.get("n-samples")),
    ), None


def _version(content: Mapping[str, Any]) -> str:
    """lmms-eval's version: of the installed package, as our tasks note it, else what the harness says."""
    # The harness itself knows only git checkouts: "unknown@unknown" for an installed package.
    for config in _mapping(content.get("configs")).values():
        noted = _mapping(_mapping(_mapping(config).get("metadata")).get("versions")).get("lmms-eval")
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
            told = ", ".join(f"{key}={arguments.get(key, 'not set')}" for key in differing)
            named[identity] = f"{name} ({told})" if told else name
    return named


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
    name = str(content.get("model_name") or config.get("model") or folder_name)
    if name.startswith(("/", "~", ".")):
        name = Path(name).name or name
    return ModelIdentity(name, tuple(sorted(arguments.items())))


def _arguments(model_args: object) -> dict[str, str]:
    """The model's arguments as a mapping, without placement and secrets."""
    if isinstance(model_args, dict):
        pairs = {str(key): str(value) for key, value in model_args.items()}
    else:
        pairs = _split(str(model_args or ""))
    # A report is made to be passed on: what opens an account must not reach it.
    return {key: value for key, value in pairs.items() if key not in _PLACEMENT and not _SECRET.search(key)}


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
        for task, count in _mapping(counts).items()
        if isinstance(count, dict) and all(isinstance(count.get(key), int) for key in ("original", "effective"))
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
