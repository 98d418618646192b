"""The reader and the replay model, without the harness around them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4rag_tasks import prompts
from m4rag_tasks.errors import ResponsesError
from m4rag_tasks.judging.answer import parse_grade
from m4rag_tasks.models.overlap_judge import OverlapJudge
from m4rag_tasks.models.reader import choose, split_prompt
from m4rag_tasks.models.replay import read_responses

OPTIONS = ["wheat", "teff", "rice", "maize"]


def prompt(language="en", **parts):
    return prompts.render("mcq", language, question="Which grain is mainly used here?", options=OPTIONS, **parts)


def test_the_reader_finds_the_options_in_every_language_and_shape():
    passage = prompts.ShownPassage("1. Injera", "1. flour\n2. water")
    for language in prompts.template_languages():
        for parts in ({}, {"context": "1. one"}, {"passages": [passage]}):
            assert split_prompt(prompt(language, **parts))[1] == OPTIONS


def test_the_reader_picks_what_the_context_says():
    assert choose(*split_prompt(prompt(context="A flatbread made of fermented teff batter."))) == 2
    assert choose(*split_prompt(prompt(context="A flatbread made of MAIZE."))) == 4


def test_an_earlier_passage_counts_more():
    passages = [prompts.ShownPassage("A", "It is made of rice."), prompts.ShownPassage("B", "It is made of teff.")]
    assert choose(*split_prompt(prompt(passages=passages))) == 3
    assert choose(*split_prompt(prompt(passages=passages[::-1]))) == 2


def test_an_option_that_contains_another_wins_where_both_stand():
    assert choose("made of rice flour", ["rice", "rice flour", "oats", "rye"]) == 2


@pytest.mark.parametrize(
    ("context", "options", "number"),
    [
        ("ከጤፍ ሊጥ የሚጋገር", ["ስንዴ", "ጤፍ"], 2),
        ("发酵的苔麸面糊", ["小麦", "苔麸"], 2),
        ("من عجين التيف المخمر", ["القمح", "التيف"], 2),
        ("टेफ़ के घोल से", ["गेहूँ", "टेफ़"], 2),
    ],
)
def test_the_reader_reads_any_script(context, options, number):
    assert choose(context, options) == number


def test_without_support_the_guess_is_the_same_every_time_and_spread_over_the_options():
    guesses = [choose(f"Question: q{n}?\nOptions:", ["aaa", "bbb", "ccc", "ddd"]) for n in range(400)]
    assert guesses == [choose(f"Question: q{n}?\nOptions:", ["aaa", "bbb", "ccc", "ddd"]) for n in range(400)]
    assert all(70 <= guesses.count(number) <= 130 for number in (1, 2, 3, 4))


@given(st.text(), st.lists(st.text(), min_size=1, max_size=6))
def test_the_reader_never_fails(context, options):
    assert 1 <= choose(context, options) <= len(options)
    split_prompt(context)


def write(path, entries):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(entries), path)
    else:
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("names", [("question_id", "response"), ("ID", "prediction")])
def test_responses_are_read_by_question_id(tmp_path, suffix, names):
    path = write(tmp_path / f"answers{suffix}", [{names[0]: "1-nan", names[1]: "2"}, {names[0]: "2-en", names[1]: ""}])
    assert read_responses(path) == {"1-nan": "2", "2-en": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"question_id": "1-en", "response": "1"}\n{"response": "2"}\n', r"answers.jsonl:2: has neither question_id"),
        ('{"question_id": "1-en", "response": "1"}\n{"question_id"', r"answers.jsonl:2: not JSON"),
        ('{"question_id": "1-en", "response": "1"}\n' * 2, r"answers.jsonl:2: question '1-en' is answered twice"),
        ('["1-en", "2"]\n', r"answers.jsonl:1: a JSON object is needed"),
        ('{"question_id": "1-en"}\n', r"neither response nor prediction"),
        ("", "holds no answers"),
        ('{"question_id": "1-en", "response": {"answer": 2}}\n', r"response is dict, not text"),
    ],
)
def test_unusable_responses_files_are_named_with_their_line(tmp_path, text, message):
    path = tmp_path / "answers.jsonl"
    path.write_text(text)
    with pytest.raises(ResponsesError, match=message):
        read_responses(path)


def test_line_separators_within_answers_blank_lines_and_a_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('\ufeff{"question_id": "1-en", "response": "a\u2028b"}\n\n', encoding="utf-8")
    assert read_responses(path) == {"1-en": "a\u2028b"}


def test_a_missing_or_broken_file_is_said_so(tmp_path):
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"question_id": "1-en", "response": "caf\xe9"}')
    with pytest.raises(ResponsesError, match="not UTF-8"):
        read_responses(latin)
    with pytest.raises(ResponsesError, match=r"no responses file .*nowhere\.jsonl"):
        read_responses(tmp_path / "nowhere.jsonl")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ResponsesError, match="not a readable Parquet file"):
        read_responses(broken)


def test_the_overlap_judge_grades_by_what_stands_in_the_passage():
    def grade(text, question="Which grain is mainly used here?", answer="teff", title="Injera"):
        prompt = prompts.instruct("judge", question=question, answer=answer, title=title, text=text)
        return parse_grade(OverlapJudge().answer(SimpleNamespace(args=(prompt,)))).grade

    assert grade("A flatbread made of TEFF.") == 5
    assert grade("Nothing.\n\nQuestion: Which?\nRight answer: teff\n\nPassage: 1") == 5
    assert grade("ዳቦ ነው።") == 1
    shares = [grade(text) for text in ("which grain is used", "a grain is used", "ማሽላ used here", "rice")]
    assert shares == sorted(shares, reverse=True) and shares[0] > shares[-1] == 1
    assert OverlapJudge().answer(SimpleNamespace(args=(prompt(),))) == ""
