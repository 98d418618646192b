"""Exact dense search streamed from disk against faiss.IndexFlatIP in memory, and inverted lists beside them.

    python -m benchmarks.dense_search [--quick]

The vectors are drawn around centres of unequal size, as texts about one thing lie
together, and normalised; queries are drawn like passages. IndexFlatIP gets the
original float32 vectors, ours the 16-bit shards of an index; where the CPU has 8-bit products,
ours is measured with and without them. Each runs in a process of its own, in turns: seconds are
for searching alone, resident memory is the highest of the process.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, apart, save
from retrieval_cache.dense.shards import SHARD_ROWS, Shards, pack, write_shard
from retrieval_cache.device import has_int8_products

PASSAGES = 1_000_000
QUERIES = {384: 2048, 1024: 1024}
LISTS_AT = 384  # dimension at which the inverted lists are made too: minutes of training

OTHER = "IndexFlatIP in memory"
CENTRES = 20_000
K = 5
ROUNDS = 3  # of which the one with the median ratio counts
PLAIN = 0.8  # the aim against IndexFlatIP
NARROWED = {384: 1.3, 1024: 2.0}  # the aim with 8-bit products
IVF = {"nlist": 0, "nprobe": 0, "quantizer": "SQ8", "seed": 0}


def main(arguments: list[str]) -> int:
    quick = "--quick" in arguments
    rows: list[Row] = []
    for dim, queries in QUERIES.items():
        rows += measure(dim, *((20_000, 256) if quick else (PASSAGES, queries)))
    title = f"Dense search, {20_000 if quick else PASSAGES:,} passages, top {K}"
    if quick:
        print(title, *rows, sep="\n")
    else:
        save("dense_search", title, rows)
    return 0


def measure(dim: int, passages: int, queries: int) -> list[Row]:
    """All figures at one dimension."""
    with tempfile.TemporaryDirectory() as name:
        apart("benchmarks.dense_search:write", name, dim, passages, queries)
        kinds = ("flat", "streamed", "plain") if has_int8_products() else ("flat", "streamed")
        rounds = [{kind: apart(f"benchmarks.dense_search:{kind}", name, dim) for kind in kinds} for _ in range(ROUNDS)]
        true, found = (np.load(Path(name) / f"{kind}.npy") for kind in ("flat", "streamed"))
        what = f"d = {dim}, {queries:,} queries"
        flat, ours = median(rounds, "streamed")
        wanted = NARROWED[dim] if "plain" in kinds else PLAIN
        rows = compared(what, queries, flat, ours, wanted, float((true == found).mean()))
        if "plain" in kinds:
            what_plain, same = f"{what}, without 8-bit products", (np.load(Path(name) / "plain.npy") == found).mean()
            rows.append(
                Row(f"{what_plain}: same place in the top {K}", f"{same:.3%}", wanted="all", met=bool(same == 1))
            )
            rows.append(rate(what_plain, queries, *median(rounds, "plain"), PLAIN))
        if dim == LISTS_AT:
            lists = apart("benchmarks.dense_search:inverted", name, dim)
            near = np.load(Path(name) / "inverted.npy")
            recall = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(near, found, strict=True)]))
            rows += approximate(what, queries, flat, lists, recall)
    return rows


def median(rounds: list[dict[str, Any]], kind: str) -> tuple[Any, Any]:
    """IndexFlatIP and ours, by their ratio: what else the machine does slows both runs of a round."""
    ordered = sorted(rounds, key=lambda runs: runs["flat"]["seconds"] / runs[kind]["seconds"])
    return ordered[ROUNDS // 2]["flat"], ordered[ROUNDS // 2][kind]


def rate(what: str, queries: int, flat: dict[str, Any], ours: dict[str, Any], wanted: float) -> Row:
    """The speed of exact search against IndexFlatIP's."""
    speed = flat["seconds"] / ours["seconds"]
    rates = (f"{queries / run['seconds']:.1f}" for run in (ours, flat))
    name = f"{what}: queries per second"
    return Row(name, next(rates), OTHER, next(rates), f"{speed:.2f}", f"≥ {wanted}", speed >= wanted)


def compared(
    what: str, queries: int, flat: dict[str, Any], ours: dict[str, Any], wanted: float, same: float
) -> list[Row]:
    """Exact search against IndexFlatIP."""
    memory, other = ours["peak_bytes"] / flat["peak_bytes"], OTHER
    sizes = (_gigabytes(run["peak_bytes"]) for run in (ours, flat))
    return [
        rate(what, queries, flat, ours, wanted),
        Row(f"{what}: resident memory", next(sizes), other, next(sizes), f"{memory:.2f}", "≤ 0.6", memory <= 0.6),
        Row(f"{what}: same place in the top {K}", f"{same:.3%}", other, "", "", "≥ 99.9 %", same >= 0.999),
    ]


