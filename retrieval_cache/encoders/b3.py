"""B3 (`raghavlite/B3_Qwen2_7B` and `_2B`), a LoRA adapter of Qwen2-VL trained to embed, on transformers and PEFT.

Certain, from the authors' code (github.com/raghavlite/B3 at 9a7501f and e86b10d):
- raw text without a chat template; `<|image_pad|>` and a line end in front of it where there is a picture, no
  `<|vision_start|>` or `<|vision_end|>` (src/data/dataset/mmeb_dataset.py, src/model/processor.py);
- because `<|vision_start|>` is missing, the authors' model gives the tokens of a picture positions one after the
  other, like text, and not by row and column (get_rope_index in src/model/vlm_backbone/qwen2_vl/
  modeling_qwen2_vl.py). Today's transformers would go by row and column: positions are given explicitly here;
- texts with a picture are never cut, others at the limit of the tokenizer (Qwen2_VL_process_fn, processor.py);
- a picture with a side under 28 pixels becomes 56 × 56; one over 200 times as long as wide a square; all others
  are scaled to 4 … 1280 patches of 28 × 28 (processor.py, image_processing_qwen2_vl.py, arguments.py);
- the last layer's state at the last position, length 1, in bfloat16; padding on the left (src/model/model.py);
- the adapter is merged into the weights (model.py). There it is loaded three times over the same modules; here once.

Inferred:
- the wording of queries and passages, from MMEB, on which B3 was trained: the same as mmE5's. The `Represent the
  answer: ` of tgt_prefix_mod is for short answers and is not used for passages;
- padding on the left comes from Qwen2-VL's tokenizer file, which was not at hand. The side changes no vector;
- vectors are brought to length 1 in float32, where the authors do it in bfloat16.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from retrieval_cache.encoders.vision_language import VisionLanguageAdapter

if TYPE_CHECKING:
    import torch
    from PIL import Image

_SMALLEST = 28  # pixels: the side of a patch of four
_TOO_LONG = 200  # times as long as wide
_EMPTY = "  "  # what the authors' collator embeds where there is no text (eval_collator.py): two spaces


class B3(VisionLanguageAdapter):
    """Adapter of B3: its weights are a LoRA adapter that names its base model, or merged already."""

    picture = "<|image_pad|>\n"
    model_type = "qwen2_vl"
    adapts = True
    model_class = "Qwen2VLForConditionalGeneration"
    # The authors' copy of Qwen2-VL names modules as transformers did before 4.52; adapters hold such names.
    old_names: ClassVar = {
        r"^model\.(?=layers\.|embed_tokens\.|norm\.)": "model.language_model.",
        r"^visual\.": "model.visual.",
    }

    def passage(self, text: str, pictured: bool) -> str:
        return super().passage(text, pictured) or _EMPTY

    def tokens(self, texts: Sequence[str], sizes: Sequence[tuple[int, int] | None]) -> list[int]:
        words = [len(ids) for ids in self.tokenizer(list(texts))["input_ids"]] if texts else []
        return [count + self._picture_tokens(size) for count, size in zip(words, sizes, strict=True)]

    def embed(self, texts: Sequence[str], images: Sequence[Image.Image] | None, asked: bool) -> torch.Tensor:
        import torch

        ids = self.tokenizer(list(texts), truncation=images is None, max_length=self.limit)["input_ids"]
        pictures: dict[str, Any] = {}
        if images is not None:
            shaped = [_reshaped(image) for image in images]
            pictures = self._pictures(shaped, return_tensors="pt", input_data_format="channels_last")
            counts = pictures["image_grid_thw"].prod(dim=1) // self._pictures.merge_size**2
            ids = [self._with_picture(row, count) for row, count in zip(ids, counts.tolist(), strict=True)]
        inputs = self.tokenizer.pad({"input_ids": ids}, padding_side="left", return_tensors="pt")
        mask = inputs["attention_mask"]
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        states = self.states(
            input_ids=inputs["input_ids"], attention_mask=mask, position_ids=positions.expand(3, -1, -1), **pictures
        )
        return torch.nn.functional.normalize(states[:, -1].float(), dim=-1)

    @functools.cached_property
    def _pictures(self):
        from transformers import Qwen2VLImageProcessorPil

        params = self.spec.params
        size = {"shortest_edge": params["min_pixels"], "longest_edge": params["max_pixels"]}
        # Pillow's scaling, as in the authors' copy; the other backend scales a little differently.
        return self.image_processor(Qwen2VLImageProcessorPil, size=size)

    @functools.cached_property
    def _picture_id(self) -> int:
        return self.tokenizer.convert_tokens_to_ids("<|image_pad|>")

    def _with_picture(self, ids: list[int], count: int) -> list[int]:
        """The tokens of a text with that of its picture repeated for every piece of it."""
        place = ids.index(self._picture_id)
        return [*ids[:place], *[self._picture_id] * count, *ids[place + 1 :]]

    def _picture_tokens(self, size: tuple[int, int] | None) -> int:
        """How many tokens a picture of that width and height adds to the one that is in the text."""
        if size is None:
            return 0
        width, height = _target(*size)
        return self._pictures.get_number_of_image_patches(height, width, {}) // self._pictures.merge_size**2 - 1


def _reshaped(image: Image.Image) -> Image.Image:
    target = _target(*image.size)
    return image if target == image.size else image.resize(target)


def _target(width: int, height: int) -> tuple[int, int]:
    """The size that a picture is brought to before the image processor scales it."""
    if min(width, height) < _SMALLEST:
        return 2 * _SMALLEST, 2 * _SMALLEST
    if max(width, height) > _TOO_LONG * min(width, height):
        # The authors' square has the longer side, which may be gigabytes; it is scaled down to this size anyway.
        side = min(max(width, height), 1288)
        return side, side
    return width, height
