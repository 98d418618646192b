"""Tiny models of the architectures of mmE5 and B3: real classes and processors, random weights.

They are made on the spot, offline and always the same. Benchmarks and tests use
them: what they embed means nothing, but prompts, pictures, padding, positions
and adapters go the way they go in the real models.
"""

from __future__ import annotations

from pathlib import Path

_MLLAMA_TOKENS = ("<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>", "<|image|>", "<|python_tag|>")
_QWEN_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
_SENTENCES = (
    "Represent the given image with the following question: which grain is used for this flatbread?",
    "Retrieve a Wikipedia paragraph that provides an answer to the given query about the image.",
)
_HEADS, _HEAD_SIZE = 2, 16
_CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}
{%- for part in message.content -%}
{%- if part.type == "image" %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif -%}
{%- endfor -%}
{%- endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif -%}
"""
LORA_TARGETS = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj", "k_proj", "q_proj", "out_proj", "v_proj")
"""What B3 trains, by the defaults of its own arguments (raghavlite/B3, src/arguments.py)."""


def save_mllama(folder: Path, layers: int = 4, width: int = _HEADS * _HEAD_SIZE) -> Path:
    """Model and processor of mmE5's kind, saved to a folder."""
    import torch
    from transformers import MllamaConfig, MllamaForConditionalGeneration, MllamaImageProcessor

    tokenizer = _tokenizer(_MLLAMA_TOKENS, bos=0, eos=1, pad=2)
    side = 28
    config = MllamaConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": _HEADS,
            "num_key_value_heads": 1,
            "cross_attention_layers": list(range(1, layers, 2)),
            "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0},
            "max_position_embeddings": 4096,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 2,
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_global_layers": 1,
            "attention_heads": 2,
            "image_size": side,
            "patch_size": 14,
            "intermediate_layers_indices": [0, 1],
            "vision_output_dim": 96,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|image|>"),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _spread(MllamaForConditionalGeneration(config))
        for name, weight in model.named_parameters():
            # Gates start closed: without this a picture would change nothing.
            if name.endswith(("gate", "gate_attn", "gate_ffn")):
                torch.nn.init.constant_(weight, 0.7)
    model.save_pretrained(folder)
    # One file each, as the repository on the hub has them.
    MllamaImageProcessor(size={"height": side, "width": side}, max_image_tiles=4).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_qwen2_vl(folder: Path, layers: int = 2, width: int = _HEADS * _HEAD_SIZE) -> Path:
    """Model and processor of the kind that B3 adapts, saved to a folder."""
    import torch
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
    )

    tokenizer = _tokenizer(_QWEN_TOKENS, bos=None, eos=2, pad=0)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _QWEN_TOKENS}
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": _HEADS,
            "num_key_value_heads": 1,
            # Time, height and width share the frequencies of a head: half its size.
            "rope_scaling": {"rope_type": "default", "mrope_section": _sections(width)},
            "rope_theta": 1_000_000.0,
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": width, "num_heads": 2, "mlp_ratio": 2},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _spread(Qwen2VLForConditionalGeneration(config))
    model.save_pretrained(folder)
    # One file each, as the repository on the hub has them.
    Qwen2VLImageProcessor().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_b3(folder: Path, **size: int) -> Path:
    """An adapter of B3's kind (LoRA with weight decomposition, rank 8) beside its base model in `folder/base`."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2VLForConditionalGeneration

    base = save_qwen2_vl(folder / "base", **size)
    model = Qwen2VLForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    lora = LoraConfig(
        r=8, lora_alpha=64, target_modules=list(LORA_TARGETS), use_dora=True, base_model_name_or_path="base"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        adapted = get_peft_model(model, lora)
        for name, weight in adapted.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.05)
            elif "magnitude" in name:
                with torch.no_grad():
                    weight.mul_(1.1)
    adapted.peft_config["default"].base_model_name_or_path = "base"
    adapted.save_pretrained(folder)
    return folder


def save_sentence_transformer(folder: Path) -> Path:
    """A model of text and pictures in the layout of sentence-transformers: chat template, last token, length 1."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import AutoTokenizer, Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    plain = save_qwen2_vl(folder / "plain")
    tokenizer = AutoTokenizer.from_pretrained(plain)
    parts = Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor()
    Qwen2VLProcessor(*parts, chat_template=_CHAT_TEMPLATE).save_pretrained(plain)
    transformer = Transformer(str(plain), processor_kwargs={"padding_side": "left"})
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="lasttoken")
    model = SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu")
    model.save(str(folder / "model"))
    return folder / "model"


def _spread(model):
    """The model with weights so large that a small mistake in its input moves a vector visibly."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(6)
    return model


def _sections(width: int) -> list[int]:
    half = width // _HEADS // 2
    time = half // 4
    return [time, (half - time) // 2, half - time - (half - time) // 2]


def _tokenizer(special: tuple[str, ...], bos: int | None, eos: int, pad: int):
    """A byte-level tokenizer, so every script can be written with it; special tokens have the first ids."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    named = {"eos_token": special[eos], "pad_token": special[pad]}
    if bos is not None:
        named["bos_token"] = special[bos]
    rest = [token for token in special if token not in named.values()]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, additional_special_tokens=rest, **named)
