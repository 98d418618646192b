"""Which weights a model has: a commit on the hub, or the fingerprint of a folder.

A revision is written `owner/name@COMMIT` (40 hex digits), or `sha256:…` for a
folder: its path says nothing about what is in it, and is of this machine alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval_cache.files import file_sha256, reading
from retrieval_cache.records import CacheError, RetrieverSpec
from retrieval_cache.specs import HYBRID, MODELS, components, with_weights

_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
# What shapes the vectors: configuration, weights, tokenizer.
_SUFFIXES = {".json", ".safetensors", ".bin", ".model", ".txt", ".jinja"}
_NOT_NEEDED = ["onnx/*", "openvino/*", "*.onnx", "*.h5", "*.msgpack", "*.ot", "pytorch_model*.bin"]


class ModelError(CacheError):
    """A model's weights are not here, cannot be had, or are not the ones that are asked for."""


@dataclass(frozen=True)
class Weights:
    """Weights on this machine, and the revision that names them everywhere."""

    revision: str
    folder: Path


def resolve_weights(model: str, revision: str | None = None) -> Weights:
    """The weights in a folder, or of a hub id at a branch, tag or commit (None: its main branch).

    Raises ModelError if they are not here and cannot be downloaded.
    """
    folder = Path(model)
    if not folder.is_dir():
        if folder.exists() or not _HUB_ID.fullmatch(model):
            raise ModelError(
                f"{model} is {'a file' if folder.exists() else 'not there'}: --model is a folder, or OWNER/NAME on the "
                "hub.",
                "Name the folder that a model's config.json and weights lie in.",
            )
        return _from_hub(model, revision)
    if revision is not None:
        raise ModelError(f"{model} is a folder: it has no revision {revision!r}.", "Leave --revision out.")
    return Weights(fingerprint(folder), folder)


def locate(revision: str, folder: Path | None = None) -> Weights:
    """The weights that a spec's revision names; `folder` is where a folder's weights lie.

    Raises ModelError if they are not here and cannot be downloaded, or if the folder holds other ones.
    """
    name, at, commit = revision.partition("@")
    if at:
        return _from_hub(name, commit)
    if folder is None:
        raise ModelError(
            f"the weights {revision[:19]}… came from a folder, and no folder is named now.",
            "Name it by --model.",
        )
    if (found := fingerprint(folder)) != revision:
        raise ModelError(
            f"the folder {folder} holds other weights ({found[:19]}…) than {revision[:19]}….",
            "Name the folder with those weights, or build with the ones in this folder.",
        )
    return Weights(revision, folder)


def pinned(spec: RetrieverSpec) -> RetrieverSpec:
    """The spec with a commit where its revision names a branch: the newest one, or the one in the hub's local cache.

    Raises ModelError if the weights are not here and cannot be downloaded.
    """
    if spec.name == HYBRID:
        dense = components(spec)["dense"]
        return with_weights(spec, pinned(dense).revision) if dense.name in MODELS else spec
    if spec.name not in MODELS:
        return spec
    name, at, reference = spec.revision.partition("@")
    if not at or _COMMIT.fullmatch(reference):
        return spec
    return with_weights(spec, _from_hub(name, reference).revision)


def fingerprint(folder: Path) -> str:
    """`sha256:` and 64 hex digits over the configuration, weights and tokenizer files of a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        raise ModelError(f"{folder} holds no weights (*.safetensors or *.bin).", "Name the folder of a saved model.")
    digest = hashlib.sha256()
    for name, path in zip(names, paths, strict=True):
        with reading(path):
            digest.update(f"{name}\0{file_sha256(path)}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def read_config(weights: Weights) -> dict[str, Any]:
    """The model's config.json."""
    path = weights.folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}).", "Download the model again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path} is not the configuration of a model.", "Download the model again.")
    return config


def _from_hub(model: str, revision: str | None) -> Weights:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        # Hub errors of all kinds, and those of the connection below them.
        folder = Path(snapshot_download(model, revision=revision, ignore_patterns=_NOT_NEEDED))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise _not_here(model, revision, error) from error
    if not _COMMIT.fullmatch(folder.name):
        raise ModelError(f"{folder} is not named by a commit.", "Download the model again.")
    if not (folder / "config.json").is_file():
        raise _not_here(model, folder.name, FileNotFoundError("config.json"))
    return Weights(f"{model}@{folder.name}", folder)


def _not_here(model: str, revision: str | None, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    at = f" --revision {revision}" if revision else ""
    return ModelError(
        f"the model {model}{f' at {revision}' if revision else ''} is neither on this machine nor can it be "
        f"downloaded ({reason[:200]}).",
        f"On a machine with a connection: hf download {model}{at}; then take the hub cache (HF_HOME) along, "
        "or name the folder of the model by --model.",
    )
