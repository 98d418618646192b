"""Golden vectors: the same model passes, another one is named; from the command line to a build that stops."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import tiny_encoders
from m4rag_tasks.cli import main
from retrieval_cache import CacheCorrupt, ModelError, default_spec, with_weights
from retrieval_cache.encoders import golden
from retrieval_cache.encoders.weights import fingerprint
from retrieval_cache.retrievers import Resources, make_retriever


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_encoders.save_mllama(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def spec(model):
    return with_weights(default_spec("mme5"), fingerprint(model))


@pytest.fixture(scope="module")
def encoder(model, spec):
    return make_retriever(spec, Resources(model=model)).encoder


class Turned:
    """The encoder as another version of a library might run it: vectors a little to the side."""

    def __init__(self, encoder, by):
        self._encoder, self._by = encoder, by
        self.dim = encoder.dim

    def encode_queries(self, queries):
        return self._turned(self._encoder.encode_queries(queries))

    def encode_passages(self, passages, image_root):
        return self._turned(self._encoder.encode_passages(passages, image_root))

    def libraries(self):
        return self._encoder.libraries() | {"transformers": "9.9"}

    def _turned(self, vectors):
        noise = np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
        return vectors + self._by * noise / np.linalg.norm(noise, axis=1, keepdims=True)


def test_the_same_model_passes_and_another_is_named(tmp_path, spec, encoder):
    file = tmp_path / "mme5.json"
    golden.write_golden(file, spec, encoder)
    assert golden.check_golden(file, spec, encoder) > 0.99999
    assert golden.check_golden(file, spec, Turned(encoder, by=0.02)) > golden.NEAR
    with pytest.raises(
        ModelError, match=r"does not give the vectors that it should: cosine 0\.\d+ .*transformers .*→ 9\.9"
    ):
        golden.check_golden(file, spec, Turned(encoder, by=0.2))
    assert str(tmp_path) not in file.read_text()


def test_probes_are_apart(encoder):
    """A check on vectors that are all alike would pass anything."""
    vectors = golden.golden_vectors(encoder)
    assert np.median(vectors @ vectors.T - np.eye(len(vectors))) < 0.9


def test_a_file_of_another_model_is_refused(tmp_path, spec, encoder):
    file = tmp_path / "mme5.json"
    golden.write_golden(file, spec, encoder)
    with pytest.raises(ModelError, match="was made for another model: revision"):
        golden.check_golden(file, with_weights(spec, "sha256:" + "1" * 64), encoder)


@pytest.mark.parametrize(
    "change", [{"format": 9}, {"shape": [3, 7]}, {"shape": "x"}, {"float16": "%%"}, {"retriever": 1}]
)
def test_a_damaged_file_is_refused(tmp_path, spec, encoder, change):
    file = tmp_path / "mme5.json"
    golden.write_golden(file, spec, encoder)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(CacheCorrupt, match="no file of golden vectors"):
        golden.check_golden(file, spec, encoder)


def test_a_golden_file_of_the_package_stops_a_build(tmp_path, monkeypatch, spec, encoder, model):
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    golden.prove(spec, Turned(encoder, by=0.5))  # there is none
    golden.write_golden(tmp_path / "mme5.json", spec, encoder)
    golden.prove(spec, encoder)
    golden.prove(with_weights(spec, "sha256:" + "1" * 64), Turned(encoder, by=0.5))  # none of these weights
    retriever = make_retriever(spec, Resources(model=model))
    retriever.encoder = Turned(encoder, by=0.5)
    with pytest.raises(ModelError, match="does not give the vectors"):
        retriever.build(None, None, None)


def test_from_the_command_line(tmp_path, model, capsys):
    file = tmp_path / "golden.json"
    assert main(["encoder", "fingerprint", "mme5", "--model", str(model), "--output", str(file)]) == 0
    assert main(["encoder", "check", "mme5", "--model", str(model), "--golden", str(file)]) == 0
    assert "lowest cosine 1.0000" in capsys.readouterr().out
    asked = ["--instruction", "Retrieve a passage."]
    assert main(["encoder", "check", "mme5", "--model", str(model), "--golden", str(file), *asked]) == 1
    assert "was made for another model: instruction" in capsys.readouterr().err
    assert main(["encoder", "check", "bm25", "--golden", str(file)]) == 1
    assert "bm25 has no encoder" in capsys.readouterr().err
