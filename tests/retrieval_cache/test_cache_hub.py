"""Corpora on the hub, against a hub on this machine: found, pinned to a commit, checked as they are read."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_hub import COMMIT, REPOSITORY, Hub, serving

from retrieval_cache import CorpusError, known_corpus_sha256, read_articles
from retrieval_cache.corpus.hub import hub_address

CARD = b"""---
configs:
- config_name: cvqa
  data_files:
  - split: train
    path: data/cvqa-*.jsonl.gz
  - split: more
    path: data/more.jsonl
- config_name: worldcuisines
  data_files: data/wc.jsonl
---
"""
ROOT = f"hf://datasets/{REPOSITORY}"

READ = """
import json, sys
from pathlib import Path
from retrieval_cache import BuildSpec, CorpusError, Query, build_cache, default_spec, known_corpus_sha256, read_articles

def read(address):
    try:
        reader = read_articles(address)
        ids = [article.id for article in reader]
        assert reader.sha256 == known_corpus_sha256(address, Path("nowhere")) and reader.position == reader.corpus.size
        return {"ids": ids, "source": reader.corpus.source, "sha256": reader.sha256}
    except CorpusError as error:
        return {"error": str(error)}

found = {address: read(address) for address in json.load(sys.stdin)}
spec = BuildSpec("mini", "test", sys.argv[1] + "/cvqa", default_spec("bm25"))
caches = [build_cache(spec, [Query("q", "soup")], Path(sys.argv[2])) for _ in range(2)]
found["built"] = dict(caches[1].manifest.corpus)
print(json.dumps(found))
"""

ADDRESSES = {
    "configuration": f"{ROOT}/cvqa",
    "at main": f"{ROOT}@main/cvqa/",
    "at commit": f"{ROOT}@{COMMIT}/cvqa",
    "small files": f"{ROOT}/worldcuisines",
    "folder": f"{ROOT}/shards",
    "file": f"{ROOT}/shards/0.parquet",
    "nothing": f"{ROOT}/wikipedia",
    "no file": f"{ROOT}/data/none.jsonl",
    "root": ROOT,
    "no revision": f"{ROOT}@v9/cvqa",
    "no repository": "hf://datasets/nobody/nothing/cvqa",
    "changed": f"{ROOT}/broken/changed.jsonl",
    "short": f"{ROOT}/broken/short.jsonl.gz",
}


def line(article_id: str) -> bytes:
    section = {"heading": "Introduction", "content": ["A soup."], "images": []}
    row = {"id": article_id, "title": "T", "url": "https://en.wikipedia.org/wiki/T", "content": [section]}
    return json.dumps(row).encode() + b"\n"


def parquet(article_id: str) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([json.loads(line(article_id))]), sink)
    return sink.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {
        "README.md": CARD,
        "data/cvqa-0.jsonl.gz": gzip.compress(line("a"), mtime=0),
        "data/cvqa-1.jsonl.gz": gzip.compress(line("b"), mtime=0),
        "data/more.jsonl": line("c"),
        "data/wc.jsonl": line("d"),
        "cvqa/queries.jsonl": b"no articles\n",  # a folder with the name of a configuration
        "shards/0.parquet": parquet("e"),
        "shards/1.jsonl": line("f"),
        "shards/README.txt": b"",
        "broken/changed.jsonl": line("g"),
        "broken/short.jsonl.gz": gzip.compress(b"".join(line(f"h{number}") for number in range(50))),
    }


@pytest.fixture(scope="module")
def found(files, tmp_path_factory) -> dict[str, dict]:
    """What a process of its own finds under each of ADDRESSES: the hub client reads its endpoint when imported."""
    folder = tmp_path_factory.mktemp("hub")
    hub = Hub(
        files, large={path for path in files if path.endswith((".gz", "more.jsonl", ".parquet", "changed.jsonl"))}
    )
    hub.sent = {
        "broken/changed.jsonl": line("x"),
        "broken/short.jsonl.gz": files["broken/short.jsonl.gz"][:-20],
    }
    with serving(hub) as url:
        settings = {
            "HF_ENDPOINT": url,
            "HF_HOME": str(folder / "home"),
            "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_OFFLINE": "0",
        }
        done = subprocess.run(
            [sys.executable, "-c", READ, ROOT, str(folder / "caches")],
            input=json.dumps(list(ADDRESSES.values())),
            env={**os.environ, **settings, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    by_address = json.loads(done.stdout)
    return {name: by_address[address] for name, address in ADDRESSES.items()} | {"built": by_address["built"]}


@pytest.mark.parametrize("name", ["configuration", "at main", "at commit"])
def test_a_configuration_is_read_split_after_split_at_one_commit(found, name):
    assert found[name]["ids"] == ["a", "b", "c"]
    assert found[name]["source"] == f"{ROOT}@{COMMIT}/cvqa"


def test_files_that_the_hub_knows_by_sha256_have_the_key_of_a_local_copy(found, files, tmp_path):
    for number, path in enumerate(["data/cvqa-0.jsonl.gz", "data/cvqa-1.jsonl.gz", "data/more.jsonl"]):
        (tmp_path / f"{number}.jsonl").write_bytes(files[path])
    assert known_corpus_sha256(tmp_path, tmp_path) == found["configuration"]["sha256"]
    assert [article.id for article in read_articles(tmp_path)] == ["a", "b", "c"]


def test_a_path_is_a_folder_or_a_file_and_small_files_are_known_by_their_blob(found):
    assert (
        found["folder"]["ids"] == ["e", "f"] and found["file"]["ids"] == ["e"] and found["small files"]["ids"] == ["d"]
    )
    digests = [found[name]["sha256"] for name in ("configuration", "folder", "file", "small files")]
    assert len(set(digests)) == 4 and all(len(digest) == 64 for digest in digests)


@pytest.mark.parametrize(
    "name, says",
    [
        ("nothing", "/wikipedia"),
        ("no file", "'data/none.jsonl' is not there"),
        ("root", "has no article files"),
        ("no revision", "cannot be found on the hub"),
        ("no repository", "cannot be found on the hub"),
        ("changed", "its content is sha256:"),
        ("short", "cannot be read after line"),
    ],
)
def test_what_cannot_be_read_is_named(found, name, says):
    error = found[name]["error"]
    assert says in error and "hf://datasets/" in error and "\n" not in error


def test_a_build_records_the_commit_and_files_passages_under_the_content(found):
    assert found["built"]["source"] == f"{ROOT}@{COMMIT}/cvqa"
    assert found["built"]["sha256"] == found["configuration"]["sha256"] and found["built"]["articles"] == 3


def test_without_the_hub_there_is_one_clear_error():
    with pytest.raises(CorpusError, match=r"cvqa cannot be found on the hub \(.*offline"):
        read_articles(f"{ROOT}@main/cvqa")


@pytest.mark.parametrize("address", ["hf://models/a/b", "hf://datasets/a", "https://example.org/a.jsonl", "s3://b/a"])
def test_other_addresses_are_refused(address):
    with pytest.raises(CorpusError, match=r"is no address of a corpus.*hf://datasets/<owner>"):
        read_articles(address)


def test_revisions_with_a_slash_are_written_as_the_hub_client_writes_them():
    assert hub_address("a/b", "refs/pr/1", "cvqa") == "hf://datasets/a/b@refs%2Fpr%2F1/cvqa"
    assert hub_address("a/b", None, "") == "hf://datasets/a/b"