def approximate(what: str, queries: int, flat: dict[str, Any], lists: dict[str, Any], recall: float) -> list[Row]:
    """Inverted lists against IndexFlatIP; their recall is against our exact search."""
    made = f"{lists['making']:.0f} s, {_gigabytes(lists['bytes'])} on disk, {_gigabytes(lists['peak_bytes'])} resident"
    rate, other = f"{queries / lists['seconds']:.1f}", f"{queries / flat['seconds']:.1f}"
    ratio = f"{flat['seconds'] / lists['seconds']:.2f}"
    return [
        Row(f"{what}: inverted lists, queries per second", rate, "IndexFlatIP in memory", other, ratio),
        Row(f"{what}: inverted lists, recall@{K}", f"{recall:.3f}"),
        Row(f"{what}: making the inverted lists", made),
    ]


def write(folder: str, dim: int, passages: int, queries: int) -> dict[str, Any]:
    """The passages as float32 and as shards, and the queries."""
    path = Path(folder)
    originals = np.lib.format.open_memmap(path / "passages.npy", "w+", np.float32, (passages, dim))
    for number, block in enumerate(drawn(dim, passages, seed=1)):
        originals[number * SHARD_ROWS :][: len(block)] = block
        write_shard(path / f"embeddings-{number:05d}.npy", pack(block))
    originals.flush()
    np.save(path / "queries.npy", np.concatenate(list(drawn(dim, queries, seed=2))))
    return {}


def drawn(dim: int, count: int, seed: int) -> Iterator[np.ndarray]:
    """float32 [up to SHARD_ROWS, dim], length 1; the centres are the same for every seed."""
    centres = np.random.default_rng(0).normal(size=(CENTRES, dim)).astype(np.float32)
    weights = 1 / np.arange(1, CENTRES + 1) ** 0.5
    random = np.random.default_rng(seed)
    for start in range(0, count, SHARD_ROWS):
        rows = min(SHARD_ROWS, count - start)
        block = centres[random.choice(CENTRES, rows, p=weights / weights.sum())]
        block += random.uniform(0.4, 1.2, (rows, 1)).astype(np.float32) * random.standard_normal(
            (rows, dim), np.float32
        )
        yield block / np.linalg.norm(block, axis=1, keepdims=True)


def flat(folder: str, dim: int) -> dict[str, Any]:
    """IndexFlatIP over the float32 vectors."""
    import faiss

    queries = np.load(Path(folder) / "queries.npy")
    index = faiss.IndexFlatIP(dim)
    with (Path(folder) / "passages.npy").open("rb") as file:
        np.lib.format.read_magic(file)
        count = np.lib.format.read_array_header_1_0(file)[0][0]
        # Read in blocks, so that the process holds the vectors once and not twice.
        for start in range(0, count, SHARD_ROWS):
            rows = min(SHARD_ROWS, count - start)
            index.add(np.fromfile(file, np.float32, rows * dim).reshape(rows, dim))
    start = time.perf_counter()
    _, found = index.search(queries, K)
    seconds = time.perf_counter() - start
    np.save(Path(folder) / "flat.npy", found)
    return {"seconds": seconds}


def streamed(folder: str, dim: int) -> dict[str, Any]:
    """Ours."""
    if has_int8_products():
        import_module("retrieval_cache.dense.first_pass")  # as faiss is, before the clock starts
    return _searched(folder, dim, "streamed")


def plain(folder: str, dim: int) -> dict[str, Any]:
    """Ours as it is on a CPU without 8-bit products."""
    from retrieval_cache.dense import exact

    exact.WORTH_NARROWING = sys.maxsize
    return _searched(folder, dim, "plain")


def _searched(folder: str, dim: int, kind: str) -> dict[str, Any]:
    """In the blocks of queries that a build searches in."""
    from retrieval_cache.dense.exact import exact_search
    from retrieval_cache.retrievers import DenseRetriever

    queries, size = np.load(Path(folder) / "queries.npy"), DenseRetriever.query_block
    start = time.perf_counter()
    shards = Shards(Path(folder), dim)
    found = [exact_search(shards, queries[at : at + size], K)[0] for at in range(0, len(queries), size)]
    seconds = time.perf_counter() - start
    np.save(Path(folder) / f"{kind}.npy", np.concatenate(found))
    return {"seconds": seconds}


def inverted(folder: str, dim: int) -> dict[str, Any]:
    """Ours with `index="ivf"`, its lists chosen by size."""
    from retrieval_cache.dense.ivf import FILE, IvfIndex, build_ivf

    shards, path = Shards(Path(folder), dim), Path(folder) / FILE
    start = time.perf_counter()
    build_ivf(shards, path, IVF)
    making = time.perf_counter() - start
    queries = np.load(Path(folder) / "queries.npy")
    start = time.perf_counter()
    found, _ = IvfIndex(path, shards, IVF).search(queries, K)
    seconds = time.perf_counter() - start
    np.save(Path(folder) / "inverted.npy", found)
    return {"seconds": seconds, "making": making, "bytes": path.stat().st_size}


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
