"""What is read from large files does not stay in the memory of the process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retrieval_cache.records import Passage, Query
from retrieval_cache.sparse import bm25, runs
from retrieval_cache.store import passages
from retrieval_cache.store.passages import PassageTable, write_passages

SMAPS = Path("/proc/self/smaps")
pytestmark = pytest.mark.skipif(not SMAPS.exists(), reason="only Linux says what of a file is in memory")


def resident(path: Path) -> int:
    """How many bytes of a mapped file are in the memory of this process."""
    maps = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", SMAPS.read_text(), flags=re.MULTILINE)
    mine = [block for block in maps if str(path) in block.partition("\n")[0]]
    return sum(int(re.search(r"^Rss: +(\d+) kB", block, re.MULTILINE)[1]) * 1024 for block in mine)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> PassageTable:
    path = tmp_path_factory.mktemp("mapped") / "passages.arrow"
    texts = (f"passage {i} " + "word " * 100 for i in range(5 * passages.BATCH_ROWS))
    write_passages(path, (Passage(f"p{i}", "a", "", text, "en") for i, text in enumerate(texts)))
    return PassageTable(path)


def test_walking_through_passages_keeps_some_batches_only(table, monkeypatch):
    table.forget()
    monkeypatch.setattr(passages, "_BATCHES_IN_MEMORY", 100)
    assert sum(1 for _ in table) == len(table)
    whole = resident(table.path)
    table.forget()
    monkeypatch.setattr(passages, "_BATCHES_IN_MEMORY", 1)
    most = max(resident(table.path) for i, _ in enumerate(table) if i % (passages.BATCH_ROWS // 2) == 0)
    assert table.path.stat().st_size * 0.9 < whole and most < whole / 2
    table.forget()
    assert resident(table.path) < whole / 20
    assert table[len(table) - 1].text.startswith(f"passage {len(table) - 1} ")


def test_an_opened_run_and_a_searched_index_take_no_memory_they_need_not(table, tmp_path, monkeypatch):
    run = runs.kept_run(tmp_path, 0, [row.text for row in table.slice(0, 20_000)])
    [path] = tmp_path.glob(runs.RUNS)
    assert resident(path) == 0 and run.count.sum() > 0 and resident(path) > 0
    run.forget()
    assert resident(path) == 0

    bm25.Bm25Index.build(iter(table.slice(0, 20_000)), tmp_path / "index")
    index = bm25.Bm25Index(tmp_path / "index")
    asked = [Query("q", "passage 17 word")]
    found = index.search(asked, 5)[0]
    assert resident(tmp_path / "index" / "count.npy") > 0
    monkeypatch.setattr(bm25, "RESIDENT_BYTES", 0)
    assert (index.search(asked, 5)[0] == found).all()
    assert resident(tmp_path / "index") == 0
