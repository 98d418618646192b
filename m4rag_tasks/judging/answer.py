"""Which grade a judge's text gives: a whole number from 1 to 5, or none. Pure.

The first step that finds something decides:

1. failed_request  the harness's marker for a request that got no answer
2. (reasoning blocks and special tokens are dropped, as in `answers`)
3. json            `grade`, else `score`, `rating` or `answer`, of the last JSON object, broken
                   or cut-off ones included
4. grade_tag       what follows `Score:`, `final grade is`, `a rating of`: where several differ,
                   the last one that is called final or overall; without any, what follows the
                   last mark of an answer (`Answer:`, `\\boxed{`), as in `answers`
5. bare_number     a line that is only a grade, after a label in any language or before what
                   the grade means: `점수: 4`, `4 - mostly helpful`, `Four`
6. fraction        `4/5`, `4 out of 5` anywhere
7. invalid

A grade is a number in any script's digits, a numeral such as 四 or ④, an English word, or any of
these out of 5. Whatever leaves a choice is invalid and never rounded or clipped: "between
3 and 4", "3.5", "4 or 5", "8/10", two scores that differ, "not a score of 5".
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from m4rag_tasks.answer_text import final_text, is_failed, last_json_answer, tagged
from m4rag_tasks.grades import HIGHEST, INVALID, LOWEST
from m4rag_tasks.option_text import DECORATION
from m4rag_tasks.records import FAILED

NAMES = ("grade", "score", "rating", "answer")
"""What the field of the grade may be called; the prompt asks for the first, the paper's program for the last."""

_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_OUT = 0  # Stands for what is said, and is no grade.
_NUMERAL = rf"[+\-−]?\d+(?:[.,٫]\d+)?|[一二三四五①②③④⑤ⅠⅡⅢⅣⅤ]|(?:{'|'.join(_WORDS)})(?![^\W\d_])"
_OF_FIVE = rf"[*\"]*\s*(?:/|(?:out of|of|von|van|sur|su|de|dari|od|из|من)(?![^\W\d_]))\s*[*\"]*({_NUMERAL})"
_UNIT = r"\s*(?:分|点|점|(?:points?|stars?|puntos?|punti|pontos?|punkte?)(?![^\W\d_]))"
_GRADE = re.compile(rf"({_NUMERAL})(?:{_OF_FIVE})?(?:{_UNIT})?", re.I)
# A second grade right after the first one.
_ANOTHER = re.compile(
    r"[)\]*\"]*\s*(?:[,、，/&+~\-–—−〜～]|\.\.+|…|(?:or|and|to|through|o|ou|oder|bis|y|et|und)(?![^\W\d_])|または|或|至|到)"
    rf"\s*[(\[*\"]*(?:{_NUMERAL})(?!\s*(?:%|[^\W\d_]))",
    re.I,
)
_TAG = re.compile(
    r"(?P<final>\b(?:final|overall|total|holistic|single)\s+(?:\w+\s+){0,2})?\b(?:score|rating|grade)\b"
    r"(?:[\"'`*_”’]|\s*\([^()\n]{1,20}\))*"
    r"\s*(?:(?P<prose>\b(?:is|of|was|would be|should be)\b)\s*:?|[:=：]|[-–—]\s|(?=[(\[*\"]*\d[.)\]*\"/ ]*\Z))",
    re.I,
)
# "not a score of 5", and "a score of 5 would need", give no grade.
_NEGATED = re.compile(
    r"(?:\b(?:not|cannot|never|no|than|above|below|least|most|between|if)\b|n['’]t\b)(?:\s+\w+){0,3}\s*\W*$", re.I
)
_SUPPOSED = re.compile(r"\W*\s*(?:would|could|requires?|means|needs|is\s+(?:for|reserved|given|when|if))\b", re.I)
_LABEL = re.compile(r"[^\d:：\n]{1,24}[:：]\s*")
_MEANING = re.compile(r"\s*[.,:;)\]\-–—]\s*\D*|\s*\(\D*\)?\.?")
_EDGE = " \t\r\f\v*_`#$\"'“”[({<"


@dataclass(frozen=True)
class ReadGrade:
    """What was read: a grade from 1 to 5, or None, and the step that decided."""

    grade: int | None
    rule: str


