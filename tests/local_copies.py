"""Small local copies of the data sets, in the published layouts, for tests to break."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets as hf
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


def wc_row(qa_id: str = "1", lang: str = "nan", label: Any = 0, **changes: Any) -> dict[str, Any]:
    """One row of WorldCuisines."""
    return {
        "qa_id": qa_id,
        "lang": lang,
        "food_id": "7",
        "prompt_id": "1",
        "prompt_type": 1,
        "question": " What is\nthis? ",
        "options": ["a", "b", "a", "d"],
        "answer": "a",
        "mcq_answer_index": label,
        "image_url": "",
        "image_path": "images/7_0.jpg",
        "lang_status": "full",
        **changes,
    }


class WorldCuisines:
    """A local copy of WorldCuisines with one question, its image and its dish; called, it writes other rows."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = tmp_path / "data" / "worldcuisines"
        (self.folder / "images").mkdir(parents=True)
        Image.new("RGB", (8, 8), "red").save(self.folder / "images" / "7_0.jpg")
        kb = [{"food_id": "7", "name": "x", "Text Description": "A stew."}]
        pq.write_table(pa.Table.from_pylist(kb), self.folder / "food_kb.parquet")
        monkeypatch.setenv("M4RAG_DATA", str(self.folder.parent))
        self([wc_row()])

    def __call__(self, task1: list[dict], task2: list[dict] | None = None, types: dict[str, Any] | None = None) -> None:
        """`types` are the columns of the first part that are of another type than published."""
        schema = pa.Table.from_pylist([wc_row()]).schema
        pq.write_table(
            pa.Table.from_pylist(task2 or [wc_row("2", "en")], schema), self.folder / "test_small_task2.parquet"
        )
        for name, kind in (types or {}).items():
            schema = schema.set(schema.get_field_index(name), pa.field(name, kind))
        pq.write_table(pa.Table.from_pylist(task1, schema), self.folder / "test_small_task1.parquet")


def picture(colour: str = "red") -> bytes:
    """A PNG of 8 × 6."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(file, "PNG")
    return file.getvalue()


def cvqa_row(number: int, subset: Any, label: int, image: bytes | None) -> dict[str, Any]:
    """One row of CVQA; all are about the image 58659."""
    return {
        "image": None if image is None else {"bytes": image, "path": None},
        "ID": f"58659_{number}",
        "Subset": subset,
        "Question": "Hii ni nini?",
        "Translated Question": "What is this?",
        "Options": ["moja", "mbili", "tatu", "nne"],
        "Translated Options": ["one", "two", "three", "four"],
        "Label": label,
        "Category": "Cooking and food",
    }


def cvqa_rows(*images: bytes | None, as_text: bool = True) -> hf.Dataset:
    """A question of Kenya and one of Egypt, and the images that the rows hold."""
    first, second = images or (picture(), picture())
    pairs = [("Swahili", "Kenya"), ("Egyptian_Arabic", "Egypt")]
    kenya, egypt = map(str, pairs) if as_text else map(list, pairs)
    table = hf.Dataset.from_list([cvqa_row(0, kenya, 2, first), cvqa_row(1, egypt, 0, second)])
    return table.cast_column("image", hf.Image())
