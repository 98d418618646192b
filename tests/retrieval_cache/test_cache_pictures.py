"""Pictures come in the order asked for, whoever reads them, and a bad one is told in its place."""

from __future__ import annotations

import multiprocessing

import pytest
from PIL import Image, ImageChops

from retrieval_cache.encoders import pictures
from retrieval_cache.encoders.pictures import WORTH_WORKERS, read_pictures
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
