"""The analysis finds what was planted, and its 95 % intervals hold it in 93 to 97 of 100 runs.

200 seeds, each with several runs: the share of intervals that hold the truth has a standard error of half a
point, so that a method that holds 91 or 99 % fails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest

from m4rag_tasks import analysis
from m4rag_tasks.analysis.cost import costs

from . import synthetic
from .synthetic import SIZES, World

SEEDS = range(200)
RUNS_PER_SEED = 10

Interval = tuple[str, float, float, float, float]
"""Name, truth, estimate and both ends."""


def of_retrieval(questions: synthetic.Asked, rng: np.random.Generator) -> Iterator[Interval]:
    world, runs = questions.world, synthetic.retrieval(questions, rng)
    for bucket in analysis.retained_by_grade(runs["norag"], runs["mmrag"]).rows:
        for name, truth, found in (
            ("retention", world.retention, bucket.retention),
            ("correction", world.correction, bucket.correction),
        ):
            yield f"{name} {bucket.name}", truth[bucket.name], found.value, found.low, found.high
    gained = analysis.compare_by_language(runs["mmrag"], runs["norag"])
    yield "gain", world.macro_gain(), *ends(gained.overall.estimate)
    for row in gained.rows:
        yield f"gain {row.language}", world.gain(row.language), *ends(row.difference.estimate)
    gap = analysis.difference(runs["oracle"], runs["mmrag"])
    yield "oracle gap", world.oracle_gap(), *ends(gap.estimate)
    (cost,) = costs(runs["norag"], {"mmrag": runs["mmrag"]}).rows
    yield "gain per 1,000 characters", world.macro_gain() / 3, *ends(cost.gain_per_1000_chars)


def of_prompts(questions: synthetic.Asked, rng: np.random.Generator) -> Iterator[Interval]:
    (effect,) = analysis.language_effects(synthetic.prompts(questions, rng)).rows
    loss = questions.world.prompt_loss
    for row in effect.effect.rows:
        if loss[row.language]:
            yield f"prompt {row.language}", -loss[row.language], *ends(row.difference.estimate)
    low = effect.effect.resources["low"].estimate
    yield "prompt, low resource", -(loss["am"] + loss["sw"]) / 2, *ends(low)


def of_models(questions: synthetic.Asked, rng: np.random.Generator) -> Iterator[Interval]:
    slope = analysis.size_effect(synthetic.models(questions, rng), SIZES).slope
    name, truth = f"slope, spread {questions.world.spread}", questions.world.slope
    yield name, truth, slope.value, slope.low, slope.high
    if not questions.world.spread:
        yield f"{name}, these models", truth, slope.value, slope.low_given, slope.high_given


def ends(estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


@pytest.mark.parametrize(
    ("figures", "world"),
    [
        (of_retrieval, World()),
        (of_prompts, World()),
        (of_models, World()),
        (of_models, World(spread=0.03)),
    ],
)
def test_planted_effects_are_recovered_within_their_intervals(figures, world):
    questions = synthetic.asked(world)
    found: dict[str, list[tuple[float, float, bool]]] = defaultdict(list)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        for _ in range(RUNS_PER_SEED):
            for name, truth, value, low, high in figures(questions, rng):
                found[name].append((truth, value, low <= truth <= high))
    for name, all_ in found.items():
        truth, values, held = (np.array(column) for column in zip(*all_, strict=True))
        assert len(all_) == len(SEEDS) * RUNS_PER_SEED
        # Unbiased: the mean of the estimates is within four of its standard errors of the truth.
        assert abs((values - truth).mean()) < 4 * values.std() / np.sqrt(len(all_)), name
        assert 0.93 <= held.mean() <= 0.97, (name, held.mean())


def test_of_settings_that_do_not_differ_any_is_told_apart_one_time_in_twenty():
    """The chance of a false finding is that of the whole family of six pairs, not of each."""
    world = World(images=60)
    questions = synthetic.asked(world)
    alone = corrected = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        for _ in range(2):
            runs = {name: questions.run(questions.draw(rng) < 0.6) for name in ("norag", "mmrag", "mmrag_b3", "oracle")}
            rows = analysis.compare_settings({"m": runs}).rows
            alone += any(row.difference.p_value < 0.05 for row in rows)
            corrected += any(row.significant for row in rows)
    assert alone / 400 > 0.12
    assert corrected / 400 < 0.08
