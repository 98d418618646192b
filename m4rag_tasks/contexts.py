"""Texts that stand beside the questions: oracle contexts and captions.

A context set is a JSONL file of {"question_id", "text"}, `contexts/<kind>.jsonl` in
the data set's own folder, or below the folder that `M4RAG_CONTEXTS` names. Kinds:

    oracle        what is needed to answer (the paper, section 3.3)
    oracle_local  the same in the question's language (the paper's RQ3)
    caption       a description of the image, made without knowing the answer

For WorldCuisines the oracle context is the dish's `Text Description` in the food
knowledge base, so no file is needed. The mini benchmark bundles its own. CVQA asks
each question twice: a text under the bare `ID` serves both ways of asking.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

from platformdirs import user_data_path

from m4rag_tasks import datasets, sources
from m4rag_tasks.errors import ContextError
from m4rag_tasks.rows import Row
from m4rag_tasks.suite import Dataset

KB_COLUMN = "Text Description"
CONTEXTS_VARIABLE = "M4RAG_CONTEXTS"


def context_name(dataset: Dataset, kind: str) -> str:
    """How records name the context set: where the text of this kind comes from."""
    return f"food-kb:{KB_COLUMN}" if _in_knowledge_base(dataset, kind) else f"{dataset.codes}:{kind}"


def context(dataset: Dataset, kind: str, row: Row) -> str:
    """The text of one kind for one question.

    Raises `ContextError` where there is none: a question without its context
    must never pass silently as one without retrieval.
    """
    if _in_knowledge_base(dataset, kind):
        entry = datasets.knowledge_base(dataset).get(str(row.subject_id))
        text = (entry or {}).get(KB_COLUMN) or ""
        where = context_name(dataset, kind)
    else:
        path = context_file(dataset, kind)
        texts = _texts(path)
        text = texts.get(row.question_id) or texts.get(row.qa_id, "")
        where = str(path)
    text = " ".join(text.split())
    if not text:
        raise ContextError(
            f"{dataset.title}: question {row.question_id} has no {kind} context in {where}."
            f" The setting cannot be run without it."
        )
    return text


def context_file(dataset: Dataset, kind: str) -> Path:
    """Where the context set of this kind is, whether or not it is there."""
    named = os.environ.get(CONTEXTS_VARIABLE)
    folder_name = Path(dataset.local[0]).parent.name
    if named and dataset.hub_id is not None:
        return Path(named).expanduser() / folder_name / f"{kind}.jsonl"
    home = sources.home(dataset)
    folder = home / "contexts" if home else user_data_path("m4rag") / "contexts" / folder_name
    return folder / f"{kind}.jsonl"


def check(dataset: Dataset, kind: str) -> None:
    """Raise `ContextError` if there is no context set of this kind at all."""
    if not _in_knowledge_base(dataset, kind):
        _texts(context_file(dataset, kind))


def _in_knowledge_base(dataset: Dataset, kind: str) -> bool:
    return dataset.codes == "wc" and kind == "oracle"


@functools.lru_cache(maxsize=8)
def _texts(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
            if not line:
                continue
            entry = json.loads(line)
            if entry["question_id"] in texts:
                raise ContextError(f"{path}:{number}: question {entry['question_id']} has two contexts. Remove one.")
            texts[entry["question_id"]] = entry["text"]
    except FileNotFoundError as error:
        raise ContextError(
            f"There is no context set {path}. Put one there, a JSON object with question_id and text in each line, "
            f"or name the folder that holds it by {CONTEXTS_VARIABLE}."
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise ContextError(f"The context set {path} cannot be read: {error!r}.") from error
    return texts
