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
7. option_text     the text of exactly one option, whole or contained
8. invalid

A number outside 1..len(options) is invalid, never clipped. It is not looked up
among the options either, because the prompt asks for the option's number.

`reference` and `worldcuisines` are those of the published programs
(`published_rules`). Wherever `reference` finds an option, `m4rag` finds the same,
except for its known defects:

- the first `answer: N` wins, also inside an explanation or a reasoning block,
  where the model answers otherwise later, or never;
- a number that begins an option's text is read as the option's number
  (`answer: 2 people` where that is the text of option 3); its rule for free
  text likewise cuts a quoted answer of several words at the first space.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from m4rag_tasks import published_rules
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

_FAILED = re.compile(r"[\s\"'\[]*LMMS_EVAL_")
_REASONING_TAG = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.I)
_FENCE = re.compile(r"\s*```(?:json)?\s*(\{.*\})\s*```\s*", re.S | re.I)
_SPECIAL_TOKEN = re.compile(r"<\|[^|<>]{1,40}\|>|</?s>|<(?:eos|end_of_turn)>")

# `"answer": value` in an object that is not valid JSON: single quotes, trailing commas, cut off. A quote
# ends its string only before what may follow a value, for the string may hold unescaped ones.
_STRING = r"{0}(?:[^{0}\\\n]|\\.|{0}(?!\s*(?:[,}}{0}\n]|\Z)))*{0}?"
_FIELD = re.compile(
    r"(?:\{\s*|[{,]\s*[\"'“])answer[\"'”]?\s*:\s*"
    rf"({_STRING.format(chr(34))}|{_STRING.format(chr(39))}|\[[^\]\n]*\]?|[^,}}\n]*)",
    re.I,
)
# What stands where no answer was filled in.
_PLACEHOLDER = re.compile(r"<[^<>]*>|null|none|", re.I)
# What may stand between a tag and its value: space, markdown.
_TAG_EDGE = " \t\r\n\f\v*_`#$:："
# No boundary before `answer`: the reference has none.
TAG = re.compile(
    r"(?:answer|(?:correct|right|best)\s+(?:option|choice))[\"'`*_”’]*(?:\s+(?:option|number|choice))?"
    r"\s*(?:(?P<prose>is\b)\s*:?|[:=：])|<answer>|\\boxed\s*\{",
    re.I,
)
_OPTION_WORD = r"(?:(?:option|choice|number)\s+|no\.\s*)?"
_LABEL = re.compile(r"^[^\d:：]{1,24}[:：]\s*(?=\d)")
_NUMBER = re.compile(rf"{_OPTION_WORD}[(\[]?(\d+)", re.I)
_LETTER = re.compile(rf"{_OPTION_WORD}([A-Z])", re.I)
# In running text a capital stands alone; `A` and small letters need punctuation (an article has none).
_TAGGED_LETTER = re.compile(rf"(?i:{_OPTION_WORD})[(\[]?(?:([B-Z])(?=\s)|([A-Za-z])(?=\s*(?:$|[.,:;)\]}}*\"”])))")
_LISTED = re.compile(r"(\d+)(?:\s*[.):\]\-–—]\s*|\s+)(.+)|([A-Za-z])\s*[.):\]\-–—]\s*(.+)")

_DECODER = json.JSONDecoder()


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


def strip_reasoning(text: str) -> str:
    """The text without <think>, <thinking> and <reasoning> blocks.

    A lone closing tag ends reasoning whose opening tag was part of the prompt; an
    unclosed opening tag means that the model ran out of tokens before it answered.
    """
    kept: list[str] = []
    start, inside = 0, False
    for tag in _REASONING_TAG.finditer(text):
        if tag[1]:
            kept = kept if inside else []
            start, inside = tag.end(), False
        elif not inside:
            kept.append(text[start : tag.start()])
            inside = True
    return " ".join(kept if inside else [*kept, text[start:]])


def is_failed(answer: str) -> bool:
    """Whether this is the harness's marker for a request that got no answer."""
    return bool(_FAILED.match(answer))


def final_text(answer: str) -> str:
    """What is left of an answer without reasoning and special tokens."""
    return answer if _answers_in_json(answer) else _SPECIAL_TOKEN.sub(" ", strip_reasoning(answer))


