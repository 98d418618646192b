"""`m4rag demo`, the first thing that people run: everything is in its report."""

from __future__ import annotations

import json
import shutil

import pytest
from harness import run_m4rag

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def demo(mini_cache, tmp_path_factory):
    """Its folder and what it printed; indexes are taken from the cache of all tests, which it must not change."""
    folder = tmp_path_factory.mktemp("demo")
    root = shutil.copytree(mini_cache, folder / "cache")
    done = run_m4rag("demo", "--output-dir", str(folder), M4RAG_CACHE=str(root))
    return folder, done.stdout


def test_every_section_of_the_report_has_data(demo):
    folder, _ = demo
    report = json.loads((folder / "report" / "results.json").read_text(encoding="utf-8"))
    found = {
        key: [len(table["rows"]) for table in section["tables"].values()] for key, section in report["sections"].items()
    }
    assert list(found) == [
        *("settings", "size", "wording", "changes", "confusion", "flips", "leaks", "positions", "invalid", "cost"),
    ]
    assert all(counts and min(counts) for counts in found.values()), found
    assert min(map(len, (report["breakdowns"], report["changes"], report["gaps"]))) > 0
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert all(f'id="{key}"' in page for key in found) and 'id="examples"' in page


def test_the_table_that_it_prints_has_every_setting_and_the_readers_of_all_sizes(demo):
    _, printed = demo
    rows = [line.split() for line in printed.splitlines() if " mini " in line]
    accuracy = {(model, setting): float(macro) for model, _, setting, macro, *_ in rows}
    assert len(accuracy) == 11 + 3 + 4 * 3
    assert accuracy["m4rag_reader", "oracle"] > accuracy["m4rag_reader", "mmrag"] > accuracy["m4rag_reader", "norag"]
    by_size = [accuracy[f"m4rag_reader-{size}", "mmrag"] for size in (250, 500, 1000, 2000)]
    assert by_size == sorted(by_size)
