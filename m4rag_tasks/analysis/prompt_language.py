"""The paper's RQ3: does it matter in which language the prompt's words, and the oracle context, are?

The two are switches of a task (`axes.VARIANTS`), so each effect is a paired difference of two variants of one
setting, the question's own language minus English, in which the other switch stays as it is:

    prompt    "" - enprompt            (context as given)
    prompt    localctx - enprompt_localctx   (context in the question's language)
    context   localctx - ""            (prompt in the question's language)
    context   enprompt_localctx - enprompt   (prompt in English)

Below 0: the question's own language costs accuracy. Varieties of English are left out, whose two prompts are the
same. Averages are macro over varieties; p values of varieties are corrected within each effect (`comparisons`).
Source: the paper, RQ3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from m4rag_tasks.analysis.columns import Columns
from m4rag_tasks.analysis.comparisons import ByLanguage, compare_by_language
from m4rag_tasks.errors import RunError

EFFECTS: tuple[tuple[str, str, str], ...] = (
    ("prompt", "", "enprompt"),
    ("prompt", "localctx", "enprompt_localctx"),
    ("context", "localctx", ""),
    ("context", "enprompt_localctx", "enprompt"),
)
"""What is switched, the variant with it in the question's language, the one with it in English."""


@dataclass(frozen=True)
class LanguageEffect:
    """local minus english: overall, per resource class and per variety. switched: "prompt" or "context"."""

    switched: str
    local: str
    english: str
    effect: ByLanguage


@dataclass(frozen=True)
class LanguageEffects:
    """The effects that the variants at hand allow.

    not_run: those that lack a run, and which. problems: those whose runs cannot be compared, and why.
    """

    rows: tuple[LanguageEffect, ...]
    not_run: tuple[str, ...]
    problems: tuple[str, ...]


def language_effects(variants: Mapping[str, Columns]) -> LanguageEffects:
    """The effects in one setting of one model on one data set; `variants` by name, "" the plain one."""
    rows, not_run, problems = [], [], []
    for switched, local, english in EFFECTS:
        missing = [name or "plain" for name in (local, english) if name not in variants]
        pair = f"{switched} language, {local or 'plain'} against {english or 'plain'}"
        if missing:
            not_run.append(f"{pair}: no {' and no '.join(missing)} run")
            continue
        try:
            effect = compare_by_language(*(_without_english(variants[name]) for name in (local, english)))
        except RunError as error:
            problems.append(f"{pair}: {error}")
            continue
        rows.append(LanguageEffect(switched, local, english, effect))
    return LanguageEffects(tuple(rows), tuple(not_run), tuple(problems))


def _without_english(run: Columns) -> Columns:
    return run.of_languages(name for name, variety in run.varieties.items() if variety.base_language != "en")
