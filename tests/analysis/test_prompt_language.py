"""Effects of the languages of prompt and context."""

import pytest

from m4rag_tasks.analysis import columns, language_effects

from .records import run


def variant(hindi, amharic):
    return columns(run(hindi, "hi") + run(amharic, "am") + run([1, 1, 0, 0], "en_gb", base_language="en"))


def test_effects_are_own_language_minus_english_without_varieties_of_english():
    found = language_effects(
        {
            "": variant([1, 1, 0, 0], [0, 0, 0, 1]),
            "enprompt": variant([1, 1, 1, 0], [1, 1, 0, 1]),
            "localctx": variant([1, 0, 0, 0], [0, 0, 0, 1]),
        }
    )
    prompt, context = found.rows
    assert (prompt.switched, prompt.local, prompt.english) == ("prompt", "", "enprompt")
    assert {row.language: row.difference.estimate.value for row in prompt.effect.rows} == {"am": -0.5, "hi": -0.25}
    assert prompt.effect.overall.estimate.value == pytest.approx(-0.375)
    assert prompt.effect.resources["low"].estimate.value == -0.5
    assert (context.switched, context.local, context.english) == ("context", "localctx", "")
    assert context.effect.overall.estimate.value == pytest.approx(-0.125)
    assert found.not_run == (
        "prompt language, localctx against enprompt_localctx: no enprompt_localctx run",
        "context language, enprompt_localctx against enprompt: no enprompt_localctx run",
    )


def test_runs_in_english_alone_have_no_effect_to_measure():
    english = columns(run([1, 0], "en_gb", base_language="en"))
    found = language_effects({"": english, "enprompt": english})
    assert found.rows == ()
    assert found.problems[0].startswith("prompt language, plain against enprompt: no language variety")
