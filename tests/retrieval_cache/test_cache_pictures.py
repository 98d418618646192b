"""Pictures come in the order asked for, whoever reads them, and a bad one is told in its place."""

from __future__ import annotations

import multiprocessing
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from retrieval_cache import Query, default_spec
from retrieval_cache.encoders import pictures
from retrieval_cache.encoders.multimodal import MultimodalEncoder
from retrieval_cache.encoders.pictures import WORTH_WORKERS, read_pictures
from retrieval_cache.encoders.pixel import PixelEncoder
from retrieval_cache.images import read_rgb
from retrieval_cache.records import CorpusError


@pytest.fixture
def paths(tmp_path, draw):
    made = [draw(tmp_path / f"{number}.png", number, size=32 + number) for number in range(WORTH_WORKERS + 3)]
    made.insert(5, made[2])  # one picture twice
    made[9].write_bytes(made[9].read_bytes()[:200])
    made[11] = tmp_path / "gone.png"
    return made


@pytest.fixture(params=["here", "workers"])
def cores(request, monkeypatch):
    count = {"here": 1, "workers": 3}[request.param]
    monkeypatch.setattr(pictures, "cores", lambda: count)
    return count


def test_pictures_come_in_order_and_errors_in_their_place(paths, cores):
    found = read_pictures(paths)
    read = [next(found)]
    assert len(multiprocessing.active_children()) == cores - 1
    read += found
    assert len(read) == len(paths)
    for number, (path, picture) in enumerate(zip(paths, read, strict=True)):
        if number in (9, 11):
            assert isinstance(picture, CorpusError) and path.name in picture.message
        else:
            assert isinstance(picture, Image.Image) and picture.mode == "RGB"
            assert ImageChops.difference(picture, read_rgb(path)).getbbox() is None


def test_whoever_stops_early_leaves_no_worker(paths, cores):
    found = read_pictures(paths)
    next(found)
    found.close()
    for child in multiprocessing.active_children():
        child.join(10)
    assert not multiprocessing.active_children()


def test_few_pictures_start_no_worker(paths, monkeypatch):
    monkeypatch.setattr(pictures, "cores", lambda: 8)
    found = read_pictures(paths[:3])
    next(found)
    assert not multiprocessing.active_children()


class Colours:
    """An adapter whose vectors are the mean colours; it kills a worker before its first batch if asked to."""

    device, dim, limit = "cpu", 3, 10

    def __init__(self, killing: bool) -> None:
        self.killing = killing

    def query(self, text, pictured):
        return text

    def tokens(self, texts, sizes):
        return [1] * len(texts)

    def embed(self, texts, images, asked):
        if self.killing:
            self.killing = False
            worker = multiprocessing.active_children()[0]
            worker.kill()  # all of its pictures are larger than what a pipe holds: it is in the middle of one
            worker.join()
        return torch.tensor(np.stack([np.asarray(image, np.float32).mean(axis=(0, 1)) for image in images]))


@pytest.mark.parametrize("main_thread", [True, False])
def test_a_killed_worker_costs_what_it_had_left_and_no_more(tmp_path, draw, monkeypatch, main_thread):
    monkeypatch.setattr(pictures, "cores", lambda: 3)
    asked = []
    for number in range(100):
        path = draw(tmp_path / f"{number}.png", number, size=300)
        asked.append(Query(f"q{number}", "x", path.name, path))

    def encoded(killing):
        adapter = Colours(killing)
        return MultimodalEncoder(SimpleNamespace(name="colours", params=default_spec("b3").params), adapter, 64)

    whole = encoded(False).encode_queries(asked)
    found = []
    with pytest.warns(UserWarning, match="a process that reads pictures was killed") as told:
        if main_thread:
            found.append(encoded(True).encode_queries(asked))
        else:
            thread = threading.Thread(target=lambda: found.append(encoded(True).encode_queries(asked)), daemon=True)
            thread.start()
            thread.join(60)
    assert np.array_equal(found, [whole])
    assert len(told) == 1


def test_pixel_reads_with_workers_what_it_reads_alone(world, monkeypatch):
    monkeypatch.setattr(pictures, "WORTH_WORKERS", 2)
    found = []
    for count in (1, 3):
        monkeypatch.setattr(pictures, "cores", lambda count=count: count)
        found.append(PixelEncoder().encode_queries(world.queries * 2))
    assert np.array_equal(*found)
    world.queries[5].image_path.write_bytes(b"no picture")
    with pytest.raises(CorpusError, match=r"query 'q5'.*cannot be read"):
        PixelEncoder().encode_queries(world.queries)
    assert not multiprocessing.active_children()
