"""mmE5, B3 and any sentence-transformers model: batched vectors against one plain forward pass per item.

The models are tiny and random, of the real architectures with the real processors. What an item is compared
with is written from the recipe of the model's authors and shares no code with the adapters.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    MllamaForConditionalGeneration,
    MllamaImageProcessorPil,
    MllamaProcessor,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from benchmarks import tiny_encoders
from retrieval_cache import CorpusError, Passage, Query, build_cache, default_spec, with_instruction
from retrieval_cache.encoders import sentence_transformer
from retrieval_cache.encoders.b3 import B3
from retrieval_cache.encoders.mme5 import MmE5
from retrieval_cache.encoders.multimodal import MultimodalEncoder
from retrieval_cache.encoders.sentence_transformer import SentenceTransformerAdapter
from retrieval_cache.encoders.weights import ModelError, fingerprint
from retrieval_cache.retrievers import Resources
from retrieval_cache.specs import as_made_here

TEXTS = [
    "What is this dish called?",
    "ይህ ምግብ ምን ይባላል?",
    "这道菜叫什么?" * 6,
    "ما اسم هذا الطبق؟",
    "x",
    "Which grain is mainly used for this flatbread, and where is it eaten? " * 4,
    "नमस्ते दुनिया 🍛",
]
NAMES = ("mme5", "b3", "st")


def pictures(folder):
    """Files of many shapes and kinds; name → path."""
    random = np.random.default_rng(0)

    def noise(width, height):
        return Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8))

    made = {f"{w}x{h}.png": noise(w, h) for w, h in ((40, 60), (300, 120), (28, 28), (1, 1), (7, 200), (400, 30))}
    made |= {"cmyk.jpg": noise(50, 40).convert("CMYK"), "palette.gif": noise(64, 33).convert("P")}
    made |= {"grey.png": noise(30, 90).convert("L"), "clear.png": noise(60, 60).convert("RGBA")}
    for name, picture in made.items():
        picture.save(folder / name)
    turned = Image.Exif()
    turned[0x0112] = 6
    noise(80, 40).save(folder / "turned.jpg", exif=turned)
    return {path.name: path for path in sorted(folder.iterdir())}


def plain_picture(path):
    """What a picture is to the models: upright, transparency on white, RGB."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def unit(vector):
    return torch.nn.functional.normalize(vector.float(), dim=-1).numpy()


class PlainMmE5:
    """demo.py of haon-chen/mmE5, item by item."""

    def __init__(self, folder):
        self.model = MllamaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        self.processor = MllamaProcessor(MllamaImageProcessorPil.from_pretrained(folder), tokenizer)

    @torch.inference_mode()
    def __call__(self, text, path=None):
        images = {} if path is None else {"images": [plain_picture(path)], "input_data_format": "channels_last"}
        inputs = self.processor(text=text, return_tensors="pt", max_length=256, truncation=True, **images)
        return unit(self.model(**inputs, output_hidden_states=True).hidden_states[-1][0, -1])

    def query(self, query):
        if query.image_path is None:
            return self(f"{query.text}\n")
        asked = f"Represent the given image with the following question: {query.text}\n"
        return self(
            "<|image|><|begin_of_text|>" + (asked if query.text else "Represent the given image.\n"), query.image_path
        )


