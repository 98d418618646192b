"""What stands between a multimodal encoder and one model: wording, lengths, and the run of a batch."""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from retrieval_cache.device import best_device
from retrieval_cache.encoders.weights import Weights, locate
from retrieval_cache.records import RetrieverSpec

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import PreTrainedTokenizerBase


class Adapter(ABC):
    """One model; loaded when it is first needed, so that finished work can be opened without it."""

    packages: ClassVar[tuple[str, ...]] = ("torch", "transformers", "tokenizers", "Pillow", "numpy")

    def __init__(self, spec: RetrieverSpec, folder: Path | None = None) -> None:
        """`folder` holds the weights where the spec's revision is that of a folder."""
        self.spec, self._folder = spec, folder
        self.device = best_device()
        # bfloat16 is what such models were trained and are evaluated in; few CPUs can multiply in it.
        self.precision = "float32" if self.device == "cpu" else "bfloat16"

    @functools.cached_property
    def weights(self) -> Weights:
        """Where they lie; ModelError if they are not here, or are others than the spec says."""
        return locate(self.spec.revision, self._folder)

    @property
    def dtype(self) -> torch.dtype:
        import torch

        return getattr(torch, self.precision)

    @property
    def memory(self) -> int:
        """About how many bytes of this machine's memory a process takes that embeds with it."""
        # Stored in 16 bits as a rule, and widened for a CPU; on a GPU they only pass through.
        return 2_000_000_000 + self._stored * (2 if self.device == "cpu" else 1)

    @property
    def gpu_memory(self) -> int:
        """About how many bytes the weights take on a GPU; 0 without one."""
        return 0 if self.device == "cpu" else self._stored

    @property
    def _stored(self) -> int:
        return sum(path.stat().st_size for path in self._weight_files())

    def _weight_files(self) -> list[Path]:
        return sorted(self.weights.folder.rglob("*.safetensors"))

    def libraries(self) -> dict[str, str]:
        """Versions and arithmetic that shape the vectors."""
        return {name: version(name) for name in self.packages} | {"precision": self.precision}

    @property
    @abstractmethod
    def dim(self) -> int:
        """Numbers of a vector."""

    @property
    @abstractmethod
    def limit(self) -> int:
        """How many tokens of an item the model reads; the rest is cut off at the end."""

    @abstractmethod
    def query(self, text: str, pictured: bool) -> str:
        """A query as the model reads it."""

    @abstractmethod
    def passage(self, text: str, pictured: bool) -> str:
        """A passage as the model reads it."""

    @abstractmethod
    def tokens(self, texts: Sequence[str], sizes: Sequence[tuple[int, int] | None]) -> list[int]:
        """Length of each item before it is cut; sizes: width and height of its picture."""

    @abstractmethod
    def embed(self, texts: Sequence[str], images: Sequence[Image.Image] | None, asked: bool) -> torch.Tensor:
        """float32 [n, dim] of length 1; either every item has a picture or none has. asked: they are queries."""


def without_markup(tokenizer: PreTrainedTokenizerBase) -> Callable[[str], str]:
    """A function that takes a model's own tokens out of a text: data must not speak in its markup.

    `<|image|>` in a passage would ask for a picture. Such words are kept, with a space after their first letter.
    """
    tokens = sorted(map(str, tokenizer.get_added_vocab()), key=len, reverse=True)
    if not tokens:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, tokens)))
    return lambda text: pattern.sub(lambda token: f"{token[0][0]} {token[0][1:]}", text)
