"""Texts that stand beside the questions: oracle contexts and captions.

A context set is a JSONL file of {"question_id", "text"}; where it lies and which of
several is used, `context_sets` knows. Kinds:

    oracle        what is needed to answer (the paper, section 3.3)
    oracle_local  the same in the question's language (the paper's RQ3)
    caption       a description of the image, made without knowing the answer
    queries       search queries, one a line, to build a corpus with; no task shows them

For WorldCuisines the oracle context is the dish's `Text Description` in the food
knowledge base, so no file is needed. The mini benchmark bundles its own. CVQA asks
each question twice: a text under the bare `ID` serves both ways of asking. Elsewhere an
id names its variety, so that no text serves a question in another one.
"""

from __future__ import annotations

import codecs
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from m4rag_tasks import datasets, sources
from m4rag_tasks.context_sets import CONTEXTS_VARIABLE, ContextSet, in_use
from m4rag_tasks.errors import ContextError
from m4rag_tasks.rows import Row
from m4rag_tasks.suite import Dataset
from retrieval_cache import file_sha256

KB_COLUMN = "Text Description"


def context_name(dataset: Dataset, kind: str) -> str:
    """How records name the context set: where the text of this kind comes from."""
    return f"food-kb:{KB_COLUMN}" if in_knowledge_base(dataset, kind) else in_use(dataset, kind).title


def context(dataset: Dataset, kind: str, row: Row) -> str:
    """The text of one kind for one question.

    Raises `ContextError` where there is none: a question without its context
    must never pass silently as one without retrieval.
    """
    if in_knowledge_base(dataset, kind):
        entry = datasets.knowledge_base(dataset).get(str(row.subject_id))
        text = (entry or {}).get(KB_COLUMN) or ""
        where = context_name(dataset, kind)
    else:
        asked = in_use(dataset, kind)
        path, texts = asked.path, texts_of(asked)
        text = texts.get(row.question_id) or (texts.get(row.qa_id, "") if dataset.asks_in_english else "")
        where = str(path)
    text = " ".join(text.split())
    if not text:
        raise ContextError(
            f"{dataset.title}: question {row.question_id} has no {kind} context in {where}."
            f" The setting cannot be run without it."
        )
    return text


def texts_of(one: ContextSet) -> dict[str, str]:
    """All texts of a set by question id. Raises `ContextError` if it is missing, broken or not what was imported."""
    stamp = _stamp(one.path)
    texts = _texts(one.path, stamp)
    manifest = _manifest(one, _stamp(one.manifest_path)) if one.name else None
    if manifest and manifest["sha256"] != _file_digest(one.path, stamp):
        raise ContextError(
            f"The context set {one.path} is not the one that was imported: its bytes have changed since. Put the"
            f" imported file back, or import it anew under another name."
        )
    return texts


@functools.lru_cache(maxsize=8)
def _manifest(one: ContextSet, stamp: tuple[int, int] | None) -> dict[str, Any] | None:
    return one.manifest()


def check(dataset: Dataset, kind: str) -> None:
    """Raise `ContextError` if there is no context set of this kind at all."""
    if not in_knowledge_base(dataset, kind):
        texts_of(in_use(dataset, kind))


def source_of(dataset: Dataset, kind: str) -> str:
    """The set in use by name and by the first digits of its digest. Raises as `context_digest`."""
    return f"{context_name(dataset, kind)}@{context_digest(dataset, kind)[:12]}"


def context_digest(dataset: Dataset, kind: str) -> str:
    """SHA-256 of the context set: of its file's bytes, or of all the knowledge base's texts, whatever their order.

    Raises `ContextError` or `DataError` if it is not there.
    """
    if in_knowledge_base(dataset, kind):
        return _knowledge_base_digest(dataset, str(sources.home(dataset)))
    asked = in_use(dataset, kind)
    texts_of(asked)
    return _file_digest(asked.path, _stamp(asked.path))


@functools.lru_cache(maxsize=4)
def _knowledge_base_digest(dataset: Dataset, where: str) -> str:
    # `where` is part of the key: the environment may name another copy later.
    entries = datasets.knowledge_base(dataset).items()
    texts = sorted(json.dumps([food_id, entry.get(KB_COLUMN)]) for food_id, entry in entries)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


@functools.lru_cache(maxsize=8)
def _file_digest(path: Path, stamp: tuple[int, int] | None) -> str:
    return file_sha256(path)


def in_knowledge_base(dataset: Dataset, kind: str) -> bool:
    """Whether the texts of this kind are the dishes' own, so that no set is needed."""
    return dataset.codes == "wc" and kind == "oracle"


def _stamp(path: Path) -> tuple[int, int] | None:
    """What tells one state of a file from the next; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=8)
def _texts(path: Path, stamp: tuple[int, int] | None) -> dict[str, str]:
    # `stamp` is part of the key: the file may be mended while a process goes on.
    texts: dict[str, str] = {}
    for number, line in enumerate(_bytes(path).removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        question_id, text = _entry(path, number, line)
        if question_id in texts:
            raise ContextError(f"{path}:{number}: question {question_id} has two contexts. Remove one.")
        texts[question_id] = text
    return texts


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ContextError(
            f"There is no context set {path}. Put one there, a JSON object with question_id and text in each line, "
            f"name the folder that holds it by {CONTEXTS_VARIABLE}, or let a model write it (m4rag tasks --work write)."
        ) from error
    except OSError as error:
        raise ContextError(f"The context set {path} cannot be read ({error.strerror}). Correct that.") from error


def _entry(path: Path, number: int, line: bytes) -> tuple[str, str]:
    """The question's id and text in one line. Raises `ContextError` that names the line."""
    try:
        entry = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ContextError(f"{path}:{number}: this is not UTF-8 ({error.reason}). Save the file as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise ContextError(f"{path}:{number}: this is no JSON ({error}). Write one object in each line.") from error
    fields = [entry.get(key) for key in ("question_id", "text")] if isinstance(entry, dict) else []
    if [type(value) for value in fields] != [str, str]:
        raise ContextError(f'{path}:{number}: this is no {{"question_id": "…", "text": "…"}}, both strings. Mend it.')
    return fields[0], fields[1]