class PlainB3:
    """eval_mmeb.py of raghavlite/B3, item by item, the adapter not merged."""

    def __init__(self, folder):
        from peft import PeftModel

        base = Qwen2VLForConditionalGeneration.from_pretrained(folder / "base", dtype=torch.float32)
        self.model = PeftModel.from_pretrained(base, folder).eval()
        size = {"shortest_edge": 4 * 28 * 28, "longest_edge": 1280 * 28 * 28}
        image_processor = Qwen2VLImageProcessorPil.from_pretrained(folder / "base", size=size)
        tokenizer = AutoTokenizer.from_pretrained(folder / "base")
        self.processor = Qwen2VLProcessor(image_processor, tokenizer, Qwen2VLVideoProcessor())

    def inputs(self, text, path=None):
        if path is None:
            return self.processor(text=[text], return_tensors="pt")
        image = plain_picture(path)
        if min(image.size) < 28:
            image = image.resize((56, 56))
        return self.processor(text=[text], images=[image], input_data_format="channels_last", return_tensors="pt")

    @torch.inference_mode()
    def __call__(self, text, path=None, by_row_and_column=False):
        inputs = self.inputs(text, path)
        if not by_row_and_column:
            del inputs["mm_token_type_ids"]
            inputs["position_ids"] = torch.arange(inputs["input_ids"].shape[1]).expand(3, 1, -1)
        return unit(self.model(**inputs, output_hidden_states=True).hidden_states[-1][0, -1])

    def query(self, query):
        if query.image_path is None:
            return self(f"{query.text}\n")
        asked = f"Represent the given image with the following question: {query.text}\n"
        return self("<|image_pad|>\n" + (asked if query.text else "Represent the given image.\n"), query.image_path)


class PlainChat:
    """The chat template written out, the state at the last token."""

    def __init__(self, folder):
        from transformers import AutoModel, AutoProcessor

        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = AutoProcessor.from_pretrained(folder)

    @torch.inference_mode()
    def __call__(self, text, path=None, instruction=None):
        asked = f"<|im_start|>system\n{instruction}<|im_end|>\n" if instruction else ""
        picture = "<|vision_start|><|image_pad|><|vision_end|>" if path else ""
        prompt = f"{asked}<|im_start|>user\n{picture}{text}<|im_end|>\n"
        images = {"images": [plain_picture(path)], "input_data_format": "channels_last"} if path else {}
        inputs = self.processor(text=[prompt], return_tensors="pt", **images)
        return unit(self.model(**inputs).last_hidden_state[0, -1])

    def query(self, query):
        return self(query.text, query.image_path, INSTRUCTION)


INSTRUCTION = "Retrieve the passage that answers."


def adapter_of(kind, name, folder, **other):
    return kind(replace(default_spec(name), revision=fingerprint(folder), **other), folder)


def b3_vectors(folder, queries):
    return MultimodalEncoder(default_spec("b3"), adapter_of(B3, "b3", folder)).encode_queries(queries)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Of each model: its folder, its adapter and the plain way to embed; and the pictures."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "pictures").mkdir()
    folders = {
        "mme5": tiny_encoders.save_mllama(root / "mme5"),
        "b3": tiny_encoders.save_b3(root / "b3"),
        "st": tiny_encoders.save_sentence_transformer(root / "st"),
    }
    made = SimpleNamespace(folders=folders, pictures=pictures(root / "pictures"), root=root)
    made.adapters = {
        "mme5": adapter_of(MmE5, "mme5", folders["mme5"]),
        "b3": adapter_of(B3, "b3", folders["b3"]),
        "st": adapter_of(SentenceTransformerAdapter, "mme5", folders["st"], instruction=INSTRUCTION),
    }
    made.plain = {"mme5": PlainMmE5(folders["mme5"]), "b3": PlainB3(folders["b3"]), "st": PlainChat(folders["st"])}
    return made


@pytest.fixture(scope="module")
def items(tiny):
    """Queries with and without pictures, and for each model their plain vectors."""
    queries = [Query(f"t{i}", text) for i, text in enumerate(TEXTS)]
    for number, (name, path) in enumerate(tiny.pictures.items()):
        queries.append(Query(name, TEXTS[number % len(TEXTS)], name, path))
    queries.append(Query("alone", "", "40x60.png", tiny.pictures["40x60.png"]))
    usable = {name: list(queries) for name in NAMES}
    # What sentence-transformers refuses is refused by Qwen2-VL's own processor: sides 200 times as long.
    return usable, {name: np.stack([tiny.plain[name].query(q) for q in usable[name]]) for name in NAMES}


