"""E5 against a plain forward pass, and weights that are named and not taken on trust."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval_cache import CacheError, CacheMismatch, Passage, Query, build_cache, default_spec, find_cache
from retrieval_cache.encoders.e5 import E5Encoder
from retrieval_cache.encoders.weights import ModelError, fingerprint, locate, resolve_weights
from retrieval_cache.retrievers import Resources, make_retriever
from retrieval_cache.specs import as_made_here, components, with_weights

TEXTS = [
    "Rendang is a slow cooked beef dish of the Minangkabau.",
    "दीवाली रोशनी का त्योहार है।",
    "长城是中国古代的军事防御工程。",
    "sauna",
    "Gamelan adalah ansambel musik tradisional. " * 40,
    "ต้มยำกุ้งเป็นอาหารไทย",
    "long " * 900,  # beyond 512 tokens: cut
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    from tiny_e5 import save_tiny_e5

    return save_tiny_e5(tmp_path_factory.mktemp("model") / "tiny", TEXTS)


@pytest.fixture(scope="module")
def spec(folder):
    return with_weights(default_spec("e5_small"), resolve_weights(str(folder)).revision)


def passages(texts):
    return [Passage(f"p{i}", f"p{i}", "T", text, "en") for i, text in enumerate(texts)]


def plain_forward(folder: Path, texts: list[str]) -> np.ndarray:
    """One text at a time: last hidden state, mean over its tokens, length 1."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    vectors = []
    for text in texts:
        tokens = tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
        with torch.no_grad():
            hidden = model(tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state[0]
        vectors.append(torch.nn.functional.normalize(hidden.mean(0), dim=0).numpy())
    return np.stack(vectors)


@pytest.mark.parametrize("order", [list(range(len(TEXTS))), [4, 2, 6, 0, 5, 1, 3]])
def test_vectors_are_those_of_a_plain_forward_pass_whatever_the_batch(folder, spec, order):
    encoder = E5Encoder(spec, folder)
    texts = [TEXTS[i] for i in order]
    found = encoder.encode_passages(passages(texts), None)
    assert found.shape == (len(TEXTS), encoder.dim) and found.dtype == np.float32
    expected = plain_forward(folder, [f"passage: T\n{text}" for text in texts])
    assert (np.einsum("ij,ij->i", found, expected) >= 0.9999).all()
    asked = encoder.encode_queries([Query(f"q{i}", text) for i, text in enumerate(texts)])
    expected = plain_forward(folder, [f"query: {text}" for text in texts])
    assert (np.einsum("ij,ij->i", asked, expected) >= 0.9999).all()
    alone = np.concatenate([encoder.encode_queries([Query("q", text)]) for text in texts])
    assert (np.einsum("ij,ij->i", asked, alone) >= 0.9999).all()
    assert np.abs(asked @ asked.T - np.eye(len(TEXTS))).max() > 0.01  # the vectors differ, so 0.9999 says something


def test_the_instruct_model_puts_its_task_before_queries_alone(folder):
    spec = default_spec("e5_large_instruct")
    assert spec.instruction == "Given a web search query, retrieve relevant passages that answer the query"
    encoder = E5Encoder(with_weights(spec, fingerprint(folder)), folder)
    found = encoder.encode_queries([Query("q", TEXTS[0])])
    expected = plain_forward(folder, [f"Instruct: {spec.instruction}\nQuery: {TEXTS[0]}"])
    assert (found @ expected.T).item() >= 0.9999
    found = encoder.encode_passages(passages(TEXTS[:1]), None)
    assert (found @ plain_forward(folder, [f"T\n{TEXTS[0]}"]).T).item() >= 0.9999


def test_a_build_gives_the_same_bytes_again_and_is_found(world, tree, folder, spec):
    resources = Resources(model=folder)
    first = build_cache(world.spec(retriever=spec), world.queries, world.root, resources=resources)
    build_cache(world.spec(retriever=spec), world.queries, world.root.parent / "other", resources=resources)
    assert tree(world.root) == tree(world.root.parent / "other")
    assert not any(str(folder).encode() in content for content in tree(world.root).values())
    assert first.manifest.retriever.revision == fingerprint(folder)
    assert first.manifest.libraries["index"]["precision"] == "float32"
    # A reader that leaves the retriever open takes weights of any name; one that asks for others does not.
    assert find_cache(world.root, replace(world.wanted(), retriever=None)).key == first.key
    with pytest.raises(CacheMismatch, match="retriever revision"):
        find_cache(world.root, world.wanted("e5_small"))
    # A finished cache is opened without its weights.
    again = build_cache(world.spec(retriever=spec), world.queries, world.root)
    assert again.key == first.key


def test_a_hybrid_takes_the_weights_for_its_dense_component(world, folder):
    hybrid = with_weights(default_spec("hybrid", dense="e5_base"), fingerprint(folder))
    assert components(hybrid)["dense"].revision == fingerprint(folder)
    assert as_made_here(hybrid) == hybrid
    cache = build_cache(world.spec(retriever=hybrid), world.queries, world.root, resources=Resources(model=folder))
    assert cache.hits(world.queries[0])[0].article_id == "a0"


def test_other_weights_are_another_revision_and_other_notes_are_not(folder, tmp_path):
    from safetensors.numpy import load_file, save_file

    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert fingerprint(copy) == fingerprint(folder)
    (copy / "README.md").write_text("something else")
    assert fingerprint(copy) == fingerprint(folder)
    (weights,) = copy.glob("*.safetensors")
    tensors = load_file(weights)
    name = sorted(tensors)[0]
    save_file({**tensors, name: tensors[name] + 1}, weights, metadata={"format": "pt"})
    assert fingerprint(copy) != fingerprint(folder)
    with pytest.raises(ModelError, match="holds other weights"):
        locate(fingerprint(folder), copy)
    with pytest.raises(ModelError, match="no folder is named"):
        locate(fingerprint(folder))
    with pytest.raises(ModelError, match="holds no weights"):
        fingerprint(tmp_path / "copy" / "1_Pooling")


def test_weights_that_are_not_here_are_one_clear_error(world, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        CacheError, match=r"intfloat/multilingual-e5-small at fd1525a.* is neither on this machine"
    ) as e:
        world.build("e5_small")
    assert "hf download intfloat/multilingual-e5-small --revision fd1525a" in str(e.value)
    with pytest.raises(ModelError, match="neither on this machine"):
        resolve_weights("nobody/nothing")
    with pytest.raises(ModelError, match="not there: --model is a folder"):
        resolve_weights("../../../nothing")
    with pytest.raises(ModelError, match="is a file: --model is a folder"):
        resolve_weights(__file__)


def test_a_commit_in_the_hub_cache_is_found_and_recorded(folder, monkeypatch, tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = tmp_path / "models--someone--tiny"
    shutil.copytree(folder, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    weights = resolve_weights("someone/tiny")
    assert weights.revision == f"someone/tiny@{commit}"
    spec = with_weights(default_spec("e5_base"), weights.revision)
    assert E5Encoder(spec).encode_queries([Query("q", "sauna")]).shape == (1, 32)


def test_a_model_of_another_kind_is_refused(tmp_path):
    from tiny_e5 import save_tiny_e5

    other = save_tiny_e5(tmp_path / "cls", TEXTS, pooling="cls")
    encoder = E5Encoder(with_weights(default_spec("e5_small"), fingerprint(other)), other)
    with pytest.raises(ModelError, match="is no E5"):
        encoder.encode_queries([Query("q", "x")])


def test_names_that_are_no_weights_are_refused():
    for revision in ("main", "a/b@main", "sha256:123", "a/b/c@" + "0" * 40, "x@" + "0" * 40 + "\n"):
        with pytest.raises(ValueError, match="names no weights"):
            with_weights(default_spec("e5_small"), revision)
    with pytest.raises(ValueError, match="has no weights to choose"):
        with_weights(default_spec("bm25"), "sha256:" + "0" * 64)
    with pytest.raises(ValueError, match="no weights to choose"):
        with_weights(default_spec("hybrid"), "sha256:" + "0" * 64)
    with pytest.raises(ValueError, match="is here at revision"):
        make_retriever(replace(default_spec("e5_large_instruct"), instruction="Do something else"))
