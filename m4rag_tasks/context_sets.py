"""Context sets: which there are, where they lie, and which one is in use.

A set is a JSONL file of {"question_id", "text"} of one kind. Several of a kind can lie
side by side, each under a name and with a manifest that says who wrote it:

    contexts/<kind>.jsonl           the set without a name
    contexts/<kind>/<name>.jsonl    a named set; contexts/<kind>/<name>.json is its manifest

`contexts/` is in the data set's own folder, or below the folder that `M4RAG_CONTEXTS` names.
The bundled benchmark's own sets have no name; what is imported for it goes to `M4RAG_CONTEXTS`
or the user's data folder. `M4RAG_CONTEXT_SETS=caption=NAME,cvqa:oracle=NAME` says which named
sets are used; otherwise the one without a name is, or else the only one that there is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from m4rag_tasks import sources
from m4rag_tasks.errors import ContextError
from m4rag_tasks.suite import DATASETS, WRITING, Dataset

CONTEXTS_VARIABLE = "M4RAG_CONTEXTS"
SETS_VARIABLE = "M4RAG_CONTEXT_SETS"
KINDS = tuple(writing.makes for writing in WRITING.values())
FORMAT = 1
"""Of manifests."""
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True)
class ContextSet:
    """One set of texts of a data set; `name` is None for the one without a name."""

    dataset: Dataset
    kind: str
    name: str | None
    path: Path

    @property
    def title(self) -> str:
        """How records, manifests and commands name it, e.g. `cvqa:caption:qwen2.5-vl-72b`."""
        return ":".join(part for part in (self.dataset.codes, self.kind, self.name) if part)

    @property
    def manifest_path(self) -> Path:
        """Where its manifest is; a set without a name may have none."""
        return self.path.with_name(f"{self.name or self.kind}.json")

    def manifest(self) -> dict[str, Any] | None:
        """What is known of its making; None where nobody noted it. Raises `ContextError` for a broken file."""
        try:
            value = json.loads(self.manifest_path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise ContextError(
                f"The manifest {self.manifest_path} cannot be read ({error}). Import the set again under another name."
            ) from error
        if not isinstance(value, dict) or not isinstance(value.get("sha256"), str):
            raise ContextError(f"{self.manifest_path} is no manifest of a context set. Import the set again.")
        if value.get("format") != FORMAT:
            raise ContextError(
                f"{self.manifest_path} has the format {value.get('format')!r}, and this version reads {FORMAT}."
                " Install the m4rag-tasks that wrote it, or import the samples under another name."
            )
        return value


def sets_folder(dataset: Dataset) -> Path:
    """The folder of a data set's named sets, there or not."""
    place = Path(dataset.local[0]).parent.name or dataset.key
    if named := sources.named_folder(CONTEXTS_VARIABLE):
        return named / place
    # What is bundled may be installed where nobody can write.
    home = sources.home(dataset) if dataset.hub_id else None
    return home / "contexts" if home else user_data_path("m4rag") / "contexts" / place


def unnamed(dataset: Dataset, kind: str) -> ContextSet:
    """The set without a name, there or not."""
    bundled = sources.home(dataset) if dataset.hub_id is None else None
    folder = bundled / "contexts" if bundled else sets_folder(dataset)
    return ContextSet(dataset, kind, None, folder / f"{kind}.jsonl")


def named(dataset: Dataset, kind: str, name: str) -> ContextSet:
    """The set with this name, there or not. Raises `ContextError` for what can be no name."""
    if not NAME.fullmatch(name):
        raise ContextError(
            f"{name!r} cannot name a context set: small letters, digits, '.', '_' and '-', a letter or digit first."
        )
    return ContextSet(dataset, kind, name, sets_folder(dataset) / kind / f"{name}.jsonl")


def all_sets(dataset: Dataset, kind: str) -> list[ContextSet]:
    """Every set of this kind that is there, the one without a name first. A named one is there with its manifest."""
    first = unnamed(dataset, kind)
    manifests = sorted((sets_folder(dataset) / kind).glob("*.json"))
    found = [named(dataset, kind, path.stem) for path in manifests if NAME.fullmatch(path.stem)]
    return [*([first] if first.path.is_file() else []), *found]


def in_use(dataset: Dataset, kind: str) -> ContextSet:
    """The set that tasks read. Raises `ContextError` if it is not there, or if nothing says which of several."""
    chosen = _chosen()
    name = chosen.get(f"{dataset.codes}:{kind}", chosen.get(kind))
    if name is not None:
        asked = named(dataset, kind, name)
        if asked.manifest_path.is_file():
            return asked
        there = ", ".join(one.name for one in all_sets(dataset, kind) if one.name) or "none"
        raise ContextError(
            f"{SETS_VARIABLE} names the {kind} set {name!r} of {dataset.title}, and there is no {asked.path} with a"
            f" manifest. Named sets there: {there}. Correct the name, or import the set: m4rag context import"
        )
    first = unnamed(dataset, kind)
    found = [] if first.path.is_file() else all_sets(dataset, kind)
    if len(found) > 1:
        raise ContextError(
            f"{dataset.title} has {len(found)} {kind} sets: {', '.join(str(one.name) for one in found)}."
            f" Say which one is used: {SETS_VARIABLE}={dataset.codes}:{kind}={found[0].name}"
        )
    return found[0] if found else first


def by_title(title: str) -> ContextSet:
    """The set with this title that is there. Raises `ContextError`."""
    codes, _, rest = title.partition(":")
    kind, _, name = rest.partition(":")
    for dataset in DATASETS.values():
        if dataset.codes == codes and kind in KINDS:
            found = named(dataset, kind, name) if name else unnamed(dataset, kind)
            if found.path.is_file():
                return found
    raise ContextError(f"There is no context set {title!r}. List them with: m4rag context list")


def _chosen() -> Mapping[str, str]:
    """Names by kind, or by data set and kind. Raises `ContextError` for what says neither."""
    chosen: dict[str, str] = {}
    known = list(dict.fromkeys(dataset.codes for dataset in DATASETS.values()))
    for part in filter(None, map(str.strip, os.environ.get(SETS_VARIABLE, "").split(","))):
        key, equals, name = (side.strip() for side in part.partition("="))
        codes, _, kind = key.rpartition(":")
        if not equals or kind not in KINDS or codes not in ("", *known):
            raise ContextError(
                f"{SETS_VARIABLE} says {part!r}. Write KIND=NAME or DATASET:KIND=NAME, with commas between; the kinds"
                f" are {', '.join(KINDS)}, the data sets {', '.join(known)}."
            )
        chosen[key] = name
    return chosen
