"""What mmE5 and B3 have in common: how they are loaded and run, and the words of MMEB that both were trained on."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from retrieval_cache.encoders.adapter import Adapter, without_markup
from retrieval_cache.encoders.weights import ModelError, Weights, read_config, resolve_weights

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ADAPTER = "adapter_config.json"


def query_with_picture(instruction: str, text: str) -> str:
    """A question about a picture as MMEB words it, without the picture's token."""
    return f"{instruction} {text}\n" if text.strip() else "Represent the given image.\n"


def passage_with_picture(text: str) -> str:
    """A text that belongs to a picture as MMEB words its Wikipedia pages, without the picture's token."""
    if not text.strip():
        return "Represent the given image.\n"
    return f"Represent the given Wikipedia image with related text information: {text}\n"


def last_states(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The state at the last token of each row padded on the right, float32 [n, dim] of length 1."""
    import torch

    rows = torch.arange(len(states), device=states.device)
    last = states[rows, mask.to(states.device).sum(dim=1) - 1]
    return torch.nn.functional.normalize(last.float(), dim=-1)


class VisionLanguageAdapter(Adapter):
    """A causal model of text and pictures, run without its word head.

    The weights are whole or, where `adapts` says so, a LoRA adapter that names
    the base model it is merged into. `picture` stands in a text where its picture is; `old_names`
    are patterns for modules in an adapter that transformers has renamed since.
    """

    picture: ClassVar[str]
    model_class: ClassVar[str]
    model_type: ClassVar[str]
    adapts: ClassVar[bool] = False  # whether the weights may be a LoRA adapter
    old_names: ClassVar[Mapping[str, str]] = {}

    @property
    def dim(self) -> int:
        config = read_config(Weights(self.weights.revision, self._home))
        # Older files have what is now in `text_config` at their top.
        return int(config.get("text_config", {}).get("hidden_size") or config["hidden_size"])

    @property
    def limit(self) -> int:
        return int(self.spec.params["max_tokens"])

    def query(self, text: str, pictured: bool) -> str:
        text = self._plain(text)
        return self.picture + query_with_picture(self.spec.instruction, text) if pictured else f"{text}\n"

    def passage(self, text: str, pictured: bool) -> str:
        text = self._plain(text)
        return self.picture + passage_with_picture(text) if pictured else text

    def states(self, **inputs: Any) -> torch.Tensor:
        """States of the last layer, after its norm, [n, tokens, dim]."""
        import torch

        placed = {name: value.to(self.device) for name, value in inputs.items()}
        if "pixel_values" in placed:
            placed["pixel_values"] = placed["pixel_values"].to(self.dtype)
        with torch.inference_mode():
            return self._model(**placed, use_cache=False).last_hidden_state

    @functools.cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        from transformers import AutoTokenizer

        folder = self._having("tokenizer_config.json")
        with _loading(folder):
            return AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def image_processor(self, part_class: Any, **given: Any) -> Any:
        """An image processor, with `given` in place of what its file says."""
        folder = self._having("preprocessor_config.json", "processor_config.json")
        with _loading(folder):
            return part_class.from_pretrained(folder, local_files_only=True, **given)

    def _weight_files(self) -> list[Path]:
        return sorted(self._home.glob("*.safetensors"))

    def libraries(self) -> dict[str, str]:
        if self._base is None:
            return super().libraries()
        return super().libraries() | {"peft": version("peft"), "base model": self._base.revision}

    @functools.cached_property
    def _plain(self):
        return without_markup(self.tokenizer)

    @functools.cached_property
    def _base(self) -> Weights | None:
        """The base model of an adapter, from the hub or a folder inside the adapter's own; None for whole weights."""
        if not self.adapts or not (self.weights.folder / _ADAPTER).is_file():
            return None
        folder = self.weights.folder
        name = json.loads((folder / _ADAPTER).read_bytes()).get("base_model_name_or_path")
        if isinstance(name, str) and re.fullmatch(r"\w[\w.-]*", name) and (folder / name).is_dir():
            return Weights(name, folder / name)  # the fingerprint of the adapter's folder covers it
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
            raise ModelError(
                f"the adapter {folder} names its base model {name!r}, which is no id on the hub.",
                f"Put the base model into a folder beside {_ADAPTER} and name that folder in base_model_name_or_path.",
            )
        return resolve_weights(name)

    @functools.cached_property
    def _home(self) -> Path:
        """Where the whole weights lie, of the kind of model that this is for."""
        home = self._base or self.weights
        kind = read_config(home).get("model_type")
        if kind != self.model_type:
            raise ModelError(
                f"the model in {home.folder} is of the kind {kind!r}; {self.spec.name} is for {self.model_type!r}.",
                "Name weights of the model that this retriever is for.",
            )
        return home.folder

    def _having(self, *files: str) -> Path:
        """The folder of the adapter if it holds one of these files, else that of the base model."""
        home, own = self._home, self.weights.folder
        return own if any((own / file).is_file() for file in files) else home

    @functools.cached_property
    def _model(self) -> torch.nn.Module:
        with _loading(self.weights.folder):
            model = self._whole()
            if self._base is not None:
                model = self._merged(model)
        return model.eval().requires_grad_(False).to(self.device).model

    def _whole(self) -> PreTrainedModel:
        """The model, or the base of an adapter; what is missing would be made up at random, so it is refused."""
        import transformers

        model, found = getattr(transformers, self.model_class).from_pretrained(
            self._home, dtype=self.dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        # The word head is not run.
        missing = [name for name in [*found["missing_keys"], *found["mismatched_keys"]] if "lm_head" not in str(name)]
        if missing:
            raise ModelError(
                f"the weights in {self._home} are not those of a {self.model_class}: {len(missing)} of its tensors are"
                f" missing or of another shape, such as {missing[0]}.",
                "Name weights of the model that this retriever is for.",
            )
        return model

    def _merged(self, base: PreTrainedModel) -> PreTrainedModel:
        """The base model with the adapter applied to it, once."""
        from peft import PeftConfig, get_peft_model

        folder = str(self.weights.folder)
        lora = PeftConfig.from_pretrained(folder)
        lora.base_model_name_or_path, lora.inference_mode = str(self._home), True
        adapted = get_peft_model(base, lora)
        # Not PeftModel.from_pretrained: what fits nothing in the model is only a warning there.
        result = adapted.load_adapter(folder, "default", torch_device="cpu", key_mapping=dict(self.old_names))
        stray = [*result.unexpected_keys, *result.missing_keys]
        if stray:
            raise ModelError(
                f"the adapter {folder} does not fit its base model {self._base.revision}: {len(stray)} of its weights"
                f" are missing or left over, such as {stray[0]}.",
                "Check the revision of both, or use weights that are merged already.",
            )
        return adapted.merge_and_unload()


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Within this, what a library says against a file of the model is a ModelError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"the model in {folder} cannot be loaded ({error}).", "Download it again.") from error
