"""What can be wrong with the texts of one context set. Pure, but for the language model.

Each check yields findings about single questions; the import decides how many it accepts.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from m4rag_tasks import text_language
from m4rag_tasks.suite import language

CHECKS = {
    "missing": "no usable text: never asked, failed or empty",
    "picture": "the picture was missing, and a grey one was described in its place",
    "cut-off": "the text was cut off",
    "language": "the text is not in the language asked for",
    "leak": "the right answer stands in a caption, which must not contain it",
}
"""The checks by name, in the order in which findings are shown."""

_LEAK_FREE = "caption"
_NO_SPACES = ("CJK ", "HIRAGANA", "KATAKANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ")


@dataclass(frozen=True)
class Expected:
    """A question that a set has to have a text for. `golds`: the right option in the wordings that there are."""

    question_id: str
    language: str
    question: str
    golds: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """One text as it was written; `where` is its file and line. `finish` as `written_text.read` says, or the tokens.

    `blank`: whether the model was shown a grey picture in place of a missing one.
    """

    question_id: str
    text: str
    finish: str
    written_in: str
    where: str
    blank: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with the text of one question; `check` is one of `CHECKS`."""

    check: str
    question_id: str
    what: str


def findings(kind: str, expected: Sequence[Expected], texts: Mapping[str, Text]) -> Iterator[Finding]:
    """Everything that is wrong with a set of this kind, in the order of `expected`.

    `texts` by question id. Questions without a text are "missing", whatever the reason.
    """
    for asked in expected:
        found = texts.get(asked.question_id)
        if found is None:
            yield Finding("missing", asked.question_id, "no text was written")
        elif found.finish in ("empty", "failed") or not found.text.strip():
            reason = "the request failed" if found.finish == "failed" else "the text is empty"
            yield Finding("missing", asked.question_id, f"{reason} ({found.where})")
        else:
            yield from _of_text(kind, asked, found)


def _of_text(kind: str, asked: Expected, found: Text) -> Iterator[Finding]:
    if found.blank:
        yield Finding("picture", asked.question_id, f"written without its picture ({found.where})")
    if found.finish == "cut_off":
        yield Finding("cut-off", asked.question_id, f"it ends in {found.text[-30:]!r} ({found.where})")
    if problem := text_language.problem(found.text, language(found.written_in)):
        yield Finding("language", asked.question_id, f"{problem} ({found.where})")
    if kind == _LEAK_FREE and (leaked := leak(found.text, asked.golds, asked.question)):
        yield Finding("leak", asked.question_id, f"the right answer {leaked!r} stands in the caption ({found.where})")


def leak(text: str, golds: Sequence[str], question: str = "") -> str | None:
    """The first gold that stands in a text as whole words and not in the question; None where none does.

    Both normalised: NFKC, caseless, marks of punctuation are spaces. Scripts that do not set
    words apart have no whole words, so there any place counts.
    """
    said, asked = _words(text), _words(question)
    return next(
        (gold for gold in golds if _stands_in(_words(gold), said) and not _stands_in(_words(gold), asked)), None
    )


def shares(found: Sequence[Finding]) -> Counter[str]:
    """How many findings each check has."""
    return Counter(finding.check for finding in found)


def _stands_in(gold: str, text: str) -> bool:
    if not gold:
        return False
    if any(unicodedata.name(character, "").startswith(_NO_SPACES) for character in gold):
        return gold in text
    return f" {gold} " in f" {text} "


def _words(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split())


def as_json(found: Sequence[Finding]) -> dict[str, Any]:
    """Question ids by check, for a manifest."""
    by_check: dict[str, list[str]] = {}
    for finding in found:
        by_check.setdefault(finding.check, []).append(finding.question_id)
    return by_check