def encoder(tiny, name, batch_tokens=None, **params):
    spec = default_spec("mme5", **params)
    return MultimodalEncoder(spec, tiny.adapters[name], batch_tokens)


def cosines(one, other):
    return (one * other).sum(axis=1)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6)
@given(data=st.data())
def test_batched_is_one_by_one(tiny, items, name, data):
    """Whatever the batch size, the order, and the mix of items with and without pictures."""
    queries, plain = items[0][name], items[1][name]
    chosen = data.draw(st.permutations(range(len(queries))))[: data.draw(st.integers(1, len(queries)))]
    batch_tokens = data.draw(st.sampled_from([1, 300, 2000, 100_000]))
    vectors = encoder(tiny, name, batch_tokens).encode_queries([queries[number] for number in chosen])
    assert vectors.dtype == np.float32 and vectors.shape == (len(chosen), 32)
    assert cosines(vectors, plain[chosen]).min() >= 0.9999


@pytest.mark.parametrize("name", NAMES)
def test_plain_vectors_tell_items_apart(items, name):
    """The test above could not fail if everything had nearly the same vector."""
    plain = items[1][name]
    near = plain @ plain.T - np.eye(len(plain))
    assert near.max() < 0.9999 and np.median(near) < 0.9


@pytest.mark.parametrize("name", NAMES)
def test_the_same_call_gives_the_same_bytes(tiny, items, name):
    queries = items[0][name]
    embed = encoder(tiny, name)
    assert embed.encode_queries(queries).tobytes() == embed.encode_queries(queries).tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_passages_are_bare_text(tiny, name):
    passages = [Passage(str(i), "a", "Injera", text, "en") for i, text in enumerate(TEXTS)]
    bare = encoder(tiny, name).encode_passages(passages, None)
    assert cosines(bare, np.stack([tiny.plain[name](text) for text in TEXTS])).min() >= 0.9999
    titled = encoder(tiny, name, passage="title\ntext").encode_passages(passages, None)
    assert cosines(titled, np.stack([tiny.plain[name](f"Injera\n{text}") for text in TEXTS])).min() >= 0.9999


def test_passages_with_their_picture(tiny):
    words = "Represent the given Wikipedia image with related text information: injera\n"
    root = tiny.root / "pictures"
    with_picture = Passage("p", "a", "T", "injera", "en", "grey.png")
    far = Passage("u", "a", "T", "injera", "en", "https://x.example/grey.png")
    for name, image in (("mme5", "<|image|><|begin_of_text|>"), ("b3", "<|image_pad|>\n")):
        plain = tiny.plain[name](image + words, root / "grey.png")
        seen = encoder(tiny, name, passage_images=True).encode_passages([with_picture, far], root)
        assert seen[0] @ plain >= 0.9999 and seen[1] @ plain < 0.99
        unseen = encoder(tiny, name).encode_passages([with_picture, far], root)
        assert unseen[0] @ unseen[1] >= 0.9999 and seen[1] @ unseen[0] >= 0.9999


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_passage(tiny, name):
    vector = encoder(tiny, name).encode_passages([Passage("p", "a", "", "", "en")], None)[0]
    assert vector @ tiny.plain[name]({"mme5": "", "b3": "  ", "st": ""}[name]) >= 0.9999


def test_a_long_passage_is_cut_at_the_end_and_named(tiny):
    long = Passage("long", "a", "", "injera " * 200, "en")
    embed = encoder(tiny, "mme5")
    with pytest.warns(UserWarning, match=r"mme5 reads 256 tokens and 1 of 2 items are longer.*passage 'long'"):
        vectors = embed.encode_passages([Passage("p", "a", "", "short", "en"), long], None)
    assert vectors[1] @ tiny.plain["mme5"](long.text) >= 0.9999
    tokens = tiny.adapters["mme5"].tokens([long.text], [None])[0]
    assert len(tiny.plain["mme5"].processor(text=long.text)["input_ids"][0]) == tokens > 256


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("word", ["<|image|>", "<|image_pad|>", "<|begin_of_text|>", "<|im_end|>", "<|video_pad|>"])
def test_data_cannot_speak_in_the_models_markup(tiny, name, word):
    queries = [Query("q", f"a {word} b"), Query("r", word, "28x28.png", tiny.pictures["28x28.png"])]
    assert np.isfinite(encoder(tiny, name).encode_queries(queries)).all()
    adapter = tiny.adapters[name]
    special = AutoTokenizer.from_pretrained(tiny.folders[name] / ("base" if name == "b3" else "."))
    ids = special(adapter.passage(f"a {word} b", False), add_special_tokens=False)["input_ids"]
    assert not set(ids) & set(special.get_added_vocab().values())


