"""A judge's text becomes a grade, or visibly none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4rag_tasks.judging.answer import parse_grade

GRADED = {
    '{"explanation": "It names the grain.", "grade": 5}': (5, "json"),
    '```json\n{"explanation": "no use", "answer": "1"}\n```': (1, "json"),
    '{"Score": 4.0}': (4, "json"),
    '{"relevance": {"score": [3]}}': (3, "json"),
    '{"explanation": "worth \\"score\\": 2, no", "grade": "4/5"}': (4, "json"),
    "{'explanation': 'It isn\\'t it', 'grade': 2,}": (2, "json"),
    '{"explanation": "cut", "grade": 3': (3, "json"),
    '{"explanation": "a score of 1 would be unfair", "rating": "4 out of 5"}': (4, "json"),
    '{"grade": "4 - mostly helpful"}': (4, "json"),
    '{"grade": "5 (directly helpful)"}': (5, "json"),
    '{"answer": "I give it a score of 4."}': (4, "json"),
    '{"grade": "4, because it names it"}': (4, "json"),
    '{"grade": "٤"}': (4, "json"),
    '<think>A score: 1? No.</think>{"grade": 4}': (4, "json"),
    "<think>Score: 5</think>Score: 2": (2, "grade_tag"),
    "reasoning without its opening tag, Score: 5</think>\nScore: 2": (2, "grade_tag"),
    "score: 4": (4, "grade_tag"),
    "**Score:** 4/5": (4, "grade_tag"),
    "### Rating\n\nThe rating is **3**.": (3, "grade_tag"),
    "Score (1-5): 3": (3, "grade_tag"),
    "It fits.\nFinal score:\n4": (4, "grade_tag"),
    "Relevance score: 4\nHelpfulness score: 2\nOverall score: 3": (3, "grade_tag"),
    "I would give this a score of four out of five.": (4, "grade_tag"),
    "Grade: 4. The passage of 2019 names 3 grains.": (4, "grade_tag"),
    "A score of 5 would need the name of the grain. The score is 4.": (4, "grade_tag"),
    "This is not a score of 5. Score: 3": (3, "grade_tag"),
    "Final Grade: **2** out of **5**": (2, "grade_tag"),
    "Grade - 4": (4, "grade_tag"),
    "Grade 4": (4, "grade_tag"),
    "The answer is 4.": (4, "grade_tag"),
    "\\boxed{4}": (4, "grade_tag"),
    "<answer>4</answer>": (4, "grade_tag"),
    "4": (4, "bare_number"),
    "**4.**": (4, "bare_number"),
    "Four": (4, "bare_number"),
    "४": (4, "bare_number"),
    "四": (4, "bare_number"),
    "④": (4, "bare_number"),
    "점수: 4": (4, "bare_number"),
    "评分：４分": (4, "bare_number"),
    "点数: 3点": (3, "bare_number"),
    "Оценка: 4 из 5": (4, "bare_number"),
    "Bewertung: 4 von 5": (4, "bare_number"),
    "درجة: ٤ من ٥": (4, "bare_number"),
    "Puntuación: 4/5": (4, "bare_number"),
    "4: The context is mostly relevant and helpful.": (4, "bare_number"),
    "The passage is about another dish.\n\n2": (2, "bare_number"),
    "I rate it 4/5, because it names teff.": (4, "fraction"),
}

NOT_GRADED = [
    "",
    "   \n",
    "The passage is helpful.",
    "between 3 and 4",
    "Score: between 3 and 4",
    '{"grade": "between 3 and 4"}',
    '{"grade": null}',
    '{"grade": true}',
    '{"grade": 6}',
    '{"grade": 0}',
    '{"grade": -4}',
    '{"grade": 3.5}',
    '{"grade": [3, 4]}',
    '{"grade": "<number>"}',
    "3.5",
    "3,5",
    "-4",
    "3-4",
    "Grade 3-4",
    "Grade 3 or 4",
    "Grades run from 1 to 5",
    "5点満点中4点",
    "4 von 10",
    "The answer is teff, 4",
    "3 – 4",
    "4 or 5",
    "Score: 4 or 5",
    "Score: 3 to 4",
    "three or four",
    "Score: 8/10",
    "8/10",
    "Score: 45",
    "Relevance score: 4\nHelpfulness score: 2",
    "2\n\n4",
    "4/5 for relevance, 2/5 for help",
    "This does not deserve a score of 5.",
    "A score of 5 would need the grain's name.",
    "<think>Score: 4",
    "1. It is about teff.\n2. It names the grain.",
    "In 2019, 3 grains were grown there.",
]


@pytest.mark.parametrize(("answer", "expected"), GRADED.items(), ids=range(len(GRADED)))
def test_a_grade_is_found(answer, expected):
    read = parse_grade(answer)
    assert (read.grade, read.rule) == expected


@pytest.mark.parametrize("answer", NOT_GRADED)
def test_what_leaves_a_choice_is_no_grade(answer):
    assert parse_grade(answer) == parse_grade("")
    assert parse_grade("").rule == "invalid"


def test_a_failed_request_is_no_answer():
    assert parse_grade("[LMMS_EVAL_REQUEST_FAILED after 4 retries] 3/5").rule == "failed_request"


DIGITS = st.sampled_from(["12345", "١٢٣٤٥", "१२३४५", "一二三四五", "１２３４５", "၁၂၃၄၅"])
FORMS = st.sampled_from(
    [
        '{{"explanation": "x", "grade": "{}"}}',
        "Score: {}",
        "{}",
        "Grade: {}/5",
        "**Rating:** {}\n",
        "<think>2</think>\n{}",
    ]
)


@given(st.integers(1, 5), DIGITS, FORMS)
def test_the_digits_of_every_script_are_read_in_every_form(grade, digits, form):
    assert parse_grade(form.format(digits[grade - 1])).grade == grade


@given(st.text(max_size=60), st.integers(1, 5))
def test_whatever_is_explained_the_grade_beside_it_counts(explanation, grade):
    assert parse_grade(json.dumps({"explanation": explanation, "grade": grade})).grade == grade


@given(st.text(st.sampled_from('score:/ 12345.\n{}"gradeof<think>-或'), max_size=40))
def test_any_text_is_read_without_an_error(text):
    read = parse_grade(text)
    assert (read.grade in range(1, 6)) == (read.rule not in ("invalid", "failed_request"))
