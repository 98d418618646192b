"""Any embedder of text and pictures in the layout of sentence-transformers (5.4 or newer): a row of data each.

The model's own files say how items are worded (a chat template, mostly),
pooled and cut; the instruction of the spec goes in front of queries as the
library's `prompt`. A folder or repository without that layout is refused: the
library would guess mean pooling, which is wrong for every model named here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval_cache.encoders.adapter import Adapter, without_markup
from retrieval_cache.encoders.weights import ModelError

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from sentence_transformers import SentenceTransformer


class SentenceTransformerAdapter(Adapter):
    """Adapter over `sentence_transformers.SentenceTransformer`."""

    packages = (*Adapter.packages, "sentence-transformers")

    @functools.cached_property
    def dim(self) -> int:
        # What is too large for this machine is refused before it is loaded, and its size depends on this.
        return _pooled(self.weights.folder) or int(self._model.get_embedding_dimension())

    @property
    def limit(self) -> int:
        return int(self._model.max_seq_length or self._model.tokenizer.model_max_length)

    def query(self, text: str, pictured: bool) -> str:
        return self._plain(text)

    def passage(self, text: str, pictured: bool) -> str:
        return self._plain(text)

    def tokens(self, texts: Sequence[str], sizes: Sequence[tuple[int, int] | None]) -> list[int]:
        """Text alone: how a picture is cut up is known to the model's processor only."""
        return [len(ids) for ids in self._model.tokenizer(list(texts))["input_ids"]] if texts else []

    def embed(self, texts: Sequence[str], images: Sequence[Image.Image] | None, asked: bool) -> torch.Tensor:
        import torch

        # A bare string that looks like an address of a picture would be opened as one: texts are always named as such.
        items = [{"text": text} for text in texts]
        if images is not None:
            items = [{"image": image, **item} for image, item in zip(images, items, strict=True)]
        encode = self._model.encode_query if asked else self._model.encode_document
        vectors = encode(
            items,
            prompt=self.spec.instruction or None if asked else None,
            batch_size=len(items),
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        return torch.nn.functional.normalize(vectors.float(), dim=-1)

    @functools.cached_property
    def _plain(self):
        return without_markup(self._model.tokenizer)

    @functools.cached_property
    def _model(self) -> SentenceTransformer:
        from sentence_transformers import SentenceTransformer

        folder = self.weights.folder
        if not (folder / "modules.json").is_file():
            raise ModelError(
                f"{folder} has no modules.json: the model is not in the layout of sentence-transformers.",
                "Name a revision that has it, or an embedder that this library knows.",
            )
        return SentenceTransformer(
            str(folder),
            device=self.device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": self.dtype, "use_safetensors": True},
        ).eval()


def _pooled(folder: Path) -> int | None:
    """Numbers of a vector as the files of a model say; None where they do not, or something comes after pooling."""
    try:
        modules = json.loads((folder / "modules.json").read_bytes())
        last = [module for module in modules if not module["type"].endswith(".Normalize")][-1]
        config = json.loads((folder / last["path"] / "config.json").read_bytes())
        older = [name for name, chosen in config.items() if name.startswith("pooling_mode_") and chosen is True]
        single = isinstance(config.get("pooling_mode"), str) or len(older) == 1  # else several vectors, joined
        dim = config.get("embedding_dimension", config.get("word_embedding_dimension"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return dim if last["type"].endswith(".Pooling") and single and isinstance(dim, int) else None
