"""A random XLM-R of a few thousand parameters, saved as sentence-transformers saves an E5."""

from __future__ import annotations

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
DIM = 32


def save_tiny_e5(folder: Path, texts: list[str], *, seed: int = 0, pooling: str = "mean") -> Path:
    """Write the model; its tokenizer is a unigram trained on `texts`."""
    plain = folder.with_name(folder.name + "-plain")
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(zip(("bos", "pad", "eos", "unk", "mask"), SPECIAL, strict=True))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        cls_token="<s>",
        sep_token="</s>",
        **{f"{name}_token": token for name, token in names.items()},
    )
    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=len(fast),
        hidden_size=DIM,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
        initializer_range=0.4,  # the usual 0.02 would make all vectors alike
    )
    XLMRobertaModel(config).eval().save_pretrained(plain)
    fast.save_pretrained(plain)
    modules = [Transformer(str(plain), max_seq_length=512), Pooling(DIM, pooling), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder
