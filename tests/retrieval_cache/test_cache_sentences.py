"""Sentence ends against a table written by hand, in every language of the corpora."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval_cache.chunking import segment
from retrieval_cache.chunking.full_stops import unambiguous

# The Wikipedias of the languages that CVQA and WorldCuisines ask in.
CORPORA = {
    *("am", "ar", "arz", "az", "bg", "bn", "br", "cs", "en", "es", "fr", "ga", "hi", "id", "ig", "it", "ja", "jv"),
    *("ko", "min", "mn", "mr", "ms", "no", "om", "pt", "ro", "ru", "rw", "sc", "si", "su", "sw", "ta", "te", "th"),
    *("tl", "ur", "yo", "zh", "zh-min-nan", "zh-yue"),
}
WITHOUT_ENDS = {"th"}  # Thai marks no sentence ends

# The benchmark measures with the same table; benchmarks/ need not be importable where tests run.
_BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "sentence_table.py"
_SPEC = importlib.util.spec_from_file_location("sentence_table", _BENCHMARK)
sentence_table = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sentence_table)
TABLE = sentence_table.read()


def test_every_language_of_the_corpora_is_in_the_table():
    assert len(CORPORA) == 42
    assert set(TABLE) >= CORPORA
    assert all(len(sentences) >= 5 for sentences, _ in TABLE.values())


@pytest.mark.parametrize("language", sorted(set(TABLE) - WITHOUT_ENDS))
def test_sentence_ends(language):
    sentences, text = TABLE[language]
    assert sentence_table.f1(sentences, text, segment.sentences(text, language)) >= 0.95


def test_the_measure_sees_what_is_missed_and_what_is_too_much():
    sentences, text = ["One.", "Two.", "Three."], "One. Two. Three."
    assert sentence_table.f1(sentences, text, [(0, 5), (5, 10), (10, 16)]) == 1
    assert sentence_table.f1(sentences, text, [(0, 5), (5, 16)]) == pytest.approx(2 / 3)
    assert sentence_table.f1(sentences, text, [(0, 2), (2, 5), (5, 10), (10, 16)]) == pytest.approx(4 / 5)
    assert sentence_table.f1(sentences, text, [(0, 16)]) == 0


def test_thai_paragraphs_are_one_sentence_each():
    _, text = TABLE["th"]
    assert segment.sentences(f"{text}\n{text}", "th") == [(0, len(text) + 1), (len(text) + 1, 2 * len(text) + 1)]


@pytest.mark.parametrize(
    "language, text, sentences",
    [
        ("en", "1. Wash the rice.\n2. Boil it.", ["1. Wash the rice.", "2. Boil it."]),
        (
            "en",
            "He left (see p. 5. It was late). Then it rained.",
            ["He left (see p. 5. It was late).", "Then it rained."],
        ),
        ("mr", "तो आला.स्त्रियांच्या गोष्टी.", ["तो आला.", "स्त्रियांच्या गोष्टी."]),  # a space forgotten
        ("xx", "Dr. Foo came. Bar left.", ["Dr. Foo came.", "Bar left."]),
        ("ja", "「A。」「B。」（注）", ["「A。」", "「B。」", "（注）"]),
        ("en", "First line\nsecond line", ["First line", "second line"]),
    ],
)
def test_rules(language, text, sentences):
    assert [text[a:b].strip() for a, b in segment.sentences(text, language)] == sentences


MARKS = st.text(st.sampled_from(list("aAё한字。ं१1.!?…·\"'”»)(（「」—- \n:፡\u00a0😀")), max_size=60)


@settings(max_examples=300)
@given(st.one_of(MARKS, st.text(max_size=40)), st.sampled_from(sorted(CORPORA | {"hy", "de", "xx"})))
def test_sentences_cover_the_text_without_gaps(text, language):
    assert len(unambiguous(text, language)) == len(text)
    spans = segment.sentences(text, language)
    assert "".join(text[a:b] for a, b in spans) == text
