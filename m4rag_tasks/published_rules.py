"""The rules by which the published programs read an answer, defects included.

`reference` is `extract_answer_mcq` of the M4-RAG program (davidanugraha/M4-RAG,
src/evaluation/eval_cvqa.py and eval_wc.py, the same in both): the text as one
JSON object, compared as text with the number, else the first `answer: N`. It
reads no bare `3`.

`worldcuisines` is the published rule of WorldCuisines (worldcuisines/worldcuisines,
evaluation/score/score.py, `score_mc`): the whole text as an integer; else the
number before a full stop at the start; else the first number anywhere; else
wrong (its look-up of an option's text compares text with number, so it never counts).

`reference_open_ended` is `extract_answer` of the M4-RAG program: the same for text.
Without JSON it ends an answer at the first space or comma, so that of a quoted
answer of several words only the first is read. WorldCuisines scores the raw text.
"""

import json
import re

from m4rag_tasks.option_text import INVALID, Options, Parsed, in_range, parsed_as

_REFERENCE_TAG = re.compile(r'(?:"answer"|answer)\s*:\s*"?(\d+)"?')
_REFERENCE_TEXT = re.compile(r"""(?:"answer"|answer)\s*:\s*["']?(.+?)["']?(?:,|\s|$)""")


def reference(answer: str, options: Options) -> Parsed:
    """The rule of the M4-RAG program."""
    try:
        value = json.loads(answer)
        read, rule = (str(value.get("answer")) if isinstance(value, dict) else ""), "json"
    except json.JSONDecodeError:
        match = _REFERENCE_TAG.search(answer)
        read, rule = (str(in_range(match[1], options)) if match else ""), "answer_tag"
    except (ValueError, RecursionError):
        return INVALID
    numbers = {str(number): number for number in range(1, len(options) + 1)}
    return parsed_as(numbers.get(read), rule)


def worldcuisines(answer: str, options: Options) -> Parsed:
    """The rule of WorldCuisines."""
    try:
        choice = int(answer)
        return parsed_as(choice if 1 <= choice <= len(options) else None, "bare_number")
    except ValueError:
        match = re.match(r"(\d+)\.", answer)
        rule = "leading_number" if match else "first_number"
        match = match or re.search(r"(\d+)", answer)
        return parsed_as(in_range(match[1], options) if match else None, rule)


def reference_open_ended(answer: str) -> tuple[str | None, str]:
    """The text that the M4-RAG program reads and the step that read it; None where it reads nothing.

    An object without an answer, or with null, counts as nothing (the program reads the text "None").
    """
    try:
        value = json.loads(answer)
        stated = value.get("answer") if isinstance(value, dict) else None
        return (None if stated is None else str(stated)), "json"
    except json.JSONDecodeError:
        match = _REFERENCE_TEXT.search(answer)
        return (match[1].strip() if match else None), "answer_tag"
    except (ValueError, RecursionError):
        return None, "invalid"
