"""Small data sets in the real schemas, laid out for M4RAG_DATA: a run over the whole grid takes seconds.

Both are cut from, or filled up around, the real rows and pictures of the shared data,
and both bring their pictures, contexts and corpus. `cvqa_copy` and
`worldcuisines_copy` return the rows that they wrote, to compare records with.
"""

from __future__ import annotations

import ast
import csv
import gzip
import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import datasets as hf
import pyarrow.compute as pc
import pyarrow.parquet as pq

Rows = list[dict[str, Any]]

CATEGORIES = (
    "Brands / products / companies",
    "Cooking and food",
    "Geography / buildings / landmarks",
    "Objects / materials / clothing",
    "People and everyday life",
    "Plants and animal",
    "Public Figure and pop culture",
    "Sports and recreation",
    "Traditions / art / history",
    "Vehicles and Transportation",
)
_TEXTS = ("ID", "Subset", "Question", "Translated Question")
_SAID_OF_IT = ("Category", "Image Type", "Image Source", "License")
CVQA_FORMS = ("parquet", "clone", "dataset_dict", "dataset")
"""How a copy can be kept: one file, a clone of the hub's repository, `DatasetDict` or `Dataset.save_to_disk`."""


# --- CVQA -------------------------------------------------------------------


def cvqa_copy(
    folder: Path,
    shared_data: Path,
    *,
    form: str = "parquet",
    embedded: bool = False,
    fault: str | None = None,
) -> Rows:
    """Write a small CVQA of all 39 subsets below `folder`, with pictures, contexts and corpus; returns its rows.

    `embedded`: the rows hold their pictures (column `image`, as `afaji/cvqa` has them)
    instead of naming files (`image_path`, as `davidanugraha/cvqa` does). `form` is one of
    `CVQA_FORMS`. `fault`: "hidden labels" (-1 in every row), "option twice" (in the first
    question of each subset) or "no options" (native ones, as the shared sample has it).
    """
    rows = cvqa_rows(shared_data)
    home = folder / "cvqa"
    copy_pictures(home, shared_data, [row["image_path"] for row in rows])
    answers = [(row, row["Options"][row["Label"]], row["Translated Options"][row["Label"]]) for row in rows]
    write_contexts(home, "oracle", {row["ID"]: f"The picture shows this: {english}." for row, _, english in answers})
    write_contexts(home, "oracle_local", {row["ID"]: f"{row['Question']} {local}" for row, local, _ in answers})
    write_contexts(home, "caption", {row["ID"]: f"A photo of: {row['Category']}." for row in rows})
    write_corpus(home, shared_data, [(row["Translated Question"], row["image_path"]) for row in rows[::8]])
    rows = [_faulty(row, fault) for row in rows]
    _save_cvqa(folder, rows, form, embedded)
    if embedded:
        shutil.rmtree(home / "images")
    return rows


def cvqa_rows(shared_data: Path) -> Rows:
    """Two or three complete rows of each of the 39 subsets: real ones where the sample has them, else invented."""
    sample = pq.read_table(shared_data / "cvqa" / "cvqa_sample.parquet").to_pylist()
    english = iter(pq.read_table(shared_data / "cvqa" / "translated_questions_1k.parquet").to_pylist())
    with (shared_data / "cvqa" / "inventory.csv").open(encoding="utf-8", newline="") as inventory:
        subsets = [line["Subset"] for line in csv.DictReader(inventory)]
    rows: Rows = []
    for number, subset in enumerate(subsets):
        # Of unequal size, so that a mean over varieties is not the mean over questions.
        size = 2 + number % 2
        real = [row for row in sample if row["Subset"] == subset][:size]
        invented = (_invented(f"{9000 + number}_{count}", subset, next(english)) for count in range(size - len(real)))
        rows += [*real, *invented]
    return [_completed(row, category) for row, category in zip(rows, cycle(CATEGORIES))]


