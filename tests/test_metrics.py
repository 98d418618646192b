"""Figures, their intervals, and what is refused."""

import math

import numpy as np
import pytest
from scipy import stats

from m4rag_tasks import analysis, intervals, metrics
from m4rag_tasks.analysis import columns, paired
from m4rag_tasks.errors import RunError
from m4rag_tasks.metrics import IdsError, NoRecordsError, RecordError


def record(question, image, score, language="en", **more):
    row = {
        "question_id": f"{question}-{language}",
        "language": language,
        "image_id": str(image),
        "qa_id": str(question),
    }
    row |= {"strict": score, "parse": "json", **more}
    return row if score is None else {**row, "score": score}


def run(scores, images=None, language="en"):
    return [
        record(number, number if images is None else images[number], score, language)
        for number, score in enumerate(scores)
    ]


def micro(records, score="score"):
    found = columns(records)
    return analysis.micro(found, values(found, score))


def macro(records, score="score"):
    found = columns(records)
    return analysis.macro(found, values(found, score))


def values(found, score):
    return analysis.invalid(found) if score == "invalid" else np.array(found.told(score), dtype=float)


def retention(without, with_):
    return analysis.retention(columns(without), columns(with_))


def correction(without, with_):
    return analysis.correction(columns(without), columns(with_))


def paired_difference(a, b, by_language=False):
    if by_language:
        return analysis.difference(columns(a), columns(b))
    pair = paired(columns(a), columns(b))
    return metrics.difference(pair.scores[0] - pair.scores[1], pair.images, failed=pair.failed)


def by_matrices(values, images, strata):
    """Mean, larger of CR1 and CR2, and degrees of freedom, written with the whole N x N matrices of the literature."""
    values, images, strata = np.array(values, float), np.array(images), np.array(strata)
    n, g, s = len(values), images.max() + 1, strata.max() + 1
    same = strata[:, None] == strata
    sizes = same.sum(axis=1)
    residual_maker = np.eye(n) - same / sizes
    psi = 1 / (s * sizes)
    plain, rows = [], []
    for image in range(g):
        inside = images == image
        vectors = residual_maker[inside]
        own, axes = np.linalg.eigh(residual_maker[np.ix_(inside, inside)])
        root = axes @ np.diag(np.where(own > 1e-9, np.abs(own) ** -0.5, 0)) @ axes.T
        plain.append(psi[inside] @ vectors)
        rows.append(psi[inside] @ root @ vectors)
    cr1 = g / (g - 1) * (n - 1) / (n - s) * np.sum((np.array(plain) @ values) ** 2)
    cr2 = np.sum((np.array(rows) @ values) ** 2)
    gram = np.array(rows) @ np.array(rows).T
    return (psi * values).sum(), math.sqrt(max(cr1, cr2)), np.trace(gram) ** 2 / np.sum(gram**2)


def score_ends(share, reach):
    """The p with (share - p)² = h p (1 - p), as far from the share as their own spread reaches."""
    h = reach**2 / (share * (1 - share))
    return pytest.approx(sorted(np.roots([1 + h, -(2 * share + h), share**2])))


def test_accuracy_by_hand():
    # Images a: 1 1, b: 0, c: 1 0, and d, e, f the same. Mean 6/10, psi = (y - 0.6)/10, k² = 5/4 and 10/9.
    estimate = micro(run([1, 1, 0, 1, 0] * 2, "aabccddeff"))
    error = math.sqrt(2 * (5 / 4 * 0.08**2 + 10 / 9 * 0.06**2 + 5 / 4 * 0.02**2))
    _, by_matrix, freedom = by_matrices([1, 1, 0, 1, 0] * 2, [0, 0, 1, 2, 2, 3, 3, 4, 5, 5], [0] * 10)
    assert error == pytest.approx(by_matrix)
    assert 4 < freedom < 5
    assert (estimate.value, estimate.n, estimate.clusters, estimate.failed) == (pytest.approx(0.6), 10, 6, 0)
    assert (estimate.low, estimate.high) == score_ends(0.6, stats.t.ppf(0.975, freedom) * error)


