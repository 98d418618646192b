"""Grades files: written and read back, people's grades, what is refused, how records get their grades."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4rag_tasks.errors import GradesError
from m4rag_tasks.grades import (
    Grade,
    by_judge,
    check_same_caches,
    grades_by_passage,
    of_judge,
    of_passages,
    read_grades,
    with_grades,
    write_grades,
)

ONE = Grade("1-en", "a-001", 4, "judge", "json", 1, "mmrag", "mini", "en", "a.png", "r1", "t1", "c1")

texts = st.text(min_size=1, max_size=12)
optional = st.none() | texts


@given(
    st.lists(
        st.builds(
            Grade,
            *(texts, texts, st.none() | st.integers(1, 5), texts, texts, st.none() | st.integers(1, 99)),
            *[optional] * 8,
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda grade: (grade.judge, grade.question_id, grade.passage_id),
    )
)
def test_what_is_written_is_read(tmp_path_factory, grades):
    path = tmp_path_factory.mktemp("grades") / "grades.jsonl"
    write_grades(path, grades)
    assert read_grades([path]) == grades


def test_people_s_grades_need_four_columns_and_may_come_from_a_spreadsheet(tmp_path):
    path = tmp_path / "ana.csv"
    path.write_text(
        "\ufeffquestion_id,passage_id,grade,judge,language,remark\r\n"
        '1-en,a-001,4.0,ana,en,"near, but\r\nnot it"\r\n1-en,a-002,,ana,,\r\n',
        encoding="utf-8",
    )
    assert read_grades([path]) == [
        Grade("1-en", "a-001", 4, "ana", language="en"),
        Grade("1-en", "a-002", None, "ana", parse="invalid"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "g.jsonl:2: this is no JSON"),
        ("[1]", "g.jsonl:2: a JSON object is needed, not list"),
        ('{"question_id": "1"}', "passage_id, grade, judge are missing"),
        (json.dumps({**asdict(ONE), "grade": 6}), "the grade 6 is not from 1 to 5"),
        (json.dumps({**asdict(ONE), "grade": 0}), "the grade 0 is not from 1 to 5"),
        (json.dumps({**asdict(ONE), "grade": 3.5}), "grade is 3.5, not a whole number"),
        (json.dumps({**asdict(ONE), "grade": True}), "grade is True, not a whole number"),
        (json.dumps({**asdict(ONE), "grade": "4"}), "grade is '4', not a whole number"),
        (json.dumps({**asdict(ONE), "rank": [1]}), r"rank is \[1\], not a whole number"),
        (json.dumps({**asdict(ONE), "judge": None}), "judge must not be empty"),
        (json.dumps({**asdict(ONE), "passage_id": 7}), "passage_id is 7, not a text"),
        (json.dumps(asdict(ONE)), "a second time; the first is .*g.jsonl:1"),
    ],
)
def test_a_line_that_is_no_grade_is_named(tmp_path, line, message):
    path = tmp_path / "g.jsonl"
    path.write_text(f"{json.dumps(asdict(ONE))}\n{line}\n")
    with pytest.raises(GradesError, match=message):
        read_grades([path])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"question_id,grade\n1,2\n", "columns passage_id, judge are missing"),
        (b"question_id,passage_id,grade,judge\n1,a,2\n", ":2: not as many cells"),
        (b"question_id,passage_id,grade,judge\n1,a,2,j,more\n", ":2: not as many cells"),
        (b"question_id,passage_id,grade,judge\n1,a,good,j\n", "grade is 'good', not a whole number"),
        (b'question_id,passage_id,grade,judge\n"1"x,a,2,j\n', "this is no CSV"),
        (b"question_id,passage_id,grade,judge\n", "holds no grades"),
        (b"", "columns .* are missing"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_spreadsheet_that_does_not_fit_is_named(tmp_path, content, message):
    path = tmp_path / "g.csv"
    path.write_bytes(content)
    with pytest.raises(GradesError, match=message):
        read_grades([path])


def test_data_sets_that_share_questions_are_graded_apart(tmp_path):
    path = tmp_path / "grades.jsonl"
    both = [Grade("1-en", "p", 4, "m", setting="mmrag", dataset=dataset) for dataset in ("wc", "wc_large")]
    write_grades(path, both)
    assert read_grades([path]) == both


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(GradesError, match=r"none\.jsonl cannot be read"):
        read_grades([tmp_path / "none.jsonl"])


def test_records_get_the_grades_of_one_judge():
    grades = [
        ONE,
        replace(ONE, setting="oracle", grade=1),
        replace(ONE, passage_id="a-002", grade=None),
        replace(ONE, judge="ana", grade=5, revision=None, template=None),
    ]
    with pytest.raises(GradesError, match=r"2 judges: judge; ana\. .* choose one"):
        of_judge(grades)
    with pytest.raises(GradesError, match="no grades by 'bo'"):
        of_judge(grades, "bo")
    name, own = of_judge(grades, "judge")
    found = grades_by_passage(own)
    assert name == "judge" and of_judge(own) == (name, own)
    assert found == {("1-en", "a-001"): 2.5}
    record = {"question_id": "1-en", "passages": [{"id": "a-001", "rank": 1}, {"id": "a-002", "rank": 2}]}
    (graded,) = with_grades([record], found)
    assert [passage["grade"] for passage in graded["passages"]] == [2.5, None]
    assert "grade" not in record["passages"][0]
    assert with_grades([{"question_id": "2-en"}], found) == [{"question_id": "2-en", "passages": []}]


def test_grades_of_the_same_id_in_another_cut_are_told_apart(tmp_path):
    old, here, there = ONE, replace(ONE, passages_key="p1", grade=1), replace(ONE, passages_key="p2", grade=3)
    write_grades(tmp_path / "grades.jsonl", [here, there])
    assert read_grades([tmp_path / "grades.jsonl"]) == [here, there]
    assert of_passages([old, here, there], "p1") == [old, here]
    assert of_passages([old, here, there], None) == [old, here, there]
    assert grades_by_passage(of_passages([here, there], "p2")) == {("1-en", "a-001"): 3.0}


def test_another_revision_or_prompt_makes_another_judge():
    grades = [ONE, replace(ONE, revision="r2"), replace(ONE, revision="r2", template="t" * 64), replace(ONE, judge="b")]
    assert list(by_judge(grades)) == [
        "judge (revision r1, template t1)",
        "judge (revision r2, template t1)",
        "judge (revision r2, template tttttttt)",
        "b",
    ]


def test_grades_of_passages_that_were_cut_otherwise_are_refused():
    record = {"dataset": "mini", "setting": "mmrag", "cache": "c1", "question_id": "1-en", "passages": []}
    check_same_caches([record, {**record, "setting": "norag", "cache": None}], [ONE])
    with pytest.raises(GradesError, match=r"mmrag on mini .* cache c1, and the run read c2"):
        check_same_caches([{**record, "cache": "c2"}], [ONE])
