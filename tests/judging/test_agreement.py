"""Agreement of judges: published examples, a library beside it, intervals, languages, people's grades."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from m4rag_tasks.errors import GradesError
from m4rag_tasks.grades import Grade
from m4rag_tasks.judging.agreement import ALL, UNKNOWN, agreement
from m4rag_tasks.judging.kappa import confusion, fleiss_kappa, weighted_kappa

# Fleiss (1971), table 1: 30 patients, diagnosed by six psychiatrists each.
FLEISS_1971 = """
444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 224445
333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555"""


def own(count):
    """Every item has an image of its own."""
    return np.arange(count)


def test_fleiss_published_example():
    grades = np.array([[int(digit) for digit in row] for row in FLEISS_1971.split()])
    found = fleiss_kappa(grades, own(30))
    assert found.value == pytest.approx(0.430, abs=5e-4)
    assert (found.items, found.images) == (30, 30)
    # The published standard error under chance is 0.024; the bootstrap's also holds where there is agreement.
    assert 0.30 < found.low < 0.430 < found.high < 0.56


grades_of_two = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=40)


@given(grades_of_two)
def test_weighted_kappa_is_scikit_learn_s(pairs):
    first, second = np.array(pairs).T
    found = weighted_kappa(first, second, own(len(pairs)), draws=1)
    if len({grade for pair in pairs for grade in pair}) == 1:
        assert found.value is None
        return
    expected = cohen_kappa_score(first, second, weights="quadratic", labels=[1, 2, 3, 4, 5])
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert confusion(first, second).sum() == len(pairs)
    assert confusion(first, second)[first[0] - 1, second[0] - 1] == Counter(pairs)[pairs[0]]


@given(grades_of_two)
def test_fleiss_of_two_judges_is_scott_s_pi(pairs):
    """Scott's pi: chance from both judges' grades together."""
    table = np.array(pairs)
    share = np.bincount(table.ravel(), minlength=6) / table.size
    found = fleiss_kappa(table, own(len(pairs)), draws=1)
    if (share == 1).any():
        assert found.value is None
    else:
        equal = (table[:, 0] == table[:, 1]).mean()
        assert found.value == pytest.approx((equal - share @ share) / (1 - share @ share), abs=1e-9)


def simulated(generator, images, each=5):
    """Two judges who both see the image's quality, and the passage's, with an error each."""
    image = np.repeat(generator.normal(0, 1, images), each)
    passage = generator.normal(0, 0.7, images * each)
    judged = [np.clip(np.round(3 + image + passage + generator.normal(0, 0.7, images * each)), 1, 5) for _ in "ab"]
    return [grades.astype(int) for grades in judged], np.repeat(np.arange(images), each)


def test_intervals_know_that_passages_share_images_and_cover_the_truth():
    (first, second), images = simulated(np.random.default_rng(1), 40_000)
    truth = weighted_kappa(first, second, images, draws=1).value
    covered, wider = 0, 0
    for seed in range(300):
        (first, second), images = simulated(np.random.default_rng(1000 + seed), 60)
        found = weighted_kappa(first, second, images, seed=seed, draws=400)
        alone = weighted_kappa(first, second, own(len(first)), seed=seed, draws=400)
        covered += found.low <= truth <= found.high
        wider += found.high - found.low > alone.high - alone.low
    # A percentile bootstrap over 60 images is a little narrow; 300 runs have a standard error of 1.3 points.
    assert 0.89 <= covered / 300 <= 0.98
    assert wider / 300 > 0.9


def test_the_same_seed_gives_the_same_interval_and_few_images_give_none():
    (first, second), images = simulated(np.random.default_rng(3), 20)
    assert weighted_kappa(first, second, images, seed=7) == weighted_kappa(first, second, images, seed=7)
    few = weighted_kappa(first[:20], second[:20], images[:20])
    assert few.value is not None and few.low is None and few.images == 4


def judged(judge, grades, **fields):
    """Grades by question number and passage number."""
    return [
        Grade(f"{question}-x", f"p-{passage}", grade, judge, **fields) for (question, passage), grade in grades.items()
    ]


GRADES = {(question, passage): 1 + (question * 7 + passage * 3) % 5 for question in range(12) for passage in range(5)}


def test_languages_and_images_of_people_s_grades_are_known_from_the_models():
    model = [
        replace(grade, language="am" if int(grade.question_id[:-2]) < 6 else "en", image_id=grade.question_id[0])
        for grade in judged("model", GRADES, dataset="mini")
    ]
    report = agreement(
        [*model, *judged("ana", {**GRADES, (99, 0): 3}), *judged("bo", {(0, 0): GRADES[0, 0]})], draws=50
    )
    rows = {(pair.first, pair.second, pair.language): pair for pair in report.pairs}
    assert {language for one, other, language in rows if (one, other) == ("model", "ana")} == {ALL, "am", "en"}
    whole = rows["model", "ana", ALL]
    assert (whole.kappa.value, whole.equal, whole.near, whole.kappa.items) == (1.0, 1.0, 1.0, 60)
    assert whole.kappa.images == 10 and whole.means[0] == whole.means[1]
    assert rows["model", "bo", ALL].kappa.value is None  # one item: all grades are the same
    assert [one.language for one in report.fleiss] == [ALL, "am"]
    assert report.fleiss[0].kappa.items == 1


def test_a_language_that_nobody_names_is_called_so():
    report = agreement([*judged("ana", GRADES), *judged("bo", GRADES)], draws=50)
    assert [pair.language for pair in report.pairs] == [ALL, UNKNOWN]


def test_what_a_judge_left_open_or_took_back_is_counted():
    model = judged("model", GRADES, setting="mmrag")
    again = [replace(model[0], setting="oracle", grade=model[0].grade % 5 + 1), replace(model[1], setting="oracle")]
    report = agreement(
        [*model, *again, replace(model[2], passage_id="p-9", grade=None), *judged("ana", GRADES)], draws=50
    )
    facts = report.judges[0]
    assert (facts.judge, facts.graded, facts.invalid, facts.contradicted) == ("model", 60, 1, 1)
    assert report.pairs[0].kappa.value == 1.0  # the first grade counts


def test_judges_who_have_nothing_in_common_are_refused():
    with pytest.raises(GradesError, match="needs two judges, and these grades are of one: ana"):
        agreement(judged("ana", GRADES))
    with pytest.raises(GradesError, match="No two judges graded the same passage"):
        agreement([*judged("ana", {(1, 1): 2}), *judged("bo", {(1, 2): 2})])


def test_passages_of_two_cuts_are_never_compared():
    ana, bo = (judged(name, GRADES, passages_key=key) for name, key in (("ana", "p1"), ("bo", "p2")))
    with pytest.raises(GradesError, match=r"graded in two corpora or cuts \(passages_key p1 and p2\)"):
        agreement([*ana, *bo])
    assert agreement([*ana, *judged("cy", GRADES)], draws=50).pairs  # people need not say


def test_a_pair_without_common_items_is_shown_beside_those_with_some():
    report = agreement([*judged("ana", {(1, 1): 2}), *judged("bo", {(1, 2): 2}), *judged("c", {(1, 2): 3})])
    assert [pair.kappa.items for pair in report.pairs if pair.language == ALL] == [0, 0, 1]
    assert report.fleiss[0].kappa.items == 0


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.integers(0, 2), st.integers(1, 5)), max_size=30)
)
def test_any_grades_are_compared_or_refused_for_people(entries):
    grades = list({(j, q, p): Grade(f"{q}", f"{p}", g, j) for j, q, p, g in entries}.values())
    try:
        report = agreement(grades, draws=20)
    except GradesError:
        return
    for pair in report.pairs:
        assert pair.kappa.value is None or pair.kappa.value <= 1 + 1e-9
