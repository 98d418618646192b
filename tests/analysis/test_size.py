"""Model sizes by name, and the line through the gains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4rag_tasks.analysis import ModelSize, columns, known_sizes, parse_size, size_effect
from m4rag_tasks.errors import UnknownNameError

from . import synthetic
from .records import run


@pytest.mark.parametrize(
    ("name", "total", "active"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", 7, 7),
        ("google/gemma-3-4b-it", 4, 4),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", 109, 17),
        ("Qwen3-VL-30B-A3B-Thinking", 30, 3),
        ("neulab/Pangea-7B", 7, 7),
        ("Gemma3 27B", 27, 27),
        ("HuggingFaceTB/SmolVLM-500M-Instruct", 0.5, 0.5),
        ("openbmb/MiniCPM-V-2_6", 8.1, 8.1),
        ("/weights/7B/qwen2-vl-2b/", 2, 2),
        ("InternVL3-1.5B", 1.5, 1.5),
    ],
)
def test_sizes_in_names(name, total, active):
    assert parse_size(name) == ModelSize(total, active)


@pytest.mark.parametrize("name", ["m4rag_reader", "gpt-4o", "mixtral-8x7b", "gemma-3n-E4B-it", "ours-7B-from-70B", ""])
def test_names_that_do_not_say_one_size_say_none(name):
    assert parse_size(name) is None


def test_given_sizes_come_before_those_in_names():
    models = ["qwen-7b", "gpt-4o", "reader"]
    found = known_sizes(models, {"gpt-4o": "30B-A3B", "qwen-7b": "8B"})
    assert found == {"qwen-7b": ModelSize(8, 8), "gpt-4o": ModelSize(30, 3), "reader": None}
    with pytest.raises(UnknownNameError, match="'gpt-5'; the models are qwen-7b, gpt-4o, reader"):
        known_sizes(models, {"gpt-5": "7B"})
    with pytest.raises(UnknownNameError, match="'big' of reader cannot be read"):
        known_sizes(models, {"reader": "big"})


@given(st.text())
def test_any_name_can_be_read(name):
    size = parse_size(name)
    assert size is None or (size.total > 0 and size.active >= 0)


@pytest.fixture(scope="module")
def models():
    return synthetic.models(synthetic.asked(synthetic.World()), np.random.default_rng(1))


def test_points_are_in_the_order_of_sizes_and_the_line_spans_them(models):
    shuffled = {name: models[name] for name in sorted(models, reverse=True)}
    found = size_effect(shuffled, synthetic.SIZES)
    assert [point.size.total for point in found.points] == [3, 7, 13, 32, 72]
    assert found.problem is None and found.slope.models == 5
    assert (found.line[0][0], found.line[-1][0]) == (pytest.approx(3), pytest.approx(72))
    for billions, gain, low, high in found.line:
        assert low < gain < high
        assert gain == pytest.approx(found.slope.intercept + found.slope.value * np.log10(billions))


def test_the_oracle_gap_can_stand_in_place_of_the_gain(models):
    turned = {name: (with_, without) for name, (without, with_) in models.items()}
    gain, gap = size_effect(models, synthetic.SIZES).slope, size_effect(turned, synthetic.SIZES).slope
    assert (gap.value, gap.low, gap.high) == pytest.approx((-gain.value, -gain.high, -gain.low))


def test_active_parameters_can_be_the_size(models):
    sizes = {name: ModelSize(size.total, size.total / 10) for name, size in synthetic.SIZES.items()}
    total, active = size_effect(models, sizes), size_effect(models, sizes, active=True)
    assert active.slope.value == pytest.approx(total.slope.value)
    assert active.line[0][0] == pytest.approx(0.3)


def test_less_than_three_sizes_give_points_and_no_line(models):
    sizes = {name: ModelSize(7, 7) for name in models} | {"m-3b": ModelSize(3, 3), "m-72b": None}
    found = size_effect(models, sizes)
    assert found.slope is None and len(found.points) == 4
    assert found.problem == "a line needs models of at least 3 sizes; there are 2"
    assert found.left_out == ("m-72b",)
    assert size_effect(models, {}).problem.startswith("there is no model of known size")


def test_gains_without_spread_and_other_questions_are_told():
    same = columns(run([1, 0, 1, 1, 0, 1]))
    sizes = {f"m{n}": ModelSize(n, n) for n in (1, 2, 3)}
    assert size_effect(dict.fromkeys(sizes, (same, same)), sizes).problem == "the gains do not vary between images"


def test_a_model_that_was_asked_other_questions_is_left_out_and_named(models):
    other = columns(run([1, 0, 1, 1], "hi"))
    found = size_effect({"odd": (other, other), **models}, synthetic.SIZES | {"odd": ModelSize(1, 1)})
    assert found.slope == size_effect(models, synthetic.SIZES).slope
    (told,) = found.problems
    assert told.startswith("odd: the runs do not hold the same questions")
    assert found.languages == ("am", "hi", "sw")
    torn = size_effect({"torn": (other, models["m-3b"][0]), **models}, synthetic.SIZES | {"torn": ModelSize(1, 1)})
    assert torn.slope == found.slope and torn.problems[0].startswith("torn: ")


def test_models_without_a_variety_in_common_have_no_points(models):
    asked = {"m-3b": ["am", "hi"], "m-7b": ["am"], "m-13b": ["hi"]}
    cut = {name: tuple(run_.of_languages(asked[name]) for run_ in models[name]) for name in asked}
    found = size_effect(cut, synthetic.SIZES)
    assert found.points == () and "no language variety" in found.problem


def test_all_models_are_cut_to_the_varieties_that_each_was_asked_in(models):
    cut = {name: (a.of_languages(["am", "hi"]), b) if name == "m-7b" else (a, b) for name, (a, b) in models.items()}
    found = size_effect(cut, synthetic.SIZES)
    assert found.languages == ("am", "hi") and found.problems == ()
    assert {point.gain.estimate.n for point in found.points} == {240}
