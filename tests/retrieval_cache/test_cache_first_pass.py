"""The first pass through 8-bit products leaves out no pair that matters: search finds what it finds without."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval_cache.dense import exact, first_pass, shards
from retrieval_cache.dense.first_pass import FirstPass
from retrieval_cache.device import has_int8_products


@pytest.fixture(autouse=True, scope="module")
def exact_products():
    """Where the CPU lacks the instructions, torch's sums may overflow."""
    with pytest.MonkeyPatch.context() as patch:
        if not has_int8_products():
            patch.setattr(first_pass, "multiplied", lambda a, b: a.astype(np.int32) @ b.T.astype(np.int32))
            first_pass.products_are_right.cache_clear()
        yield


def packed_rows(random, count, dim, exponents):
    """Rows of all kinds: full of noise, of the largest numbers, with one large number, with none at all."""
    kinds = [
        random.integers(-32767, 32768, (count, dim)),
        random.choice([-32767, -32640, -129, -128, 127, 128, 32639, 32640, 32767], (count, dim)),
        random.integers(-40, 41, (count, dim)) * np.where(np.arange(dim) == random.integers(dim), 800, 1),
        np.zeros((count, dim), int),
    ]
    chosen = random.choice(4, count, p=[0.4, 0.3, 0.2, 0.1])
    rows = np.stack([kinds[kind][number] for number, kind in enumerate(chosen)])
    return np.column_stack([rows, random.integers(*exponents, count, endpoint=True)]).astype(np.int16)


def float32_scores(vectors, packed):
    with np.errstate(over="ignore"):
        products = vectors[:, None].astype(np.float64) * shards.unpack(packed).astype(np.float64)
        return products.sum(axis=2).astype(np.float32)


@settings(max_examples=100)
@given(
    st.integers(0, 9999),
    st.sampled_from([1, 2, 3, 17, 64, 300]),
    st.sampled_from([(-15, -15), (-18, -12), (-126, -120), (105, 113), (-126, 113)]),
    st.sampled_from([1e-44, 1e-38, 1e-9, 1.0, 1e9, 3e36]),
    st.booleans(),
)
def test_no_pair_that_reaches_a_score_is_left_out(seed, dim, exponents, length, along):
    """One number wide, the bound is the truth itself: there is no room but for rounding."""
    random = np.random.default_rng(seed)
    packed = packed_rows(random, 40, dim, exponents)
    vectors = random.standard_normal((9, dim))
    if along:  # as long in their direction as vectors can be
        vectors = shards.unpack(packed)[random.integers(40, size=9)].astype(np.float64)
        vectors /= np.abs(vectors).max(axis=1, keepdims=True, initial=1e-300)
    vectors = (vectors * length).astype(np.float32)
    vectors[~vectors.any(axis=1), 0] = length
    scores = float32_scores(vectors, packed)
    with closing(FirstPass(vectors)) as near:
        for row in range(len(packed)):
            owners, rows, again = near(packed, scores[:, row])
            found = np.zeros(scores.shape, bool)
            found[owners, rows] = True
            assert found[scores >= scores[:, row, None]].all()
            assert (np.diff(owners) >= 0).all() and len(owners) <= again <= scores.size


def test_most_pairs_are_left_out():
    random = np.random.default_rng(0)
    vectors, passages = random.standard_normal((20, 256)).astype(np.float32), random.standard_normal((3000, 256))
    packed = shards.pack(passages)
    scores = float32_scores(vectors, packed)
    with closing(FirstPass(vectors)) as near:
        owners, _, again = near(packed, np.sort(scores, axis=1)[:, -5])
    assert len(owners) == 5 * 20 and again < scores.size / 100


def searched(folder, vectors, k, patch, narrow):
    """exact_search in either way, and whether it went through all float32 scores."""
    plain, asked = exact._plain, []
    patch.setattr(exact, "WORTH_NARROWING", 0)
    patch.setattr(exact, "has_int8_products", lambda: narrow)
    patch.setattr(exact, "_plain", lambda *arguments: asked.append(arguments) or plain(*arguments))
    found = exact.exact_search(shards.Shards(folder, vectors.shape[1]), vectors, k)
    patch.setattr(exact, "_plain", plain)
    return *found, bool(asked)


