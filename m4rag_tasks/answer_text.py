"""What a model's text says, whatever was asked: without its reasoning, in JSON, after a tag."""

import functools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_FAILED = re.compile(r"[\s\"'\[]*LMMS_EVAL_")
_REASONING_TAG = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.I)
_FENCE = re.compile(r"\s*```(?:json)?\s*([{\[].*[}\]])\s*```\s*", re.S | re.I)
_SPECIAL_TOKEN = re.compile(r"<\|[^|<>]{1,40}\|>|</?s>|<(?:eos|end_of_turn)>")

# `"answer": value` in an object that is not valid JSON: single quotes, trailing commas, cut off. A quote
# ends its string only before what may follow a value, for the string may hold unescaped ones.
_STRING = r"{0}(?:[^{0}\\\n]|\\.|{0}(?!\s*(?:[,}}{0}\n]|\Z)))*{0}?"
_VALUE = rf"({_STRING.format(chr(34))}|{_STRING.format(chr(39))}|\[[^\]\n]*\]?|[^,}}\n]*)"
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

_DECODER = json.JSONDecoder()

ANSWER = ("answer",)
"""What the field of an answer is called, in JSON; a judge's may have other names, the first one first."""


def is_failed(answer: str) -> bool:
    """Whether this is the harness's marker for a request that got no answer."""
    return bool(_FAILED.match(answer))


def final_text(answer: str, names: Sequence[str] = ANSWER) -> str:
    """What is left of an answer without reasoning and special tokens; `names` as in `last_json_answer`."""
    return answer if _answers_in_json(answer, names) else _SPECIAL_TOKEN.sub(" ", strip_reasoning(answer))


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


def _answers_in_json(text: str, names: Sequence[str]) -> bool:
    """Whether the whole text is JSON with an answer: a tag in one of its strings is quoted, no reasoning."""
    fenced = _FENCE.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return False
    return _answer_of(value, names) is not None


def last_json_answer(text: str, plain: Callable[[Any], str], names: Sequence[str] = ANSWER) -> str | None:
    """The answer of the last object in the text that has one, put into words by `plain`; None without any.

    It stands under the first of `names` that the object has. An object that says nothing (null,
    the prompt's own placeholder echoed) does not undo one that does.
    """
    objects = _objects(text)
    found = [(start, _answer_of(value, names)) for start, _, value in objects]
    found += [
        (field.start(), _unquoted(field[1]))
        for field in _field(tuple(names)).finditer(text)
        if not any(start <= field.start() < end for start, end, _ in objects)
    ]
    answered = [(start, plain(value)) for start, value in found if value is not None]
    said = [item for item in answered if not is_placeholder(item[1])]
    return max(said or answered, key=lambda item: item[0])[1] if answered else None


@functools.cache
def _field(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?:\{{\s*|[{{,]\s*[\"'“])(?:{'|'.join(names)})[\"'”]?\s*:\s*{_VALUE}", re.I)


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


def _answer_of(value: Any, names: Sequence[str]) -> Any:
    """The value under one of the names (any case), else that of the last object inside; None when there is none."""
    places: list[Any] = [value]
    for place in places:  # Grows while it is read: the outer objects come first.
        if not isinstance(place, dict):
            places += reversed(place) if isinstance(place, list) else ()
            continue
        for name in names:
            keys = [key for key in place if key.strip().casefold() == name]
            if keys:
                item = place[name if name in place else keys[-1]]
                # Answered with null: an answer that names no option, not the lack of one.
                return "" if item is None else item
        places += reversed(place.values())
    return None


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