def test_one_question_an_image_gives_the_ordinary_standard_error():
    scores = [1] * 30 + [0] * 20
    estimate = micro(run(scores))
    reach = stats.t.ppf(0.975, 49) * np.std(scores, ddof=1) / math.sqrt(50)
    assert (estimate.low, estimate.high) == score_ends(0.6, reach)


def test_macro_counts_languages_micro_counts_questions():
    english, swahili = run([1, 1, 1, 1, 0, 1]), run([0, 1], language="sw")
    mean = macro(english + swahili)
    pooled = micro(english + swahili)
    assert mean.value == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert pooled.value == pytest.approx(6 / 8)
    assert (mean.n, mean.clusters) == (8, 6)


def test_macro_interval_by_hand():
    # Five times four images: en asks all (1 0 1 1), sw the first two (1 0).
    english = run([1, 0, 1, 1] * 5)
    swahili = run([1, 0] * 5, [4 * (number // 2) + number % 2 for number in range(10)], "sw")
    sums = [0.25 / 40 + 0.5 / 20, -0.75 / 40 - 0.5 / 20, 0.25 / 40, 0.25 / 40]
    error = math.sqrt(20 / 19 * 29 / 28 * 5 * sum(value**2 for value in sums))  # CR1, here a little above CR2
    images = [*range(20), *(4 * (number // 2) + number % 2 for number in range(10))]
    _, by_matrix, freedom = by_matrices([1, 0, 1, 1] * 5 + [1, 0] * 5, images, [0] * 20 + [1] * 10)
    assert error == pytest.approx(by_matrix)
    assert 9 < freedom < 19
    estimate = macro(english + swahili)
    assert (estimate.value, estimate.n, estimate.clusters) == (0.625, 30, 20)
    assert (estimate.low, estimate.high) == score_ends(0.625, stats.t.ppf(0.975, freedom) * error)


@pytest.mark.parametrize("seed", range(6))
def test_interval_and_p_value_are_those_of_the_literature(seed):
    """On designs of any shape: languages of unlike sizes, images shared by some of them, several records an image."""
    rng = np.random.default_rng(seed)
    strata = np.repeat(np.arange(4), rng.integers(5, 25, 4))
    images = np.unique(rng.integers(0, 15, len(strata)), return_inverse=True)[1]
    records = [record(n, images[n], int(rng.random() < 0.5), f"l{strata[n]}") for n in range(len(strata))]
    value, error, freedom = by_matrices([row["score"] for row in records], images, strata)
    estimate = macro(records)
    assert estimate.value == pytest.approx(value)
    assert (estimate.low, estimate.high) == score_ends(value, stats.t.ppf(0.975, freedom) * error)
    none = [{**row, "score": 0} for row in records]
    p_value = paired_difference(records, none, by_language=True).p_value
    assert p_value == pytest.approx(2 * stats.t.sf(value / error, freedom))


def test_macro_of_one_language_is_its_accuracy():
    records = run([1, 0, 1, 1, 0, 1, 0], "aabbccd")
    assert macro(records) == micro(records)


def test_macro_of_another_field_and_invalid_rate():
    records = [
        record(1, 1, 1, strict=1),
        record(2, 2, 1, strict=0, parse="bare_number"),
        record(3, 3, 0, strict=0, parse="invalid"),
        record(4, 4, None, strict=None, parse="failed_request"),
    ]
    assert micro(records).value == pytest.approx(2 / 3)
    assert macro(records, "strict").value == pytest.approx(1 / 3)
    rate = micro(records, "invalid")
    assert (rate.value, rate.n, rate.failed) == (pytest.approx(1 / 3), 3, 1)


def test_failed_requests_are_counted_and_never_wrong():
    estimate = micro(run([1, 1, None, None, 0]))
    assert (estimate.value, estimate.n, estimate.failed) == (pytest.approx(2 / 3), 3, 2)
    assert macro(run([1, None]) + run([0], language="sw")).failed == 1


@pytest.mark.parametrize("score", [0, 1])
def test_equal_scores_do_not_claim_certainty(score):
    estimate = micro(run([score] * 40, [number // 4 for number in range(40)]))
    z = stats.norm.ppf(0.975)
    width = z**2 / (10 + z**2)  # Wilson at 0 or n of n, n = 10 images
    expected = (0, width) if score == 0 else (1 - width, 1)
    assert (estimate.low, estimate.high) == pytest.approx(expected)
    assert estimate.value == score


def test_languages_that_are_all_right_and_all_wrong_do_not_claim_certainty():
    estimate = macro(run([1, 1, 1]) + run([0, 0, 0], language="sw"))
    assert estimate.value == 0.5
    assert estimate.low < 0.25
    assert estimate.high > 0.75


def test_macro_of_one_question_per_language_is_the_accuracy():
    """With as many languages as records no language shows a spread of its own."""
    records = [record(number, number, number % 3 > 0, f"l{number}") for number in range(30)]
    mean, pooled = macro(records), micro(records)
    assert (mean.low, mean.high) == (pytest.approx(pooled.low), pytest.approx(pooled.high))


def test_languages_that_are_constant_on_images_of_their_own_use_the_spread_between_them():
    english = run([1] * 20)
    swahili = run([0] * 20, range(20, 40), language="sw")
    mean, pooled = macro(english + swahili), micro(english + swahili)
    assert (mean.low, mean.high) == (pytest.approx(pooled.low), pytest.approx(pooled.high))


def test_a_constant_language_of_many_questions_does_not_hide_one_of_few():
    few = macro(run([1] * 3) + run([0] * 600, range(3, 603), language="sw"))
    many = macro(run([1] * 300) + run([0] * 303, range(300, 603), language="sw"))
    assert few.value == many.value == 0.5
    assert few.high - few.low > 5 * (many.high - many.low)


def test_one_image_has_no_interval():
    estimate = micro(run([1, 0, 1], "aaa"))
    assert (estimate.low, estimate.high, estimate.clusters) == (None, None, 1)
    difference = paired_difference(run([1, 0, 1], "aaa"), run([0, 0, 1], "aaa"))
    assert (difference.estimate.low, difference.p_value) == (None, None)


def draw(rng, images, languages=6, spread=1.2):
    """Questions on images of unequal difficulty, each image asked in some of the languages."""
    ease = rng.normal(0.4, spread, images)
    asked = rng.random((images, languages)) < 0.8
    right = rng.random((images, languages)) < 1 / (1 + np.exp(-ease[:, None]))
    return [
        record(image, image, int(right[image, language]), f"l{language}")
        for image, language in np.argwhere(asked).tolist()
    ]


@pytest.mark.parametrize("figure", ["micro", "macro"])
def test_interval_covers_the_truth_as_often_as_it_says(figure):
    rng = np.random.default_rng(20251205)
    truth = np.mean(1 / (1 + np.exp(-rng.normal(0.4, 1.2, 2_000_000))))
    covered = 0
    for _ in range(300):
        records = draw(rng, images=60)
        estimate = micro(records) if figure == "micro" else macro(records)
        covered += estimate.low <= truth <= estimate.high
    assert 0.91 <= covered / 300 <= 0.98


def cr1_interval(scores, images, strata):
    """The plain cluster-robust interval: CR1 with t of one less than the number of images."""
    sizes = np.bincount(strata)
    means = np.bincount(strata, weights=scores) / sizes
    psi = (scores - means[strata]) / (len(sizes) * sizes[strata])
    sums = np.bincount(images, weights=psi)
    n, g = len(scores), len(sums)
    error = math.sqrt(g / (g - 1) * (n - 1) / (n - len(sizes)) * sums @ sums)
    reach = stats.t.ppf(0.975, g - 1) * error
    return means.mean() - reach, means.mean() + reach


def coverage(sizes, right, shared, tries=400):
    """How often CR1's interval and ours hold the truth; `shared`: the languages ask about the same images."""
    rng = np.random.default_rng(20251205)
    strata = np.repeat(np.arange(len(sizes)), sizes)
    images = np.concatenate([np.arange(size) for size in sizes]) if shared else np.arange(len(strata))
    plain = ours = 0
    for _ in range(tries):
        scores = (rng.random(len(strata)) < right).astype(float)
        low, high = cr1_interval(scores, images, strata)
        plain += low <= right <= high
        rows = [record(n, images[n], int(score), f"l{strata[n]}") for n, score in enumerate(scores)]
        estimate = macro(rows)
        ours += estimate.low <= right <= estimate.high
    return plain / tries, ours / tries


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("right", [0.5, 0.7])
@pytest.mark.parametrize("sizes", [[3, 3, 3, 300], [5, 5, 300]])
def test_tiny_languages_beside_a_huge_one_are_covered_better(sizes, right, shared):
    plain, ours = coverage(sizes, right, shared)
    assert plain < 0.92
    assert ours >= plain + 0.02
    assert ours > 0.85


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("sizes", [[60] * 5, [20, 20, 200], [100, 150, 200], [8] * 12])
def test_other_sizes_are_covered_no_worse(sizes, shared):
    plain, ours = coverage(sizes, 0.6, shared)
    assert ours >= plain - 0.01
    assert 0.92 <= ours <= 0.99


def test_shares_close_to_one_are_covered():
    """Three questions an image that go together: the plain interval is too short on one side."""
    rng = np.random.default_rng(7)
    images, tries = np.repeat(np.arange(100), 3), 600
    strata = np.zeros(300, dtype=int)
    plain = ours = 0
    for _ in range(tries):
        alike, drawn = rng.random(300) < 0.3, rng.random(300)
        scores = (np.where(alike, rng.random(100)[images], drawn) < 0.95).astype(float)
        low, high = cr1_interval(scores, images, strata)
        plain += low <= 0.95 <= high
        estimate = intervals.estimate(scores, images)
        ours += estimate.low <= 0.95 <= estimate.high
    assert plain / tries < 0.935
    assert 0.935 <= ours / tries <= 0.975


def test_tiny_languages_lower_the_degrees_of_freedom():
    """Three languages of three questions carry the variance: 3 x 2 degrees of freedom, not 608."""
    strata = np.repeat(np.arange(4), [3, 3, 3, 600])
    scores = np.arange(len(strata)) % 2
    error, _ = intervals.difference(scores.astype(float), np.arange(len(strata)), strata)
    spread = sum(np.var(scores[strata == s], ddof=1) / (strata == s).sum() for s in range(4)) / 16
    assert (error.high - error.value) / math.sqrt(spread) == pytest.approx(stats.t.ppf(0.975, 6), rel=0.01)


def test_ignoring_images_would_be_too_narrow():
    """Each image's ten questions stand or fall together: 20 images carry 20 answers' worth, not 200."""
    rng = np.random.default_rng(7)
    right = rng.integers(0, 2, 20)
    clustered = micro([record(number, number // 10, int(right[number // 10])) for number in range(200)])
    naive = micro([record(number, number, int(right[number // 10])) for number in range(200)])
    assert clustered.value == naive.value
    ratio = (clustered.high - clustered.low) / (naive.high - naive.low)
    assert ratio == pytest.approx(math.sqrt(10), rel=0.1)


WITHOUT = [1, 1, 1, 1, 0, 0, 0, 0, 0, 1]
WITH = [1, 1, 0, 1, 1, 0, 0, 0, 1, None]


def test_retention_and_correction_by_hand():
    without, with_ = run(WITHOUT), run(WITH)[::-1]
    kept, gained = retention(without, with_), correction(without, with_)
    assert (kept.value, kept.n, kept.failed) == (0.75, 4, 1)
    assert (gained.value, gained.n) == (pytest.approx(0.4), 5)
    assert kept.low < kept.value < kept.high


def test_nothing_can_be_retained_or_corrected_where_there_was_nothing():
    assert retention(run([0, 0]), run([1, 0])) is None
    assert correction(run([1, 1]), run([1, 0])) is None


def test_paired_difference_by_hand():
    a = run([1, 1, 1, 0, 1, 1, 0, 1])
    b = run([1, 0, 0, 0, 1, 0, 1, 1])
    difference = paired_difference(a, b)
    delta = np.array([0, 1, 1, 0, 0, 1, -1, 0])
    test = stats.ttest_1samp(delta, 0)
    assert difference.estimate.value == pytest.approx(0.25)
    assert difference.p_value == pytest.approx(test.pvalue)
    assert difference.estimate.low == pytest.approx(test.confidence_interval().low)
    assert (difference.only_a, difference.only_b) == (3, 1)
    assert difference.mcnemar_p == pytest.approx(stats.binomtest(1, 4).pvalue)


def test_paired_difference_turns_its_sign():
    a, b = run([1, 1, 1, 0, 1, 1], "aabbcc"), run([1, 0, 0, 0, 1, 1], "aabbcc")
    one, two = paired_difference(a, b), paired_difference(b, a)
    assert one.estimate.value == -two.estimate.value
    assert (one.estimate.low, one.p_value) == (pytest.approx(-two.estimate.high), pytest.approx(two.p_value))


def test_paired_difference_sees_what_two_intervals_hide():
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 2, 400)
    better = np.where(rng.random(400) < 0.05, 1, scores)
    a, b = run(better.tolist()), run(scores.tolist())
    assert micro(b).high > micro(a).value
    assert paired_difference(a, b).p_value < 0.01


def test_difference_of_macro_means_is_the_macro_figure():
    a = run([1, 1, 1, 0]) + run([1, 0], language="sw")
    b = run([1, 0, 1, 0]) + run([0, 0], language="sw")
    gap = paired_difference(a, b, by_language=True).estimate
    expected = macro(a).value - macro(b).value
    assert gap.value == pytest.approx(expected) == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert paired_difference(a, b).estimate.value == pytest.approx(2 / 6)


def test_equal_runs_and_runs_that_differ_everywhere():
    same = paired_difference(run([1, 0, 1, 1]), run([1, 0, 1, 1]))
    assert (same.estimate.value, same.p_value, same.mcnemar_p) == (0, 1, 1)
    assert same.estimate.low == -same.estimate.high < 0
    apart = paired_difference(run([1] * 8), run([0] * 8))
    assert apart.p_value == apart.mcnemar_p == pytest.approx(2 * 0.5**8)
    assert 0.5 < apart.estimate.low < apart.estimate.high == 1
    assert paired_difference(run([0] * 8), run([1] * 8)).estimate.high == -apart.estimate.low


def compared(deltas, languages):
    """The macro difference of two runs that differ by `deltas`, each question on an image of its own."""
    a, b = (
        [record(number, number, int(right), f"l{languages[number]}") for number, right in enumerate(rights)]
        for rights in (np.array(deltas) > 0, np.array(deltas) < 0)
    )
    return paired_difference(a, b, by_language=True)


def test_one_discordant_pair_in_thirty_languages_is_no_evidence():
    difference = compared([1] + [0] * 29, range(30))
    test = stats.ttest_1samp([1] + [0] * 29, 0)
    assert difference.mcnemar_p == 1
    assert difference.p_value == pytest.approx(test.pvalue) == pytest.approx(0.326, abs=0.001)
    assert difference.estimate.low == pytest.approx(test.confidence_interval().low)
    assert difference.estimate.low < 0 < difference.estimate.high


def test_a_difference_in_one_language_only_uses_the_spread_between_languages():
    a = run([1] * 20) + run([0] * 20, range(20, 40), language="sw")
    b = run([0] * 20) + run([0] * 20, range(20, 40), language="sw")
    mean, pooled = paired_difference(a, b, by_language=True), paired_difference(a, b)
    assert mean.p_value == pytest.approx(pooled.p_value) == pytest.approx(stats.ttest_1samp([1] * 20 + [0] * 20, 0)[1])
    assert (mean.estimate.low, mean.estimate.high) == pytest.approx((pooled.estimate.low, pooled.estimate.high))
    assert 0.3 < mean.estimate.low < 0.5 < mean.estimate.high < 0.7


def test_images_that_all_differ_alike_are_compared_by_their_signs():
    """The same twenty images in both languages, right in one only: images do not vary, their values do."""
    a = run([1] * 20) + run([0] * 20, language="sw")
    b = run([0] * 20) + run([0] * 20, language="sw")
    difference = paired_difference(a, b, by_language=True)
    assert difference.p_value == difference.mcnemar_p == pytest.approx(2 * 0.5**20)
    assert 0 < difference.estimate.low < 0.5 < difference.estimate.high < 1
    turned = run([0] * 20) + run([1] * 20, language="sw")
    assert paired_difference(a, turned, by_language=True).p_value == 1


@pytest.mark.parametrize("sizes", [[1] * 30, [1] * 20 + [20], [1, 1, 1, 1, 1, 20], [2] * 10, [1] + [30] * 5])
def test_languages_of_few_questions_keep_the_level_and_the_coverage(sizes):
    """Under no difference about one test in twenty rejects, and the interval misses 0 as often."""
    rng = np.random.default_rng(5)
    languages = np.repeat(np.arange(len(sizes)), sizes)
    rejected = missed = 0
    for _ in range(400):
        difference = compared(rng.choice([-1, 0, 1], len(languages), p=[0.15, 0.7, 0.15]), languages)
        rejected += difference.p_value < 0.05
        missed += not difference.estimate.low <= 0 <= difference.estimate.high
    assert rejected / 400 < 0.1
    assert missed / 400 < 0.1


def test_test_keeps_its_level_when_questions_share_images():
    """Under no difference the clustered test rejects about one time in twenty, McNemar's far more often."""
    rng = np.random.default_rng(11)
    clustered = independent = 0
    for _ in range(300):
        tilt = np.repeat(rng.integers(-1, 2, 40), 8)
        a, b = (tilt >= 0).astype(int), (tilt <= 0).astype(int)
        images = [number // 8 for number in range(320)]
        difference = paired_difference(run(a.tolist(), images), run(b.tolist(), images))
        clustered += difference.p_value < 0.05
        independent += difference.mcnemar_p < 0.05
    assert clustered / 300 < 0.09
    assert independent / 300 > 0.3


def test_a_question_that_could_not_be_scored_pairs_without_an_image():
    stub = {"question_id": "1-en", "language": "en", "parse": "unscored"}
    difference = paired_difference(run([1, 1, 0]), [*run([0]), stub, record(2, 2, 0)])
    assert (difference.estimate.n, difference.estimate.failed) == (2, 1)


def test_check_ids():
    records = run([1, 0, 1])
    metrics.check_ids(records)
    metrics.check_ids(records, ["0-en", "1-en", "2-en"])
    metrics.check_ids([], [])
    with pytest.raises(IdsError, match=r"1 question id \(2-en\) there more than once"):
        metrics.check_ids([*records, records[2]])
    with pytest.raises(IdsError, match=r"2 question ids \(3-en, 4-en\) missing of 5 expected"):
        metrics.check_ids(records, [f"{number}-en" for number in range(5)])
    with pytest.raises(IdsError, match=r"1 question id \(2-en\) not part of the task"):
        metrics.check_ids(records, ["0-en", "1-en"])


@pytest.mark.parametrize(
    ("records", "error", "message"),
    [
        ([], NoRecordsError, "no records"),
        (run([None, None]), NoRecordsError, "none of 2 questions has a score: all requests failed"),
        (run([1, 0.5]), RecordError, "1-en is 0.5"),
        (run([1, "right"]), RecordError, "number is expected"),
        ([{"question_id": "q", "language": "en", "score": 1}], RecordError, "question q has no image_id"),
    ],
)
def test_what_cannot_be_averaged_is_refused(records, error, message):
    with pytest.raises(error, match=message) as raised:
        micro(records)
    assert isinstance(raised.value, RunError)
    assert isinstance(raised.value, ValueError)


def test_macro_names_the_language_without_scores():
    with pytest.raises(NoRecordsError, match="no record of sw has a score"):
        macro(run([1]) + run([None], language="sw"))


def test_the_language_nan_is_a_language():
    estimate = macro(run([1, 0], language="nan") + run([1, 1]))
    assert estimate.value == 0.75