def test_a_text_that_looks_like_a_file_stays_a_text(tiny):
    path = str(tiny.pictures["grey.png"])
    for text in (path, "https://x.example/a.png", "data:image/png;base64,AAAA"):
        vector = encoder(tiny, "st").encode_queries([Query("q", text)])[0]
        assert vector @ tiny.plain["st"](text, None, INSTRUCTION) >= 0.9999


@pytest.mark.parametrize("name", NAMES)
def test_unreadable_pictures_name_file_and_owner(tiny, tmp_path, name):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(tiny.pictures["300x120.png"].read_bytes()[:9000])
    embed = encoder(tiny, name, passage_images=True)
    for file in ("empty.png", "cut.png"):
        with pytest.raises(CorpusError, match=rf"query 'q7': image .*{file} cannot be read"):
            embed.encode_queries([Query("q7", "x", "i", tmp_path / file)])
        with pytest.raises(CorpusError, match=rf"passage 'p': image .*{file} cannot be read"):
            embed.encode_passages([Passage("p", "a", "", "x", "en", file)], tmp_path)
    with pytest.raises(CorpusError, match=r"passage 'p': image path '\.\./x\.png' does not stay"):
        embed.encode_passages([Passage("p", "a", "", "x", "en", "../x.png")], tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_twenty_megapixels(tiny, tmp_path, name):
    Image.new("RGB", (5000, 4000), "#306090").save(tmp_path / "large.jpg")
    vector = encoder(tiny, name).encode_queries([Query("q", "x", "i", tmp_path / "large.jpg")])[0]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_b3_takes_a_picture_that_is_far_too_long_for_a_square(tiny, tmp_path):
    picture = Image.new("RGB", (6000, 29), "#306090")
    picture.paste("#f0e000", (0, 0, 900, 29))
    picture.save(tmp_path / "long.png")
    picture.resize((1288, 1288)).save(tmp_path / "square.png")
    vector = encoder(tiny, "b3").encode_queries([Query("q", "x", "i", tmp_path / "long.png")])[0]
    asked = "<|image_pad|>\nRepresent the given image with the following question: x\n"
    assert vector @ tiny.plain["b3"](asked, tmp_path / "square.png") >= 0.9999


def test_tokens_are_counted_as_the_model_sees_them(tiny):
    adapter, plain = tiny.adapters["b3"], tiny.plain["b3"]
    for path in tiny.pictures.values():
        text = adapter.query("what is it?", True)
        size = Image.open(path).size
        assert adapter.tokens([text], [size]) == [plain.inputs(text, path)["input_ids"].shape[1]], path


# --- B3: positions and its adapter ------------------------------------------


def test_b3_gives_the_tokens_of_a_picture_positions_like_text(tiny):
    """Its authors' prompts hold no <|vision_start|>, without which their model knows no rows and columns."""
    path = tiny.pictures["300x120.png"]
    asked = tiny.adapters["b3"].query("what?", True)
    vector = encoder(tiny, "b3").encode_queries([Query("q", "what?", "i", path)])[0]
    assert vector @ tiny.plain["b3"](asked, path) >= 0.9999
    assert vector @ tiny.plain["b3"](asked, path, by_row_and_column=True) < 0.999


def weights_of(adapter):
    return dict(adapter._model.named_parameters())


def test_the_adapter_is_applied_once(tiny):
    folder = tiny.folders["b3"]
    base = Qwen2VLForConditionalGeneration.from_pretrained(folder / "base", dtype=torch.float32).model
    lora = load_file(folder / "adapter_model.safetensors")
    name = "language_model.layers.1.self_attn.q_proj"
    part = f"base_model.model.model.{name}"
    weight = dict(base.named_parameters())[f"{name}.weight"]
    down, up = lora[f"{part}.lora_A.weight"], lora[f"{part}.lora_B.weight"]

    def adapted(before):
        # Weight-decomposed LoRA (arXiv 2402.09353): a new direction, brought to the trained length of each row.
        direction = before + 64 / 8 * (up @ down)
        return lora[f"{part}.lora_magnitude_vector"][:, None] * direction / direction.norm(dim=1, keepdim=True)

    once = weights_of(tiny.adapters["b3"])[f"{name}.weight"]
    assert torch.allclose(once, adapted(weight), atol=1e-5)
    assert not torch.allclose(once, adapted(adapted(weight)), atol=1e-2)


def test_an_adapter_that_is_loaded_a_second_time_changes_the_vectors(tiny, items):
    """What their merged weights would become under their own adapter: the test above is worth having."""
    from peft import PeftModel

    merged = Qwen2VLForConditionalGeneration.from_pretrained(tiny.folders["b3"] / "base", dtype=torch.float32)
    for _ in range(2):
        merged = PeftModel.from_pretrained(merged, tiny.folders["b3"]).merge_and_unload()
    merged.save_pretrained(tiny.root / "twice")
    copy_processor(tiny.folders["b3"] / "base", tiny.root / "twice")
    assert cosines(b3_vectors(tiny.root / "twice", items[0]["b3"]), items[1]["b3"]).max() < 0.999


def copy_processor(source, target):
    for name in ("preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, target / name)


def test_merged_weights_do_as_well(tiny, items):
    from peft import PeftModel

    base = Qwen2VLForConditionalGeneration.from_pretrained(tiny.folders["b3"] / "base", dtype=torch.float32)
    PeftModel.from_pretrained(base, tiny.folders["b3"]).merge_and_unload().save_pretrained(tiny.root / "merged")
    copy_processor(tiny.folders["b3"] / "base", tiny.root / "merged")
    assert cosines(b3_vectors(tiny.root / "merged", items[0]["b3"]), items[1]["b3"]).min() >= 0.9999
    libraries = adapter_of(B3, "b3", tiny.root / "merged").libraries(), tiny.adapters["b3"].libraries()
    assert [("peft" in known, known.get("base model")) for known in libraries] == [(False, None), (True, "base")]


def changed_adapter(tiny, folder, rename=lambda name: name, **config):
    """A copy of the adapter with its weights renamed and its configuration changed."""
    shutil.copytree(tiny.folders["b3"], folder)
    file = folder / "adapter_model.safetensors"
    save_file({rename(name): weight for name, weight in load_file(file).items()}, file)
    told = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(told | config))
    return folder


def test_an_adapter_with_the_names_of_older_transformers_is_applied(tiny, items, tmp_path):
    """B3's weights were made before the language model became a part of its own."""
    old = changed_adapter(tiny, tmp_path / "old", lambda name: name.replace(".language_model.layers.", ".layers."))
    names = load_file(old / "adapter_model.safetensors")
    assert any(name.startswith("base_model.model.model.layers.0.") for name in names)
    assert cosines(b3_vectors(old, items[0]["b3"]), items[1]["b3"]).min() >= 0.9999


def test_an_adapter_that_fits_nothing_is_refused(tiny, tmp_path):
    strange = changed_adapter(tiny, tmp_path / "strange", lambda name: name.replace(".layers.", ".blocks."))
    with pytest.raises(ModelError, match="does not fit its base model"):
        b3_vectors(strange, [Query("q", "x")])


@pytest.mark.parametrize("base", ["/etc", "../base", None, "no such folder"])
def test_the_base_of_an_adapter_is_never_a_path_out_of_its_folder(tiny, tmp_path, base):
    folder = changed_adapter(tiny, tmp_path / "moved", base_model_name_or_path=base)
    with pytest.raises(ModelError, match="names its base model"):
        b3_vectors(folder, [Query("q", "x")])


# --- memory ------------------------------------------------------------------


class Narrow:
    """An adapter on a device that holds few items."""

    def __init__(self, adapter, holds):
        self._adapter, self._holds, self.tried = adapter, holds, []
        self.dim, self.limit, self.device = adapter.dim, adapter.limit, adapter.device
        self.query, self.passage, self.tokens = adapter.query, adapter.passage, adapter.tokens

    def embed(self, texts, images, asked):
        self.tried.append(len(texts))
        if len(texts) > self._holds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._adapter.embed(texts, images, asked)


def test_a_batch_that_does_not_fit_is_split(tiny, items):
    queries, plain = items[0]["mme5"], items[1]["mme5"]
    narrow = Narrow(tiny.adapters["mme5"], holds=2)
    vectors = MultimodalEncoder(default_spec("mme5"), narrow).encode_queries(queries)
    assert cosines(vectors, plain).min() >= 0.9999
    assert max(narrow.tried) > 2
    with pytest.raises(ModelError, match=r"query 't\d' alone does not fit into the memory of cpu"):
        MultimodalEncoder(default_spec("mme5"), Narrow(tiny.adapters["mme5"], holds=0)).encode_queries(queries)


def test_what_did_not_fit_is_not_tried_again(tiny):
    narrow = Narrow(tiny.adapters["mme5"], holds=2)
    embed = MultimodalEncoder(default_spec("mme5"), narrow)
    queries = [Query(f"q{number}", f"word {number}") for number in range(8)]
    first = embed.encode_queries(queries)
    assert narrow.tried == [8, 4, 2, 2, 2, 2]
    assert embed.encode_queries(queries).tobytes() == first.tobytes()
    assert narrow.tried[6:] == [2, 2, 2, 2]


def test_other_errors_of_the_model_are_not_taken_for_lack_of_memory(tiny):
    class Broken(Narrow):
        def embed(self, texts, images, asked):
            raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        MultimodalEncoder(default_spec("mme5"), Broken(tiny.adapters["mme5"], 1)).encode_queries([Query("q", "x")])


# --- weights -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [MmE5, B3, SentenceTransformerAdapter])
def test_missing_and_other_weights_are_one_clear_error(tiny, tmp_path, kind):
    adapter = kind(default_spec("mme5"))
    with pytest.raises(ModelError, match=r"intfloat/mmE5.*neither on this machine nor.*hf download"):
        MultimodalEncoder(adapter.spec, adapter).encode_queries([Query("q", "x")])
    adapter = kind(replace(default_spec("mme5"), revision=f"sha256:{'0' * 64}"), tiny.folders["mme5"])
    with pytest.raises(ModelError, match="holds other weights"):
        MultimodalEncoder(adapter.spec, adapter).encode_queries([Query("q", "x")])


@pytest.mark.parametrize("kind", [MmE5, B3])
def test_weights_that_are_cut_off_are_one_clear_error(tiny, tmp_path, kind):
    name = kind.__name__.lower()
    folder = shutil.copytree(tiny.folders[name], tmp_path / "cut")
    weights = next(folder.rglob("model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(ModelError, match=r"model in .*cut.* cannot be loaded"):
        MultimodalEncoder(default_spec(name), adapter_of(kind, name, folder)).encode_queries([Query("q", "x")])


def test_weights_of_another_model_are_refused(tiny):
    for kind, name, other in ((MmE5, "mme5", tiny.folders["b3"] / "base"), (B3, "b3", tiny.folders["mme5"])):
        with pytest.raises(ModelError, match=rf"is of the kind .*; {name} is for"):
            MultimodalEncoder(default_spec(name), adapter_of(kind, name, other)).encode_queries([Query("q", "x")])


def test_weights_that_lack_a_tensor_are_refused(tiny, tmp_path):
    folder = shutil.copytree(tiny.folders["mme5"], tmp_path / "less")
    tensors = load_file(folder / "model.safetensors")
    del tensors[next(name for name in tensors if "layers.0.mlp.up_proj" in name)]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 of its tensors are missing.*up_proj"):
        MultimodalEncoder(default_spec("mme5"), adapter_of(MmE5, "mme5", folder)).encode_queries([Query("q", "x")])


def test_the_size_of_vectors_is_known_before_a_model_is_loaded(tiny, monkeypatch):
    adapter = adapter_of(SentenceTransformerAdapter, "mme5", tiny.folders["st"], instruction=INSTRUCTION)
    known = adapter._model.get_embedding_dimension()
    monkeypatch.setattr(SentenceTransformerAdapter, "_model", property(lambda self: pytest.fail("it was loaded")))
    assert adapter_of(SentenceTransformerAdapter, "mme5", tiny.folders["st"]).dim == known


@pytest.mark.parametrize("change", [{"pooling_mode": ["mean", "max"]}, {"embedding_dimension": None}])
def test_where_the_files_do_not_say_the_size_of_vectors_the_model_does(tiny, tmp_path, change):
    folder = shutil.copytree(tiny.folders["st"], tmp_path / "st")
    (path,) = folder.glob("*Pooling/config.json")
    path.write_text(json.dumps({"pooling_mode": "mean", "embedding_dimension": 7} | change))
    assert sentence_transformer._pooled(folder) is None
    path.write_text(json.dumps({"pooling_mode_mean_tokens": True, "word_embedding_dimension": 7}))
    assert sentence_transformer._pooled(folder) == 7
    path.unlink()
    assert sentence_transformer._pooled(folder) is None


def test_a_model_without_the_library_s_layout_is_refused(tiny):
    adapter = adapter_of(SentenceTransformerAdapter, "mme5", tiny.folders["mme5"])
    with pytest.raises(ModelError, match=r"has no modules\.json"):
        MultimodalEncoder(adapter.spec, adapter).encode_queries([Query("q", "x")])


# --- builds --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mme5", "b3"])
def test_a_build_gives_the_same_bytes_again_and_reads_no_picture_of_a_passage(tiny, make_world, tmp_path, tree, name):
    world = make_world(tmp_path)
    for path in world.image_root.iterdir():
        path.unlink()
    folder = tiny.folders[name]
    spec = world.spec(name, retriever=replace(default_spec(name), revision=fingerprint(folder)))
    made = []
    for root in (tmp_path / "one", tmp_path / "two"):
        cache = build_cache(spec, world.queries, root, resources=Resources(model=folder))
        assert all(len(cache.hits(query)) == 3 for query in world.queries)
        assert cache.manifest.images["passages"] is None and cache.manifest.images["queries"]
        made.append(tree(root))
    assert made[0] == made[1]
    pictured = replace(spec.retriever, params={**spec.retriever.params, "passage_images": True})
    with pytest.raises(CorpusError, match="there is no image"):
        build_cache(
            replace(spec, retriever=pictured), world.queries, tmp_path / "one", resources=Resources(model=folder)
        )


def test_what_is_chosen_for_a_build_is_what_this_version_makes():
    spec = with_instruction(default_spec("b3", passage_images=True), "Retrieve a passage.")
    spec = replace(spec, revision="sha256:" + "0" * 64)
    assert as_made_here(spec) == spec
    assert as_made_here(replace(spec, params={**spec.params, "max_pixels": 1})) != replace(
        spec, params={**spec.params, "max_pixels": 1}
    )
    for text in ("", "two\nlines"):
        with pytest.raises(ValueError, match="is no instruction"):
            with_instruction(spec, text)
    with pytest.raises(ValueError, match="has no instruction to choose"):
        with_instruction(default_spec("bm25"), "x")