def last_json_answer(text: str, plain: Callable[[Any], str]) -> str | None:
    """`answer` of the last object in the text that has one, put into words by `plain`; None without any.

    An object that says nothing (null, the prompt's own placeholder echoed) does not undo one that does.
    """
    objects = _objects(text)
    found = [(start, _answer_of(value)) for start, _, value in objects]
    found += [
        (field.start(), _unquoted(field[1]))
        for field in _FIELD.finditer(text)
        if not any(start <= field.start() < end for start, end, _ in objects)
    ]
    answered = [(start, plain(value)) for start, value in found if value is not None]
    said = [item for item in answered if not is_placeholder(item[1])]
    return max(said or answered, key=lambda item: item[0])[1] if answered else None


def _unquoted(value: str) -> Any:
    """A value of a broken object: the string (cut off or not) or list that it is, else its text without quotes."""
    for form in (value, value + '"', value.replace("'", '"')):
        try:
            read = json.loads(form)
        except (ValueError, RecursionError):
            continue
        if isinstance(read, str | list):
            return read
    return value.strip(" \t\r\"'`“”").replace("\\'", "'")


def is_placeholder(text: str) -> bool:
    """Whether a value says nothing: empty, null, or the prompt's own `<number>` echoed."""
    return bool(_PLACEHOLDER.fullmatch(text.strip()))


def tagged(text: str) -> Iterator[tuple[str, bool]]:
    """What follows each tag (`answer:`, `Answer is`, `<answer>`, `\\boxed{`) on its line, the last first.

    With it whether the tag was prose ("is"), not punctuation. Where nothing follows on
    the tag's own line, the next line that is not empty counts. A later tag ends the text.
    """
    end = len(text)
    for match in reversed(list(TAG.finditer(text))):
        rest = text[match.end() : end].lstrip(_TAG_EDGE)
        yield re.split(r"\n|</", rest, maxsplit=1)[0], bool(match["prose"])
        end = match.start()


def _m4rag(answer: str, options: Options) -> Parsed:
    text = final_text(answer)
    for step in (_json, _answer_tag, _bare, _closing):
        if parsed := step(text, options):
            return parsed
    return _option_text(text, options)


def _answers_in_json(text: str) -> bool:
    """Whether the whole text is an object with an answer: a tag in one of its strings is quoted, no reasoning."""
    fenced = _FENCE.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and _answer_of(value) is not None


def _json(text: str, options: Options) -> Parsed | None:
    """`answer` of the last object that has one; an answer that names no option is final."""
    value = last_json_answer(text, _plain)
    if value is None:
        return None
    choice = _resolve(value, options)
    return parsed_as(contained(value, options) if choice is None else choice, "json")


def _objects(text: str) -> list[tuple[int, int, dict[str, Any]]]:
    """Start, end and value of each valid JSON object that stands in the text."""
    found, start = [], text.find("{")
    while start >= 0:
        end = start + 1
        try:
            value, end = _DECODER.raw_decode(text, start)
            found.append((start, end, value))
        except (ValueError, RecursionError):  # Not JSON, or braces nested past any use.
            pass
        start = text.find("{", end)
    return found


def _answer_of(value: dict[str, Any]) -> Any:
    """The value under `answer` (any case), else that of the last object inside; None when there is none."""
    inner = [item for item in value.values() if isinstance(item, dict)]
    for place in (value, *reversed(inner)):
        keys = [key for key in place if key.strip().casefold() == "answer"]
        if keys:
            item = place["answer" if "answer" in place else keys[-1]]
            # Answered with null: an answer that names no option, not the lack of one.
            return "" if item is None else item
    return None


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
        choice = _resolve(stated, options)
        if choice is not None and not (choice == OUT and prose):
            return parsed_as(choice, "answer_tag")
    return None


def _resolve(value: str, options: Options) -> int | None:
    """The option that a stated value names: its number, its text, or its letter."""
    plain = value.strip(DECORATION)
    if re.fullmatch(r"\d+", plain):
        return in_range(plain, options)
    # Before a leading number, because an option's text may begin with one ("2 people").
    if number := whole(value, options):
        return number
    if match := _NUMBER.match(plain):
        return in_range(match[1], options)
    match = _TAGGED_LETTER.match(value.strip().lstrip(DECORATION))
    return letter_choice(match[1] or match[2], options) if match else None


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