def parse_grade(answer: str) -> ReadGrade:
    """Read a judge's answer. Never raises on any text."""
    if is_failed(answer):
        return ReadGrade(None, FAILED)
    text = final_text(answer, NAMES).strip()
    for rule, step in (("json", _json), ("grade_tag", _tagged), ("bare_number", _bare), ("fraction", _fraction)):
        found = step(text)
        if found is not None:
            return ReadGrade(found, rule) if found else ReadGrade(None, INVALID)
    return ReadGrade(None, INVALID)


def _json(text: str) -> int | None:
    value = last_json_answer(text, _plain, NAMES)
    return None if value is None else _stated(value) or _tagged(value) or _OUT


def _plain(value: Any) -> str:
    """A JSON value as text: `4`, `4.0`, `[4]` and `"4"` are the same grade; true is none."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""


def _tagged(text: str) -> int | None:
    """The grade after a tag; `_OUT` where tags differ and none of them is the final one."""
    said: list[tuple[int, bool]] = []
    for tag in _TAG.finditer(text):
        rest = text[tag.end() :].lstrip(_EDGE + "\n").partition("\n")[0]
        number = _leading(rest)
        before = text[max(0, tag.start() - 40) : tag.start()].rpartition(". ")[2]
        if number is None or (tag["prose"] and (_NEGATED.search(before) or _SUPPOSED.match(_after(rest)))):
            continue
        said.append((number, bool(tag["final"])))
    if not said:
        # "The answer is 4", "\\boxed{4}": as answers to questions are marked.
        return next((number for rest, _ in tagged(text) if (number := _leading(rest)) is not None), None)
    last = [number for number, final in said if final][-1:]
    given = set(last or (number for number, _ in said))
    return given.pop() if len(given) == 1 else _OUT


def _bare(text: str) -> int | None:
    """The one grade of all lines that say nothing else, or of the first line that begins with it."""
    lines = [line.strip(DECORATION) for line in text.splitlines() if line.strip(DECORATION)]
    if not lines:
        return None
    single = len(lines) == 1
    found = [_stated(_LABEL.sub("", line, count=1) if single else line) for line in lines]
    given = {number for number in found if number is not None}
    if not given and single:
        number, match = _leading(lines[0]), _GRADE.match(lines[0])
        if number and match and _MEANING.fullmatch(lines[0][match.end() :]):
            given = {number}
    return None if not given else given.pop() if len(given) == 1 else _OUT


def _fraction(text: str) -> int | None:
    given = {_number(match[1], match[2]) for match in _GRADE.finditer(text) if match[2]}
    return None if not given else given.pop() if len(given) == 1 else _OUT


def _stated(value: str) -> int | None:
    """The grade that is the whole value, or begins it and is followed by what it means; None where it begins so not."""
    plain = value.strip(DECORATION)
    match = _GRADE.match(plain)
    if not match:
        return None
    rest = plain[match.end() :]
    if _ANOTHER.match(rest):
        return _OUT
    return _number(match[1], match[2]) if not rest.strip(DECORATION) or _MEANING.fullmatch(rest) else None


def _leading(rest: str) -> int | None:
    """The grade that a text begins with, `_OUT` where it is one of several or none; None where no numeral begins it."""
    match = _GRADE.match(rest)
    if not match:
        return _OUT if re.match(r"(?:somewhere\s+)?between\b", rest, re.I) else None
    return _OUT if _ANOTHER.match(rest[match.end() :]) else _number(match[1], match[2])


def _after(rest: str) -> str:
    match = _GRADE.match(rest)
    return rest[match.end() :] if match else rest


def _number(numeral: str, out_of: str | None = None) -> int:
    """The grade that a numeral is, out of 5 if out of anything; `_OUT` where it is none."""
    if out_of is not None and _value(out_of) != HIGHEST:
        return _OUT
    value = _value(numeral)
    return int(value) if value in range(LOWEST, HIGHEST + 1) else _OUT


def _value(numeral: str) -> float:
    if numeral.lower() in _WORDS:
        return _WORDS[numeral.lower()]
    if len(numeral) == 1:
        return unicodedata.numeric(numeral)
    try:
        return float(numeral.replace(",", ".").replace("٫", ".").replace("−", "-"))
    except ValueError:
        return _OUT
