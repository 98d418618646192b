"""Source texts → the data files of the mini benchmark, in the columns of WorldCuisines.

    python -m m4rag_tasks.mini.build          # rewrite m4rag_tasks/mini/data
    python -m m4rag_tasks.mini.build --check  # exit 1 if it is not what the source says

`source/` is written by hand, `data/` only by this program (pictures: `draw/`).
Options are shuffled by a hash of the question id, so all languages show the same
order and every position is right equally often, up to chance.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from m4rag_tasks.errors import DataError
from retrieval_cache.files import atomic_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
SOURCE, DATA = HERE / "source", HERE / "data"

Table = dict[str, Any]


def build() -> dict[str, str]:
    """Every data file (path relative to `data/`) and its text."""
    subjects = _read(SOURCE / "subjects.toml")
    questions = _read(SOURCE / "questions.toml")["question"]
    texts = {path.stem: _inherit(path) for path in sorted((SOURCE / "text").glob("*.toml"))}
    return {
        "questions.jsonl": _lines(_rows(questions, texts)),
        "food_kb.jsonl": _lines(_knowledge_base(subjects, texts)),
        "corpus.jsonl": _lines(_articles(subjects, texts)),
        "contexts/oracle.jsonl": _lines(_contexts(questions, texts, "oracle")),
        "contexts/caption.jsonl": _lines(_contexts(questions, texts, "caption")),
    }


def differences() -> list[str]:
    """Data files that are not what the source says."""
    return [
        name
        for name, text in build().items()
        if not (DATA / name).is_file() or (DATA / name).read_text(encoding="utf-8") != text
    ]


def picture_names() -> list[str]:
    """File names of the pictures that questions and articles show."""
    subjects = _read(SOURCE / "subjects.toml")
    asked = [f"{slug}.png" for slug, subject in subjects.items() if subject["role"] == "subject"]
    illustrating = [f"{slug}_article.png" for slug, subject in subjects.items() if subject["article_image"]]
    return sorted(asked + illustrating)


# --- the files --------------------------------------------------------------


def _rows(questions: list[Table], texts: Mapping[str, Table]) -> Iterator[Table]:
    """Questions × languages, in the columns of `worldcuisines/vqa-v1.1`."""
    for question in questions:
        order = shuffled(question["id"], question["options"])
        for language, text in texts.items():
            options = [text["options"][key] for key in order]
            gold = order.index(question["options"][0])
            yield {
                "qa_id": question["id"],
                "lang": language,
                "food_id": question["subject"],
                "prompt_id": question["id"],
                "prompt_type": question["prompt_type"],
                "question": text["questions"][question["id"]],
                "options": options,
                "answer": options[gold],
                "mcq_answer_index": gold,
                "image_url": "",
                "image_path": f"images/{question['subject']}.png",
                "lang_status": "full",
            }


def shuffled(question_id: str, keys: list[str]) -> list[str]:
    """The option keys of a question in the order in which they are shown."""
    return sorted(keys, key=lambda key: hashlib.sha256(f"{question_id}/{key}".encode()).digest())


def _knowledge_base(subjects: Table, texts: Mapping[str, Table]) -> Iterator[Table]:
    """What is shown in the pictures, in the columns of `worldcuisines/food-kb-v1.1`."""
    full = {language: text for language, text in texts.items() if "inherits" not in text}
    for slug, subject in subjects.items():
        if subject["role"] != "subject":
            continue
        names = {language: text["subjects"][slug]["title"] for language, text in full.items()}
        yield {
            "food_id": slug,
            "name": names["en"],
            "aliases": json.dumps(names, ensure_ascii=False, sort_keys=True),
            "coarse_categories": [subject["category"]],
            "fine_categories": [subject["kind"]],
            "cuisines": subject["cuisine"],
            "associated_cuisines": subject["cuisine"],
            "areas": [],
            "countries": [subject["country"]],
            "regions": [subject["region"]],
            "Text Description": texts["en"]["subjects"][slug]["oracle"],
            "wikipedia_link": "",
            "image_urls": [],
            "image_licenses": ["CC BY 4.0"],
            "in_vqa_pool": True,
        }


def _articles(subjects: Table, texts: Mapping[str, Table]) -> Iterator[Table]:
    """The corpus in the M4-RAG article layout; registers of a language share its articles."""
    full = {language: text for language, text in texts.items() if "inherits" not in text}
    for language, text in full.items():
        wiki = language.split("_")[0]
        for pageid, (slug, subject) in enumerate(subjects.items(), start=1):
            entry = text["subjects" if subject["role"] == "subject" else "distractors"][slug]
            picture = {"src": f"images/{slug}_article.png", "alt": "", "caption": entry["title"]}
            section = {
                "heading": "Introduction",
                "content": entry["article"],
                "images": [picture] if subject["article_image"] else [],
                "access_time": "2026-01-01T00:00:00Z",
            }
            yield {
                "id": hashlib.md5(f"{pageid}_{wiki}".encode(), usedforsecurity=False).hexdigest(),
                "pageid": pageid,
                "title": entry["title"],
                # .example is reserved for invented addresses (RFC 2606); the first label is the language.
                "url": f"https://{wiki}.m4rag-mini.example/wiki/{slug}",
                "content": [section],
            }


def _contexts(questions: list[Table], texts: Mapping[str, Table], kind: str) -> Iterator[Table]:
    for question in questions:
        for language, text in texts.items():
            yield {
                "question_id": f"{question['id']}-{language}",
                "text": text["subjects"][question["subject"]][kind],
            }


# --- reading and writing ----------------------------------------------------


def _inherit(path: Path) -> Table:
    """A language's texts; a register file gives only what differs from the one it inherits."""
    text = _read(path)
    if "inherits" not in text:
        return text
    return _merge(_read(path.with_stem(text["inherits"])), text)


def _merge(base: Table, changes: Table) -> Table:
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _merge(base[key], value) if isinstance(value, dict) and key in base else value
    return merged


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}") from error


def _lines(entries: Iterator[Table]) -> str:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def main() -> int:
    """Write the data files, or with `--check` say which differ from the source."""
    parser = argparse.ArgumentParser(description="Make the data files of the mini benchmark from its source.")
    parser.add_argument("--check", action="store_true", help="only say what differs; exit code 1 if anything does")
    changed = differences()
    if parser.parse_args().check:
        print("\n".join(f"{name} differs from the source" for name in changed) or "data/ is what the source says.")
        return 1 if changed else 0
    for name, text in build().items():
        with atomic_file(DATA / name) as file:
            file.write(text.encode())
    print(f"{len(changed)} files changed in {DATA}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