def _invented(name: str, subset: str, english: dict[str, Any]) -> dict[str, Any]:
    """A question in no language, marked as its own: who asks in the local wording must not show the English one."""
    language = ast.literal_eval(subset)[0]
    options = english["Translated Options"]
    return {
        "ID": name,
        "Subset": subset,
        "Question": f"«{language} {name}»?",
        "Translated Question": english["Translated Question"],
        "Options": [f"«{language} {count}»" for count, _ in enumerate(options, start=1)],
        "Translated Options": options,
        "Label": int(name.rpartition("_")[2]) % len(options),
    }


def _completed(row: dict[str, Any], category: str) -> dict[str, Any]:
    """A row with what the shared sample leaves empty."""
    number = row["ID"].rpartition("_")[0]
    said = {"Category": category, "Image Type": "External", "Image Source": "", "License": "CC BY 2.0"}
    options = {"Options": row["Options"] or row["Translated Options"]}
    return {**row, **options, **said, "image_path": f"images/{number}.jpg"}


def _faulty(row: dict[str, Any], fault: str | None) -> dict[str, Any]:
    changed: dict[str | None, dict[str, Any]] = {
        None: {},
        "hidden labels": {"Label": -1},
        "no options": {"Options": []},
        "option twice": {"Options": [row["Options"][0], row["Options"][0], *row["Options"][2:]]},
    }
    return {**row, **changed[fault]}


def _save_cvqa(folder: Path, rows: Rows, form: str, embedded: bool) -> None:
    table = _cvqa_table(folder / "cvqa", rows, embedded)
    if form == "dataset_dict":
        hf.DatasetDict({"test": table}).save_to_disk(folder / "cvqa" / "test")
    elif form == "dataset":
        table.save_to_disk(folder / "cvqa" / "test")
    else:
        clone = folder / "davidanugraha" / "cvqa" / "data" / "test-00000-of-00001.parquet"
        path = {"parquet": folder / "cvqa" / "test.parquet", "clone": clone}[form]
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path)


def _cvqa_table(home: Path, rows: Rows, embedded: bool) -> hf.Dataset:
    text, texts = hf.Value("string"), hf.List(hf.Value("string"))
    features = dict.fromkeys(_TEXTS, text) | {"Options": texts, "Translated Options": texts}
    features |= {"Label": hf.Value("int64")} | dict.fromkeys(_SAID_OF_IT, text)
    columns = {name: [row[name] for row in rows] for name in features}
    paths = [row["image_path"] for row in rows]
    if embedded:
        features["image"] = hf.Image()
        columns["image"] = [{"bytes": (home / path).read_bytes(), "path": None} for path in paths]
    else:
        features["image_path"] = text
        columns["image_path"] = paths
    return hf.Dataset.from_dict(columns, features=hf.Features(features))


# --- WorldCuisines ----------------------------------------------------------

# (task, file of the small set) → questions. 683 has four options, 689 an option twice (in 13 varieties),
# 1457 a field of its template left open.
SMALL_QUESTIONS = {1: ("407", "683", "689", "1457"), 2: ("1904",)}
LARGE_QUESTIONS = {1: (*SMALL_QUESTIONS[1], "768"), 2: (*SMALL_QUESTIONS[2], "1910")}
_CARD = """---
configs:
- config_name: task1
  data_files: [{split: test_small, path: task1/test_small-*}, {split: test_large, path: task1/test_large-*}]
- config_name: task2
  data_files: [{split: test_small, path: task2/test_small-*}, {split: test_large, path: task2/test_large-*}]
---
"""


