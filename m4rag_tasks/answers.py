"""What a model's text answers: one of the numbered options, or nothing.

Three rules read an answer; each is a pure function of the text and the options.

`m4rag` (default), the first step that finds something decides:

1. failed_request  the harness's marker for a request that got no answer
2. (reasoning blocks and special tokens are dropped, unless the whole text is
   one JSON object with an answer: its strings may quote them)
3. json            `answer` of the last JSON object, broken or cut-off objects included
4. answer_tag      the last `answer: N`, `Answer is (B)`, `<answer>N</answer>`, `\\boxed{N}`
5. bare_number, bare_letter
                   a line that is only a number or letter, or `2. Dosa` where both agree
6. bare_number     the whole answer is one short line that ends with its only number,
                   in any language: `La respuesta correcta es la 3.`, `답은 2번입니다`
                   (a few words for "number", "option" or "is" may follow); not where
                   the number may be an amount, is negated, or an option's text occurs
7. option_text     the text of exactly one option, whole or contained, and not
                   negated there (`It is not teff`, `ไม่ใช่ผัดไทย`)
8. invalid

A number outside 1..len(options) is invalid, never clipped. It is not looked up
among the options either, because the prompt asks for the option's number. `Answer: 1 or 2`
names no option, unless `reference` reads its 1 (it does in `answer: 1 or 2`, small letters).

`reference` and `worldcuisines` are those of the published programs
(`published_rules`). Wherever `reference` finds an option, `m4rag` finds the same,
except for its known defects:

- the first `answer: N` wins, also inside an explanation or a reasoning block,
  where the model answers otherwise later, or never;
- a number that begins an option's text is read as the option's number
  (`answer: 2 people` where that is the text of option 3); its rule for free
  text likewise cuts a quoted answer of several words at the first space.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from m4rag_tasks import published_rules
from m4rag_tasks.answer_text import final_text, is_failed, last_json_answer, tagged
from m4rag_tasks.option_text import (
    DECORATION,
    OUT,
    Options,
    Parsed,
    closing_number,
    contained,
    in_range,
    letter_choice,
    normal,
    normals,
    parsed_as,
    whole,
)

RULES = ("m4rag", "reference", "worldcuisines")

_OPTION_WORD = r"(?:(?:option|choice|number)\s+|no\.\s*)?"
_LABEL = re.compile(r"^[^\d:：]{1,24}[:：]\s*(?=\d)")
_NUMBER = re.compile(rf"{_OPTION_WORD}[(\[]?(\d+)", re.I)
_LETTER = re.compile(rf"{_OPTION_WORD}([A-Z])", re.I)
# In running text a capital stands alone; `A` and small letters need punctuation (an article has none).
_TAGGED_LETTER = re.compile(rf"(?i:{_OPTION_WORD})[(\[]?(?:([B-Z])(?=\s)|([A-Za-z])(?=\s*(?:$|[.,:;)\]}}])|[*\"”]))")
# A second number or capital right after the first one.
_ANOTHER = re.compile(
    r"[)\]*]*\s*(?:[,、，/&+]|(?:or|and|o|ou|oder|ya|atau|utawa|или|या|か|または|또는|或者?|还是|أو|หรือ)(?![^\W\d_]))\s*"
    rf"(?i:{_OPTION_WORD})[(\[*]*(?:(\d+)(?!\d|[.,]\d)|([A-Z])(?=\s*(?:$|[.,;)\]])))"
)
_LISTED = re.compile(r"(\d+)(?:\s*[.):\]\-–—]\s*|\s+)(.+)|([A-Za-z])\s*[.):\]\-–—]\s*(.+)")


def parse(answer: str, options: Sequence[str], rule: str = "m4rag") -> Parsed:
    """Read `answer` by one of `RULES`. Never raises on any text; an unknown rule is a ValueError.

    A failed request is told apart under every rule: its marker is the harness's
    text, not an answer, and may hold a digit.
    """
    if rule not in _READERS:
        raise ValueError(f"unknown answer rule {rule!r}; the rules are: {', '.join(RULES)}")
    if is_failed(answer):
        return Parsed(None, "failed_request")
    return _READERS[rule](answer, tuple(options))


def _m4rag(answer: str, options: Options) -> Parsed:
    text = final_text(answer).strip()
    for step in (_json, _answer_tag, _bare, _closing):
        if parsed := step(text, options):
            return parsed
    return _option_text(text, options)


def _json(text: str, options: Options) -> Parsed | None:
    """`answer` of the last object that has one; an answer that names no option is final."""
    value = last_json_answer(text, _plain)
    if value is None:
        return None
    choice = _resolve(value, options, text)
    return parsed_as(contained(value, options) if choice is None else choice, "json")


def _plain(value: Any) -> str:
    """A JSON value as text: `3`, `3.0`, `[3]` and `"3"` are the same answer; true is none."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    return str(value)


