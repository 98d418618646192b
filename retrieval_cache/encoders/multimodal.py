"""What the encoders of pictures and text share; what a model wants is its adapter's business.

An adapter says how a query and a passage read for its model, how many tokens
they take, and embeds a batch. Here pictures are found and read (`pictures.py`), items
are batched (`batches.py`), and a batch that does not fit into the device's memory
is split in two until it does.

Rows do not depend on what else is in a call, up to the rounding of the model's
arithmetic: about 1e-6 in float32, 1e-2 in bfloat16. The same call on the same
machine and libraries gives the same bytes; the build makes the same calls
however often it is stopped.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrieval_cache.encoders.adapter import Adapter
from retrieval_cache.encoders.batches import make_batches
from retrieval_cache.encoders.pictures import read_pictures
from retrieval_cache.encoders.weights import ModelError
from retrieval_cache.images import image_size, is_remote, query_image, resolve_image
from retrieval_cache.records import CorpusError, Passage, Query, RetrieverSpec
from retrieval_cache.specs import passage_input

if TYPE_CHECKING:
    from PIL import Image

_CALL = 1024  # items a call should get: what the sorting by length has to choose from
_MOST = 64  # items of a batch, whose pictures are in memory together
_LIMITS = {"cpu": 8_192, "cuda": 65_536}  # tokens of a batch, by device


@dataclass(frozen=True)
class Item:
    """What is embedded: text as the model reads it, the picture's file if any; `owner` is named in errors."""

    text: str
    image: Path | None
    owner: str
    asked: bool  # a query, not a passage


class MultimodalEncoder:
    """Encoder over an adapter: queries of text and picture, passages of text and, if asked for, a picture."""

    uses_images = True
    batch = _CALL

    def __init__(self, spec: RetrieverSpec, adapter: Adapter, batch_tokens: int | None = None) -> None:
        self.name, self._params, self._adapter = spec.name, spec.params, adapter
        self.passage_images = bool(spec.params["passage_images"])
        # Positions of the smallest batch that the device could not hold, by whether it had pictures.
        self._too_large = {True: math.inf, False: math.inf}
        self._batch_tokens = batch_tokens or _LIMITS.get(adapter.device.partition(":")[0], _LIMITS["cuda"])

    @property
    def dim(self) -> int:
        return self._adapter.dim

    @property
    def memory(self) -> int:
        return self._adapter.memory

    @property
    def gpu_memory(self) -> int:
        return self._adapter.gpu_memory

    def encode_queries(self, queries: Sequence[Query]) -> np.ndarray:
        return self.encode(self.query_items(queries))

    def encode_passages(self, passages: Sequence[Passage], image_root: Path | None) -> np.ndarray:
        return self.encode(self.passage_items(passages, image_root))

    def query_items(self, queries: Sequence[Query]) -> list[Item]:
        """The queries as the model reads them."""
        items = []
        for query in queries:
            image = query_image(query)
            items.append(Item(self._adapter.query(query.text, image is not None), image, f"query {query.id!r}", True))
        return items

    def passage_items(self, passages: Sequence[Passage], image_root: Path | None) -> list[Item]:
        """The passages as the model reads them; a picture that is a url counts as none."""
        items = []
        for passage in passages:
            owner, image = f"passage {passage.id!r}", None
            seen = self.passage_images and image_root is not None and passage.image
            if seen and not is_remote(passage.image):
                image = resolve_image(image_root, passage.image, owner)
            text = passage_input(self._params, passage.title, passage.text)
            items.append(Item(self._adapter.passage(text, image is not None), image, owner, False))
        return items

    def libraries(self) -> dict[str, str]:
        return self._adapter.libraries()

    def encode(self, items: Sequence[Item]) -> np.ndarray:
        """float32 [n, dim], a row of length 1 for each item in their order; all are queries or all are passages."""
        tokens, batches = self.batches(items)
        vectors = np.empty((len(items), self.dim), np.float32)
        pictures = _pictures([items[number] for batch in batches for number in batch])
        for batch in batches:
            chosen = [items[number] for number in batch]
            longest = max(tokens[number] for number in batch)
            vectors[batch] = self._embed(chosen, [next(pictures) for item in chosen if item.image], longest)
        return vectors

    def batches(self, items: Sequence[Item]) -> tuple[list[int], list[list[int]]]:
        """Tokens that the model reads of each item, and the items of each batch."""
        tokens = self._lengths(items)
        return tokens, make_batches(tokens, [item.image is not None for item in items], self._batch_tokens, _MOST)

    def _lengths(self, items: Sequence[Item]) -> list[int]:
        """Tokens that the model reads of each item; says when it does not read all of one."""
        tokens = self._adapter.tokens([item.text for item in items], [_sized(item) for item in items])
        limit = self._adapter.limit
        long = [number for number, count in enumerate(tokens) if count > limit]
        if long:
            worst = max(long, key=tokens.__getitem__)
            warnings.warn(
                f"{self.name} reads {limit} tokens and {len(long)} of {len(items)} items are longer, such as "
                f"{items[worst].owner} with {tokens[worst]}: their ends are cut off. Cut passages shorter.",
                stacklevel=3,
            )
        return [min(count, limit) for count in tokens]

    def _embed(self, items: Sequence[Item], pictures: Sequence[Image.Image], longest: int) -> np.ndarray:
        """One batch; halves of it if it does not fit into memory. Either all items have a picture or none has.

        What did not fit once is not tried again: later batches of that size, in positions, are halved at once.
        """
        pictured, size = bool(pictures), len(items) * longest
        if len(items) == 1 or size < self._too_large[pictured]:
            try:
                texts = [item.text for item in items]
                return self._adapter.embed(texts, pictures or None, items[0].asked).numpy(force=True)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                if len(items) == 1:
                    raise ModelError(
                        f"{self.name}: {items[0].owner} alone does not fit into the memory of {self._adapter.device}.",
                        "Use a device with more memory, or a smaller model.",
                    ) from error
            self._too_large[pictured] = size
        half = len(items) // 2
        parts = (slice(half), slice(half, None))
        return np.concatenate([self._embed(items[part], pictures[part], longest) for part in parts])


def _pictures(items: Sequence[Item]) -> Iterator[Image.Image]:
    """The pictures of those items that have one, in their order, read ahead of the model."""
    with_one = [item for item in items if item.image is not None]
    for item, picture in zip(with_one, read_pictures([item.image for item in with_one]), strict=True):
        if isinstance(picture, CorpusError):
            raise _of(item, picture) from picture
        yield picture


def _sized(item: Item) -> tuple[int, int] | None:
    """Width and height of an item's picture; an error names the item too."""
    try:
        return image_size(item.image) if item.image else None
    except CorpusError as error:
        raise _of(item, error) from error


def _of(item: Item, error: CorpusError) -> CorpusError:
    return CorpusError(f"{item.owner}: {error.message}", error.fix)


def _out_of_memory(error: BaseException) -> bool:
    """CUDA has a type for it, the CPU's allocator only words."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)
