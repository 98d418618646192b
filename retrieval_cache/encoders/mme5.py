"""mmE5 (`intfloat/mmE5-mllama-11b-instruct`), Llama-3.2-Vision trained to embed; a thin adapter on transformers.

Certain, from the authors' code (github.com/haon-chen/mmE5 at 4818cdf and cf3e216):
- a query with a picture reads `<|image|><|begin_of_text|>Represent the given image with the following question:
  {question}` and a line end, a picture alone `<|image|><|begin_of_text|>Represent the given image.` and a line end;
  a passage is its bare text after `<|begin_of_text|>` (demo.py, LlamaEvalCollator in src/collator.py);
- padding on the right (eval.py), texts cut on the right after 256 tokens (scripts/eval/eval_full.sh);
- the last layer's state at the last token that is not padding, length 1, in bfloat16 (src/model.py, eval.py).

Inferred:
- a batch never mixes items with and without pictures: without one the cross-attention layers are skipped, which
  a mixed batch could not do. The authors' evaluation never met such a batch either;
- a passage with a picture is worded as MMEB words its Wikipedia pages, on which the model was trained;
- a query without a picture is its bare text and a line end: the instruction speaks of an image;
- vectors are brought to length 1 in float32, where the authors do it in bfloat16.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retrieval_cache.encoders.vision_language import VisionLanguageAdapter, last_states

if TYPE_CHECKING:
    import torch
    from PIL import Image


class MmE5(VisionLanguageAdapter):
    """Adapter of mmE5. Its pictures are cut into at most four tiles, which the text attends to from the side."""

    picture = "<|image|><|begin_of_text|>"
    model_type = "mllama"
    model_class = "MllamaForConditionalGeneration"

    def tokens(self, texts: Sequence[str], sizes: Sequence[tuple[int, int] | None]) -> list[int]:
        # The picture has one token in the text; its tiles make no text longer.
        started = [text if size else self._processor.bos_token + text for text, size in zip(texts, sizes, strict=True)]
        return [len(ids) for ids in self.tokenizer(started)["input_ids"]] if started else []

    def embed(self, texts: Sequence[str], images: Sequence[Image.Image] | None, asked: bool) -> torch.Tensor:
        pictures: dict[str, Any] = {}
        if images is not None:
            pictures = {"images": [[image] for image in images], "input_data_format": "channels_last"}
        inputs = self._processor(
            text=list(texts),
            padding=True,
            padding_side="right",
            truncation=True,
            max_length=self.limit,
            return_tensors="pt",
            **pictures,
        )
        return last_states(self.states(**inputs), inputs["attention_mask"])

    @functools.cached_property
    def _processor(self):
        from transformers import MllamaImageProcessorPil, MllamaProcessor

        # Pillow's scaling, as in the authors' runs; the other backend scales a little differently.
        return MllamaProcessor(self.image_processor(MllamaImageProcessorPil), self.tokenizer)