def _answer_tag(text: str, options: Options) -> Parsed | None:
    """The last tag that is followed by a number, a letter or a whole option.

    "The answer is 100 years old" states no option, so a number out of range
    counts as an answer after a colon only.
    """
    for stated, prose in tagged(text):
        choice = _resolve(stated, options, text)
        if choice is not None and not (choice == OUT and prose):
            return parsed_as(choice, "answer_tag")
    return None


def _resolve(value: str, options: Options, text: str) -> int | None:
    """The option that a value stated in the text names: its number, its text, or its letter.

    "1 or 2" names none, unless the reference reads the 1 in this text.
    """
    plain = value.strip(DECORATION)
    if re.fullmatch(r"\d+", plain):
        return in_range(plain, options)
    # Before a leading number, because an option's text may begin with one ("2 people").
    if number := whole(value, options):
        return number
    if match := _NUMBER.match(plain):
        choice = in_range(match[1], options)
        doubtful = _names_another(plain[match.end() :], match[1], options)
        return OUT if doubtful and published_rules.reference(text, options).choice != choice else choice
    match = _TAGGED_LETTER.match(value.strip().lstrip(DECORATION))
    if not match:
        return None
    letter = match[1] or match[2]
    rest = match.string[match.end() :]
    return OUT if _names_another(rest, letter, options) else letter_choice(letter, options)


def _names_another(rest: str, first: str, options: Options) -> bool:
    """Whether "or 2", ", 3" or "/ C" after a first number or letter names another option, and is no option's text."""
    match = _ANOTHER.match(rest)
    if not match or normal(rest) in normals(options):
        return False
    if match[1]:
        return in_range(match[1], options) not in (OUT, in_range(first, options) if first.isdecimal() else OUT)
    return letter_choice(match[2], options) is not None and match[2] != first.upper()


def _bare(text: str, options: Options) -> Parsed | None:
    """The option named by lines that are a number, a letter, or `2. Dosa`, when they name one only."""
    lines = [line for line in text.splitlines() if line.strip()]
    read = [_line(line, options, alone=len(lines) == 1) for line in lines]
    found = [item for item in read if item is not None]
    if not found or len({choice for choice, _ in found}) > 1:
        return None
    return parsed_as(*found[0])


def _line(line: str, options: Options, alone: bool) -> tuple[int, str] | None:
    """One line's option and rule. `alone`: it is the whole answer, so more forms are safe."""
    plain = line.strip(DECORATION)
    if alone:
        # "উত্তর: ৩", "คำตอบ: 3": a label in any language, then nothing but the number.
        plain = _LABEL.sub("", plain)
    if match := _NUMBER.fullmatch(plain):
        return in_range(match[1], options), "bare_number"
    if whole(line, options) is not None:
        return None
    if match := _LISTED.fullmatch(plain):
        number, after_number, letter, after_letter = match.groups()
        choice = in_range(number, options) if number else letter_choice(letter, options)
        rule = "bare_number" if number else "bare_letter"
        rest = normal(after_number or after_letter)
        if choice and rest == normals(options)[choice - 1]:
            return choice, rule
        # "2. Dosa" where Dosa is option 3: neither half can be preferred.
        return (OUT, rule) if alone and rest in normals(options) else None
    match = _LETTER.fullmatch(plain)
    choice = letter_choice(match[1], options) if match and (alone or match[1].isupper()) else None
    return (choice, "bare_letter") if choice else None


def _closing(text: str, options: Options) -> Parsed | None:
    """The number that a short answer of one line ends with, whatever words lead to it."""
    choice = closing_number(text.strip(), options)
    return Parsed(choice, "bare_number") if choice else None


def _option_text(text: str, options: Options) -> Parsed:
    return parsed_as(whole(text, options) or contained(text, options), "option_text")


_READERS: dict[str, Callable[[str, Options], Parsed]] = dict(
    zip(RULES, (_m4rag, published_rules.reference, published_rules.worldcuisines), strict=True)
)
