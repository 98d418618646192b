"""The M4-RAG layout: one JSON object an article, checked field by field.

    {"id", "pageid", "title", "url",
     "content": [{"heading", "content": [paragraph], "images": [{"src", "alt", "caption"}], "access_time"}]}

`content` is "" for a page that could not be fetched.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from retrieval_cache.records import Article, Section

# Codes of Wikipedias: en, arz, zh-yue, zh-min-nan, be-tarask; of the live ones
# only "simple" begins with more than three letters. Longer labels are names:
# wikipedia.org, commons.wikimedia.org, meta.wikimedia.org.
_LANGUAGE = re.compile(r"simple|(?!www\b)[a-z]{2,3}(-[a-z0-9]{1,12})*")

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_TEXTS = {"id", "title", "url", "content", "heading", "images", "src"}

COLUMNS = ("id", "title", "url", "content")
"""What is read of a row; the other fields of the layout are not looked at."""

KINDS = ("not_json", "not_object", "wrong_field", "lone_surrogate", "bad_url", "duplicate_id", "too_long")
"""What can be wrong with a line, in the order of the tables."""


class BrokenLine(Exception):
    """A line that is no article; `kind` is one of KINDS, the message a reason for people.

    `inside` names the part of the line: " (id 'a1'), content[0]".
    """

    def __init__(self, kind: str, reason: str, inside: str = "") -> None:
        super().__init__(reason)
        self.kind, self.reason, self.inside = kind, reason, inside

    def within(self, outer: str) -> BrokenLine:
        """The same, found inside of `outer`."""
        return BrokenLine(self.kind, self.reason, outer + self.inside)


def parse(line: bytes) -> Any:
    """The JSON value of one line. Raises BrokenLine for anything but JSON in UTF-8, and for half characters."""
    try:
        row = json.loads(line.decode("utf-8"))
        # In a line of UTF-8 only an escape can make half a character: one look at the bytes spares the texts theirs.
        if _SURROGATE.search(line):
            _refuse_half_characters(row, "the line")
        return row
    except UnicodeDecodeError as error:
        raise BrokenLine("not_json", f"not UTF-8 ({error.reason} at byte {error.start})") from error
    except (ValueError, RecursionError) as error:  # the latter for nesting without end
        raise BrokenLine("not_json", f"not JSON ({error})") from error


def row_id(row: Any) -> str:
    """The id of a row. Raises BrokenLine if the row is no object or has no id."""
    if not isinstance(row, dict):
        raise BrokenLine("not_object", f"a JSON object is wanted, this is {_kind(row)}")
    article_id = _text(row, "id")
    if not article_id.strip():
        raise BrokenLine("wrong_field", "'id' is empty")
    return article_id


def article_of(row: dict[str, Any], article_id: str) -> Article | None:
    """The article of a row, None for a page without content. Raises BrokenLine."""
    try:
        title, url = _text(row, "title"), _text(row, "url")
        if row.get("content") == "":
            return None
        sections = tuple(_sections(row))
        return Article(article_id, title, _language(url), url, sections)
    except BrokenLine as error:
        raise error.within(f" (id {quoted(article_id)})") from error


def _sections(row: dict[str, Any]) -> Iterator[Section]:
    for index, section in enumerate(_list(row, "content")):
        try:
            paragraphs = _list(_object(section), "content")
            for number, paragraph in enumerate(paragraphs):
                if not isinstance(paragraph, str):
                    raise BrokenLine("wrong_field", f"content[{number}] must be text, this is {_kind(paragraph)}")
            yield Section(_text(section, "heading"), tuple(paragraphs), tuple(_images(section)))
        except BrokenLine as error:
            raise error.within(f", content[{index}]") from error


def _images(section: dict[str, Any]) -> Iterator[str]:
    """The addresses of a section's images; an empty one is no image."""
    for index, image in enumerate(_list(section, "images")):
        try:
            if src := _text(_object(image), "src").strip():
                yield src
        except BrokenLine as error:
            raise error.within(f", images[{index}]") from error


def _language(url: str) -> str:
    """First label of the host: "zh-min-nan" of https://zh-min-nan.wikipedia.org/wiki/…

    A host without a language in front (example.org) is refused, never guessed
    at: the language decides where sentences end. A label that only looks like a
    code (img.example.org) cannot be told from one.
    """
    try:
        labels = (urlsplit(url).hostname or "").split(".")
    except ValueError:
        labels = []
    if len(labels) < 3 or not _LANGUAGE.fullmatch(labels[0]):
        reason = (
            f"'url' is {quoted(url)}: its host must start with a language code, as in https://su.wikipedia.org/wiki/…"
        )
        raise BrokenLine("bad_url", reason)
    return labels[0]


def _refuse_half_characters(value: Any, name: str) -> None:
    """Raise BrokenLine for a lone surrogate in any text of a row that is read."""
    if isinstance(value, dict):
        for key in _TEXTS & value.keys():
            _refuse_half_characters(value[key], f"{key!r}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_half_characters(item, f"{name}[{index}]")
    elif isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            reason = f"{name} holds half a character (a lone surrogate) at position {error.start}"
            raise BrokenLine("lone_surrogate", reason) from error


def _text(row: dict[str, Any], key: str) -> str:
    value = _get(row, key)
    if not isinstance(value, str):
        raise BrokenLine("wrong_field", f"{key!r} must be text, this is {_kind(value)}")
    return value


def _list(row: dict[str, Any], key: str) -> list:
    value = _get(row, key)
    if not isinstance(value, list):
        raise BrokenLine("wrong_field", f"{key!r} must be a list, this is {_kind(value)}")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BrokenLine("wrong_field", f"an object is wanted, this is {_kind(value)}")
    return value


def _get(row: dict[str, Any], key: str) -> Any:
    try:
        return row[key]
    except KeyError:
        raise BrokenLine("wrong_field", f"{key!r} is missing") from None


def quoted(text: str) -> str:
    """A text of the corpus for a message: in quotes, the middle left out of a long one."""
    shortened = reprlib.Repr()
    shortened.maxstring = 120
    return shortened.repr(text)


def _kind(value: Any) -> str:
    """A JSON value's type in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
