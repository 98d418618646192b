"""The noted sha256 of a corpus: never wrong, whatever is in the note, and read once where the file rests."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from retrieval_cache import CorpusError, has_caches, known_corpus_sha256
from retrieval_cache.corpus import known


@pytest.fixture
def corpus(tmp_path) -> Path:
    """A corpus file that was written long ago."""
    return settle(tmp_path / "corpus.jsonl", b"articles")


@pytest.fixture
def read(monkeypatch) -> list[Path]:
    """The files that were read whole, in order; nothing is known in this process at first."""
    files: list[Path] = []
    real = known.file_sha256
    monkeypatch.setattr(known, "file_sha256", lambda path: files.append(path) or real(path))
    monkeypatch.setattr(known, "_in_process", {})
    return files


def settle(path: Path, content: bytes, seconds: int = 1_000_000) -> Path:
    path.write_bytes(content)
    os.utime(path, (seconds, seconds))
    return path


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def forget(monkeypatch):
    """As in another process."""
    monkeypatch.setattr(known, "_in_process", {})


def test_a_file_is_read_once_in_a_process_and_once_for_all_processes(corpus, read, tmp_path, monkeypatch):
    for _ in range(3):
        assert known_corpus_sha256(corpus, tmp_path / "root") == sha(b"articles")
    forget(monkeypatch)
    assert known_corpus_sha256(corpus, tmp_path / "root") == sha(b"articles")
    assert read == [corpus]
    assert str(tmp_path) not in (tmp_path / "root" / known.KNOWN_FILE).read_text()


@pytest.mark.parametrize("other_process", [False, True])
def test_a_changed_file_is_read_again(corpus, read, tmp_path, monkeypatch, other_process):
    known_corpus_sha256(corpus, tmp_path)
    for number, content in enumerate((b"another", b"elcitras", b"articles")):
        # The second: of the same size and, as `cp -p` would leave it, of the same modification time.
        settle(corpus, content, 1_000_000 + (number == 0))
        if other_process:
            forget(monkeypatch)
        assert known_corpus_sha256(corpus, tmp_path) == sha(content)
    assert len(read) == 4


def test_a_file_that_was_just_written_is_not_noted(corpus, read, tmp_path):
    corpus.write_bytes(b"articles")
    known_corpus_sha256(corpus, tmp_path)
    known_corpus_sha256(corpus, tmp_path)
    assert read == [corpus] * 2 and not (tmp_path / known.KNOWN_FILE).exists()


@pytest.mark.parametrize("broken", ["", "{", "[]", "{}", '"x"', "[" * 100_000, "entry", "sum", "folder"])
def test_a_broken_note_is_only_slower_and_mended(corpus, read, tmp_path, monkeypatch, broken):
    note = tmp_path / known.KNOWN_FILE
    known_corpus_sha256(corpus, tmp_path)
    (name, entry) = next(iter(json.loads(note.read_text()).items()))
    if broken == "folder":
        note.unlink()
        note.mkdir()
    else:
        spoilt = {"entry": {name: "x"}, "sum": {name: {**entry, "sha256": "0" * 63 + "G"}}}
        note.write_text(json.dumps(spoilt[broken]) if broken in spoilt else broken)
    for _ in range(2):
        forget(monkeypatch)
        assert known_corpus_sha256(corpus, tmp_path) == sha(b"articles")
    assert len(read) == (3 if broken == "folder" else 2)


def test_a_root_that_cannot_be_written_to_is_only_slower(corpus, read, tmp_path, monkeypatch):
    root = tmp_path / "root"
    root.write_text("not a folder")
    for _ in range(2):
        forget(monkeypatch)
        assert known_corpus_sha256(corpus, root) == sha(b"articles")
    assert len(read) == 2


def test_notes_of_other_files_are_kept(corpus, read, tmp_path, monkeypatch):
    other = settle(tmp_path / "other.jsonl", b"other")
    for path in (corpus, other):
        known_corpus_sha256(path, tmp_path)
    forget(monkeypatch)
    assert known_corpus_sha256(corpus, tmp_path) != known_corpus_sha256(other, tmp_path)
    assert read == [corpus, other]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"gone\.jsonl cannot be read"):
        known_corpus_sha256(tmp_path / "gone.jsonl", tmp_path)


def test_a_build_reads_a_noted_corpus_only_to_cut_it(world, read):
    os.utime(world.corpus, (1_000_000, 1_000_000))
    world.build()
    assert world.build("pixel").manifest.corpus["sha256"] == sha(world.corpus.read_bytes())
    shutil.rmtree(world.root / "passages")
    world.build()
    assert read == [world.corpus]  # cutting hashes the bytes as it reads them


def test_a_folder_is_known_by_the_content_and_order_of_its_files(corpus, read, tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    parts = [settle(folder / f"part-{number}.jsonl", content) for number, content in enumerate((b"one", b"two"))]
    settle(folder / "README.md", b"not read")
    both = known_corpus_sha256(folder, tmp_path)
    assert known_corpus_sha256(str(folder), tmp_path) == both and read == parts
    parts[0].rename(folder / "part-0a.jsonl")  # another name in the same order
    assert known_corpus_sha256(folder, tmp_path) == both
    (folder / "part-0a.jsonl").rename(folder / "part-2.jsonl")
    turned = known_corpus_sha256(folder, tmp_path)
    settle(folder / "part-2.jsonl", b"neo")
    assert len({both, turned, known_corpus_sha256(folder, tmp_path)}) == 3
    (folder / "part-2.jsonl").unlink()
    assert known_corpus_sha256(folder, tmp_path) == known_corpus_sha256(parts[1], tmp_path) == sha(b"two")


def test_whether_anything_was_built_is_known_without_opening_it(world):
    assert not has_caches(world.root, "mini", "test")
    cache = world.build()
    (cache.folder / "manifest.json").write_text("{")
    assert has_caches(world.root, "mini", "test") and not has_caches(world.root, "mini", "other")
