"""The mini benchmark keeps its own rules (m4rag_tasks/mini/source/README.md) in every language."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter

import pytest
from PIL import Image

from m4rag_tasks import datasets, suite
from m4rag_tasks.mini import build
from m4rag_tasks.suite import DATASETS
from retrieval_cache import read_articles

TEXTS = {path.stem: build._inherit(path) for path in (build.SOURCE / "text").glob("*.toml")}
QUESTIONS = build._read(build.SOURCE / "questions.toml")["question"]
ENTRIES = build._read(build.SOURCE / "subjects.toml")
BLOCKS = {"am": "ETHIOPIC", "ar": "ARABIC", "hi": "DEVANAGARI", "ko_formal": "HANGUL", "zh_cn": "CJK"}

by_language = pytest.mark.parametrize("language", sorted(TEXTS))


def fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def test_the_languages_are_those_of_the_grid():
    assert set(TEXTS) == {code for code, language in suite.languages().items() if "mini" in language.datasets}


def test_the_data_is_what_the_source_says():
    assert build.differences() == [], "run: python -m m4rag_tasks.mini.build"


def test_there_is_enough_of_everything():
    rows = list(datasets.all_rows(DATASETS["mini"]))
    assert Counter(row.language for row in rows) == dict.fromkeys(TEXTS, 60)
    assert {len(row.options) for row in rows} == {4}
    assert len({row.image_id for row in rows}) >= 20
    articles = list(read_articles(build.DATA / "corpus.jsonl"))
    assert len(articles) >= 150
    assert len({article.id for article in articles}) == len(articles)


def test_every_picture_that_is_named_is_there_and_no_other():
    folder = build.DATA / "images"
    assert sorted(path.name for path in folder.glob("*.png")) == build.picture_names()
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.size == (256, 256)
    lines = (build.DATA / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    named = {image["src"] for line in lines for part in json.loads(line)["content"] for image in part["images"]}
    assert all((build.DATA / name).is_file() for name in named)


def test_the_columns_are_those_of_the_real_data(shared_data):
    import pyarrow.parquet as pq

    pairs = (("questions.jsonl", "test_small_task1.parquet"), ("food_kb.jsonl", "food_kb.parquet"))
    for ours, theirs in pairs:
        first = json.loads((build.DATA / ours).read_text(encoding="utf-8").splitlines()[0])
        assert list(first) == pq.read_schema(shared_data / "worldcuisines" / theirs).names


@by_language
def test_all_keys_are_there(language):
    english, text = TEXTS["en"], TEXTS[language]
    for table in ("options", "questions", "subjects", "distractors"):
        assert text[table].keys() == english[table].keys()
    assert all(entry["caption"] and entry["oracle"] and entry["article"] for entry in text["subjects"].values())


@by_language
def test_the_right_option_stands_in_the_context_and_no_wrong_one_does(language):
    text, faults = TEXTS[language], []
    for question in QUESTIONS:
        subject = text["subjects"][question["subject"]]
        right, *wrong = (fold(text["options"][key]) for key in question["options"])
        for name, context in (("oracle", subject["oracle"]), ("article", "\n".join(subject["article"]))):
            if right not in fold(context):
                faults.append(f"{question['id']}: {right} not in {name}")
            faults += [f"{question['id']}: {option} in {name}" for option in wrong if option in fold(context)]
    assert faults == []


@by_language
def test_neither_question_nor_caption_gives_the_answer_away(language):
    text, faults = TEXTS[language], []
    for question in QUESTIONS:
        subject = text["subjects"][question["subject"]]
        options = [fold(text["options"][key]) for key in question["options"]]
        asked, title = fold(text["questions"][question["id"]]), fold(subject["title"])
        if options[0] in asked or title in asked:
            faults.append(f"{question['id']}: the question names {options[0]} or {title}")
        if options[0] in fold(subject["caption"]) or title in fold(subject["caption"]):
            faults.append(f"{question['id']}: the caption names {options[0]} or {title}")
        if title in fold(subject["oracle"]):
            faults.append(f"{question['id']}: the oracle context names {title}")
        faults += [f"{question['id']}: {a} within {b}" for a in options for b in options if a != b and a in b]
        if len(set(options)) != 4:
            faults.append(f"{question['id']}: two options are the same")
    assert faults == []


@by_language
def test_questions_with_one_wording_in_english_have_one_here(language):
    wordings: dict[str, set[str]] = {}
    for key, text in TEXTS[language]["questions"].items():
        wordings.setdefault(TEXTS["en"]["questions"][key], set()).add(text)
    assert {len(texts) for texts in wordings.values()} == {1}


@by_language
def test_most_wrong_options_mislead(language):
    """A wrong option that stands in no article could never be retrieved, so it would be a dead one."""
    text = TEXTS[language]
    articles = [
        fold("\n".join(entry["article"])) for part in ("subjects", "distractors") for entry in text[part].values()
    ]
    wrong = {key for question in QUESTIONS for key in question["options"][1:]}
    dead = {key for key in wrong if not any(fold(text["options"][key]) in article for article in articles)}
    assert len(dead) <= 0.1 * len(wrong), sorted(dead)


@by_language
def test_the_text_is_in_its_script(language):
    text = TEXTS[language]
    words = " ".join(
        [*text["questions"].values(), *(" ".join(entry["article"]) for entry in text["subjects"].values())]
    )
    letters = [unicodedata.name(char) for char in words if char.isalpha()]
    block = BLOCKS.get(language, "LATIN")
    assert sum(block in name for name in letters) >= 0.97 * len(letters)


@by_language
def test_no_text_is_another_language_s(language):
    """Names may be the same; sentences may not (registers share articles on purpose)."""
    if "inherits" in build._read(build.SOURCE / "text" / f"{language}.toml"):
        pytest.skip("a register shares the articles of its language")
    text = TEXTS[language]
    sentences = set(text["questions"].values()) | {entry["caption"] for entry in text["subjects"].values()}
    for other, others in TEXTS.items():
        if other != language:
            assert not sentences & set(others["questions"].values())
            assert not sentences & {entry["caption"] for entry in others["subjects"].values()}