def worldcuisines_copy(folder: Path, shared_data: Path, *, extra: Sequence[str] = (), clone: bool = False) -> Rows:
    """Write a small WorldCuisines below `folder`, test_small and test_large; returns the rows of test_large.

    All 30 varieties have every question. `extra` names varieties that are asked the English
    rows' text too. With `clone` the rows lie in a clone of the hub's repository.
    """
    home = folder / "worldcuisines"
    home.mkdir(parents=True)
    rows: Rows = []
    for split, questions in (("test_small", SMALL_QUESTIONS), ("test_large", LARGE_QUESTIONS)):
        for task, ids in questions.items():
            cut = _cut(shared_data, task, ids, extra)
            path = home / (f"vqa-v1.1/task{task}/{split}-0.parquet" if clone else f"{split}_task{task}.parquet")
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(cut, path)
            rows += cut.to_pylist() if split == "test_large" else []
    if clone:
        (home / "vqa-v1.1" / "README.md").write_text(_CARD, encoding="utf-8")
    dishes = pq.read_table(shared_data / "worldcuisines" / "food_kb.parquet")
    known = sorted({row["food_id"] for row in rows})
    pq.write_table(dishes.filter(pc.field("food_id").isin(known)), home / "food_kb.parquet")
    copy_pictures(home, shared_data, [row["image_path"] for row in rows])
    names = {f"{row['qa_id']}-{row['lang']}": row for row in rows}
    write_contexts(home, "oracle_local", {name: f"{row['question']} {row['answer']}" for name, row in names.items()})
    write_contexts(home, "caption", dict.fromkeys(names, "A plate on a table."))
    pictures = {row["image_path"]: row["question"] for row in rows if row["lang"] == "en"}
    write_corpus(home, shared_data, [(title, path) for path, title in pictures.items()])
    return rows


def _cut(shared_data: Path, task: int, ids: Sequence[str], extra: Sequence[str]) -> Any:
    """Some questions of the real test_small, in all varieties and in the extra ones."""
    import pyarrow as pa

    table = pq.read_table(shared_data / "worldcuisines" / f"test_small_task{task}.parquet")
    cut = table.filter(pc.field("qa_id").isin(list(ids)))
    english = cut.filter(pc.field("lang") == "en")
    column = cut.schema.get_field_index("lang")
    more = [english.set_column(column, "lang", pa.array([code] * len(english), pa.string())) for code in extra]
    return pa.concat_tables([cut, *more])


# --- what lies beside the rows ------------------------------------------------


def copy_pictures(home: Path, shared_data: Path, paths: Iterable[str]) -> None:
    """Put a real picture at each of these paths below `home`; which one says nothing."""
    pictures = sorted((shared_data / "images" / "files").glob("*.jpg"))
    for path, picture in zip(dict.fromkeys(paths), cycle(pictures)):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, home / path)


def write_contexts(home: Path, kind: str, texts: dict[str, str]) -> None:
    """Write `contexts/<kind>.jsonl` below `home` from texts by question id."""
    (home / "contexts").mkdir(exist_ok=True)
    _write_lines(home / "contexts" / f"{kind}.jsonl", ({"question_id": key, "text": texts[key]} for key in texts))


def write_corpus(home: Path, shared_data: Path, illustrated: Iterable[tuple[str, str]], real: int = 8) -> None:
    """Write `corpus.jsonl` below `home`: some real articles, and one for each title and picture."""
    with gzip.open(shared_data / "corpus_sample" / "articles.jsonl.gz", "rt", encoding="utf-8") as lines:
        articles = [json.loads(line) for line in islice(lines, real)]
    for number, (title, picture) in enumerate(illustrated, start=1):
        section = {
            "heading": "Introduction",
            "content": [f"{title} This picture is described here at some length, so that there is a passage to find."],
            "images": [{"src": picture, "alt": "", "caption": ""}],
            "access_time": "2026-01-01T00:00:00Z",
        }
        name = hashlib.md5(f"{number}_en".encode(), usedforsecurity=False).hexdigest()
        url = f"https://en.pictures.example/wiki/{number}"
        articles.append({"id": name, "pageid": number, "title": title, "url": url, "content": [section]})
    _write_lines(home / "corpus.jsonl", articles)


def _write_lines(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in entries), encoding="utf-8")
