"""Vectors of passages that other indexes of a cache root hold: what two corpora share is embedded once.

A donor is a finished index of the same encoder: same weights, parameters and
versions of libraries, whatever its corpus and its way to cut. A passage whose text stands in one
gets the donor's vector, bit for bit. It may differ in its last bits from the one that this
build would have made, because it came out of another batch; so donors are chosen
when an index is begun, kept in its folder, where a resumed build finds the
same, and named in its meta.

Where passages are embedded with pictures, nothing is taken over: pictures are not compared.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval_cache.dense.shards import SHARD_ROWS, shard_path
from retrieval_cache.files import brief_lock, describe_file, read_json, reading, write_json
from retrieval_cache.records import CacheCorrupt, CacheError, Passage, RetrieverSpec, content_key
from retrieval_cache.specs import passage_input
from retrieval_cache.store.caches import passages_folder
from retrieval_cache.store.passages import BATCH_ROWS, PassageTable
from retrieval_cache.store.passages import FILE as PASSAGES_FILE
from retrieval_cache.store.stages import META_FILE, damage, read_meta

FILE = "donors.json"


@dataclass(frozen=True)
class Donor:
    """A finished index that vectors are taken from: its folder, its key, and the key of the passages it is of."""

    folder: Path
    key: str
    passages_key: str

    @property
    def passages(self) -> Path:
        """The folder of its passages."""
        return passages_folder(self.folder.parent.parent, self.passages_key)


def embedder_key(spec: RetrieverSpec, libraries: Mapping[str, str]) -> str:
    """Key of all that shapes the vector of a passage beside its text: indexes with the same may lend each other.

    An instruction is put before queries alone; for E5, only whether there is one decides how passages begin.
    """
    told = spec.to_json() | {"instruction": bool(spec.instruction)}
    return content_key("embedder", {"retriever": told, "libraries": dict(libraries)})


def choose_donors(folder: Path, embedder: str) -> tuple[Donor, ...]:
    """The donors of the index in `folder`: those it was begun with, else all that are finished now, by key."""
    if begun_with(folder) is None:
        # Processes that begin together must choose the same, though an index may be finished between them.
        with brief_lock(folder.parent.parent, folder / FILE):
            if begun_with(folder) is None:
                write_json(folder / FILE, {"donors": [donor.key for donor in possible_donors(folder, embedder)]})
    return possible_donors(folder, embedder)


def possible_donors(folder: Path, embedder: str) -> tuple[Donor, ...]:
    """Those that `choose_donors` gives, or would give now: nothing is begun."""
    chosen = begun_with(folder)
    finished = sorted(_finished(folder, embedder), key=lambda donor: donor.key)
    return tuple(donor for donor in finished if chosen is None or donor.key in chosen)


def facts_of_donor(folder: Path, embedder: str, passages_key: str) -> dict[str, Any]:
    """What the meta of an index says, so that it can lend, and where it borrowed."""
    return {"embedder": embedder, "passages": passages_key, "donors": begun_with(folder) or []}


def begun_with(folder: Path) -> list[str] | None:
    """Keys of the donors that were chosen for an index; None if none were yet."""
    try:
        return [str(key) for key in read_json(folder / FILE)["donors"]]
    except (FileNotFoundError, CacheCorrupt, KeyError, TypeError):
        return None


def _finished(folder: Path, embedder: str) -> Iterator[Donor]:
    for path in sorted(folder.parent.glob(f"*/{META_FILE}")):
        try:
            meta = read_json(path)
            key, facts = str(meta["key"]), meta["facts"]
            fits = facts.get("embedder") == embedder and read_meta(path.parent, key) is not None
            donor = Donor(path.parent, key, str(facts["passages"])) if fits else None
        except (CacheCorrupt, FileNotFoundError, KeyError, TypeError, AttributeError):
            continue  # whoever needs that index will say what is wrong with it
        if donor is not None and (donor.passages / PASSAGES_FILE).is_file() and path.parent != folder:
            yield donor


class Lender:
    """Looks up the vectors of passages in donors; opened when it is first asked."""

    def __init__(self, donors: Sequence[Donor], params: Mapping[str, Any]) -> None:
        """`params` are those of the retriever, which say what of a passage is embedded."""
        self._donors, self._params = donors, params

    def vectors(self, passages: Sequence[Passage], width: int) -> dict[int, np.ndarray]:
        """Number of a passage → its packed vector, int16 [width], for those that a donor holds."""
        texts = [passage_input(self._params, passage.title, passage.text) for passage in passages]
        found: dict[int, np.ndarray] = {}
        for donor in self._opened:
            left = [number for number in range(len(texts)) if number not in found]
            found |= donor.vectors(left, texts, width)
        return found

    @functools.cached_property
    def _opened(self) -> list[_OpenDonor]:
        # Rows say whose a vector is, so passages that were changed must not be believed.
        whole = [donor for donor in self._donors if damage(donor.passages, donor.passages_key) == []]
        return [_OpenDonor(donor, self._params) for donor in whole]


class _OpenDonor:
    """The texts of one donor by their hashes, sorted; 12 bytes a passage in memory."""

    def __init__(self, donor: Donor, params: Mapping[str, Any]) -> None:
        self._folder, self._params = donor.folder, params
        self._passages = PassageTable(donor.passages / PASSAGES_FILE)
        self._files = (read_meta(donor.folder, donor.key) or {"files": {}})["files"]
        self._sound: dict[Path, bool] = {}
        hashes = np.empty(len(self._passages), np.uint64)
        for start in range(0, len(hashes), BATCH_ROWS):
            hashes[start : start + BATCH_ROWS] = [_hash(text) for text in self._texts(start, start + BATCH_ROWS)]
        self._rows = np.argsort(hashes, kind="stable").astype(np.int32)
        self._hashes = hashes[self._rows]

    def vectors(self, numbers: Sequence[int], texts: Sequence[str], width: int) -> dict[int, np.ndarray]:
        """The packed vectors of those of the texts that are here."""
        asked = np.array([_hash(texts[number]) for number in numbers], np.uint64)
        places = np.minimum(np.searchsorted(self._hashes, asked), len(self._hashes) - 1)
        rows = {
            number: int(self._rows[place])
            for number, place, same in zip(numbers, places, self._hashes[places] == asked, strict=True)
            # A hash may be another text's, so the texts themselves are compared.
            if same and self._texts(self._rows[place], self._rows[place] + 1) == [texts[number]]
        }
        found: dict[int, np.ndarray] = {}
        for shard in sorted({row // SHARD_ROWS for row in rows.values()}):
            mapped = self._shard(shard, width)
            for number, row in rows.items() if mapped is not None else ():
                if row // SHARD_ROWS == shard:
                    found[number] = np.array(mapped[row % SHARD_ROWS])
        return found

    def _texts(self, start: int, stop: int) -> list[str]:
        rows = self._passages.slice(int(start), int(stop))
        return [passage_input(self._params, passage.title, passage.text) for passage in rows]

    def _shard(self, number: int, width: int) -> np.ndarray | None:
        """One shard, mapped; None where it is not as its meta says, for a flipped bit must not travel."""
        path = shard_path(self._folder, number)
        if path not in self._sound:
            try:
                self._sound[path] = describe_file(path) == self._files.get(path.name)
            except (FileNotFoundError, CacheError):
                self._sound[path] = False
        if not self._sound[path]:
            return None
        with reading(path):
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        return mapped if mapped.shape[1:] == (width,) else None


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