@settings(max_examples=60)
@given(
    st.integers(0, 9999),
    st.sampled_from(["noise", "few numbers", "copies", "last bits", "lengths", "one direction"]),
    st.sampled_from([1, 3, 40]),
    st.integers(1, 30),
    st.sampled_from([7, 64]),
    st.sampled_from([0, 1]),
)
def test_search_finds_the_same_through_a_first_pass(tmp_path_factory, seed, kind, dim, k, shard, share):
    """Also where it is given up half way, as it is if the share of pairs it may leave is none."""
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 200))
    passages = random.standard_normal((count, dim))
    if kind == "few numbers":
        passages = np.rint(passages)
    elif kind == "copies":
        passages = passages[random.integers(0, 3, count) % count]
    elif kind == "lengths":
        passages *= 2.0 ** random.integers(-30, 30, (count, 1))
    elif kind == "one direction":
        passages = 10 + passages / 50
    packed = shards.pack(passages)
    if kind == "last bits":
        packed = packed[random.integers(0, 3, count) % count]
        packed[np.arange(count), random.integers(0, dim, count)] ^= 1
    folder = tmp_path_factory.mktemp("narrowed")
    for number, start in enumerate(range(0, count, shard)):
        shards.write_shard(shards.shard_path(folder, number), packed[start : start + shard])
    vectors = random.standard_normal((11, dim)).astype(np.float32)
    vectors[3] = 0
    with pytest.MonkeyPatch.context() as patch:
        rows, scores, _ = searched(folder, vectors, k, patch, narrow=False)
        patch.setattr(exact, "SHARD_ROWS", shard)
        patch.setattr(exact, "_FEW", share)
        patch.setattr(exact, "_FEW_OF_ALL", share)
        again = searched(folder, vectors, k, patch, narrow=True)
    assert again[0].tobytes() == rows.tobytes() and again[1].tobytes() == scores.tobytes()
    assert again[2] or share or not count


@pytest.mark.parametrize("alike", [False, True])
def test_a_first_pass_that_leaves_nearly_all_pairs_is_given_up(tmp_path, monkeypatch, alike):
    random = np.random.default_rng(1)
    passages = np.tile(random.standard_normal(32), (6000, 1)) if alike else random.standard_normal((6000, 32))
    for number, start in enumerate(range(0, 6000, 1000)):
        shards.write_shard(shards.shard_path(tmp_path, number), shards.pack(passages[start : start + 1000]))
    vectors = random.standard_normal((4, 32)).astype(np.float32)
    rows, scores, _ = searched(tmp_path, vectors, 2, monkeypatch, narrow=False)
    again = searched(tmp_path, vectors, 2, monkeypatch, narrow=True)
    assert again[2] == alike
    assert again[0].tobytes() == rows.tobytes() and again[1].tobytes() == scores.tobytes()


def test_products_that_are_wrong_are_not_used(tmp_path, monkeypatch):
    random = np.random.default_rng(2)
    shards.write_shard(shards.shard_path(tmp_path, 0), shards.pack(random.standard_normal((50, 8))))
    vectors = random.standard_normal((4, 8)).astype(np.float32)
    first_pass.products_are_right.cache_clear()
    right = first_pass.multiplied
    monkeypatch.setattr(first_pass, "multiplied", lambda a, b: right(a, b).clip(-32768, 32767))
    try:
        assert searched(tmp_path, vectors, 2, monkeypatch, narrow=True)[2]
    finally:
        first_pass.products_are_right.cache_clear()


def test_threads_of_the_first_pass_leave_those_of_others_alone():
    """How many threads torch uses moves the last bits of what encoders give."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with closing(FirstPass(np.ones((2, 4), np.float32))) as near, ThreadPoolExecutor(1) as other:
            near(shards.pack(np.ones((5, 4))), np.zeros(2))
            assert torch.get_num_threads() == other.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)
