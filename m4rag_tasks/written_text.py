"""What a model wrote, and whether it looks finished. Pure.

The harness does not say why a model stopped. Where the model counts its tokens the import
compares these with the limit (`context_import`); here the text itself is looked at: a text is
cut off if its reasoning was never closed, or if it does not end as a text ends, by a mark
that ends sentences in its script. Thai, Lao, Khmer and Burmese write none at the end of a text, and lists
of queries have none, so for these only the tokens can tell.
"""

from __future__ import annotations

import re
import unicodedata

import regex

from m4rag_tasks.answer_text import is_failed, strip_reasoning

_ENDS = regex.compile(r"\p{Sentence_Terminal}|…")
_UNMARKED = ("THAI ", "LAO ", "KHMER ", "MYANMAR ")
_OPENED = re.compile(r"<(?:think|thinking|reasoning)>", re.I)
_SPECIAL_TOKEN = re.compile(r"<\|[^|<>]{1,40}\|>|</?s>|<(?:eos|end_of_turn)>")
_FENCED = re.compile(r"```\w*\n(.*?)\n?```", re.S)
_BULLET = re.compile(r"^\s*(?:[-*•·–]|\d{1,2}[.)、])\s+")
_CLOSING = "\"'*_`"


def read(answer: str, makes: str) -> tuple[str | None, str]:
    """The text that a model wrote and its state: "ended", "cut_off", "empty" or "failed".

    `makes` is the kind of context set. Of queries each line is one, without its bullet or number.
    """
    if is_failed(answer):
        return None, "failed"
    said = _SPECIAL_TOKEN.sub(" ", strip_reasoning(answer)).strip()
    fenced = _FENCED.fullmatch(said)
    lines = (fenced[1] if fenced else said).splitlines()
    if makes == "queries":
        queries = [text for line in lines if (text := " ".join(_BULLET.sub("", line).split()))]
        text = "\n".join(dict.fromkeys(queries))
    else:
        text = " ".join(" ".join(lines).split())
    if not text:
        # Reasoning without an end took all the tokens that there were.
        return "", "cut_off" if _OPENED.search(answer) else "empty"
    return text, "ended" if makes == "queries" or ends_as_a_text(text) else "cut_off"


def ends_as_a_text(text: str) -> bool:
    """Whether a text ends by a mark that ends sentences, or is in a script that writes none."""
    return ends_with_a_mark(text) or unicodedata.name(_last(text), "").startswith(_UNMARKED)


def ends_with_a_mark(text: str) -> bool:
    """Whether the last character, closing quotes and brackets left aside, ends a sentence."""
    return bool(_ENDS.match(_last(text)))


def _last(text: str) -> str:
    # From the end, and not `rstrip`, because closing marks are categories and not a list.
    for character in reversed(text):
        if not (character.isspace() or character in _CLOSING or unicodedata.category(character) in ("Pe", "Pf")):
            return character
    return " "
