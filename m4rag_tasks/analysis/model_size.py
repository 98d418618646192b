"""How many parameters a model has, as far as its name tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from m4rag_tasks.errors import UnknownNameError

_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s?([bm])(?![a-z0-9])", re.I)
_ACTIVE = re.compile(r"(?<![a-z0-9.])a(\d+(?:\.\d+)?)b(?![a-z0-9])", re.I)

KNOWN: Mapping[str, tuple[float, float]] = {
    "idefics2": (8.4, 8.4),
    "llama-4-maverick": (400, 17),
    "llama-4-scout": (109, 17),
    "minicpm-v-2_6": (8.1, 8.1),
    "minicpm-v-4": (4.1, 4.1),
    "phi-3-vision": (4.15, 4.15),
    "phi-3.5-vision": (4.15, 4.15),
    "phi-4-multimodal": (5.6, 5.6),
    "smolvlm-instruct": (2.25, 2.25),
}
"""Billions of parameters, total and active, of models whose names do not say, or say the active ones alone (their
model cards)."""


@dataclass(frozen=True)
class ModelSize:
    """Billions of parameters: all, and those that one token passes through (fewer in a mixture of experts)."""

    total: float
    active: float


def known_sizes(models: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, ModelSize | None]:
    """The size of each model: as given ("7B", "30B-A3B"), else as its name says, else None.

    Raises `UnknownNameError` for a given size that cannot be read or whose model is not there.
    """
    names, given = list(models), given or {}
    for name, text in given.items():
        if name not in names:
            raise UnknownNameError(f"A size is given for {name!r}; the models are {', '.join(names)}.")
        if parse_size(text) is None:
            raise UnknownNameError(f"The size {text!r} of {name} cannot be read. Write it as 7B, 500M or 30B-A3B.")
    return {name: parse_size(given.get(name, name)) for name in names}


def parse_size(name: str) -> ModelSize | None:
    """The size in a model's name or path: "Qwen2.5-VL-7B" 7, "Qwen3-VL-30B-A3B" 30 and 3, "SmolVLM-500M" 0.5.

    None where the name does not say, or says several sizes ("Llama-8B-vs-70B"): a guess would move the fit.
    """
    tail = name.rstrip("/").rpartition("/")[2]
    for known, (total, active) in KNOWN.items():
        if tail.casefold().startswith(known):
            return ModelSize(total, active)
    found = {float(number) * (1.0 if unit in "bB" else 0.001) for number, unit in _SIZE.findall(tail)}
    actives = {float(number) for number in _ACTIVE.findall(tail)}
    if len(found) != 1 or len(actives) > 1 or not min(found) > 0:
        return None
    total = found.pop()
    return ModelSize(total, actives.pop() if actives else total)
