"""The M4-RAG layout: one JSON object an article, checked field by field.

    {"id", "pageid", "title", "url",
     "content": [{"heading", "content": [paragraph], "images": [{"src", "alt", "caption"}], "access_time"}]}

`content` is "" for a page that could not be fetched.
"""

from __future__ import annotations

import json
import re
import reprlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from retrieval_cache.records import Article, Section

# Codes of Wikipedias: en, arz, zh-yue, zh-min-nan, be-tarask; of the live ones
# only "simple" begins with more than three letters. Longer labels are names:
# wikipedia.org, commons.wikimedia.org, meta.wikimedia.org.
_LANGUAGE = re.compile(r"simple|(?!www\b)[a-z]{2,3}(-[a-z0-9]{1,12})*")

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


def parse(line: bytes) -> Any:
    """The JSON value of one line. Raises BrokenLine for anything but JSON in UTF-8."""
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BrokenLine("not_json", f"not UTF-8 ({error.reason} at byte {error.start})") from error
    except (ValueError, RecursionError) as error:  # the latter for nesting without end
        raise BrokenLine("not_json", f"not JSON ({error})") from error


def row_id(row: Any) -> str:
    """The id of a row. Raises BrokenLine if the row is no object or has no id."""
    if not isinstance(row, dict):
        raise BrokenLine("not_object", f"a JSON object is wanted, this is {_kind(row)}")
    article_id = _Place().text(row, "id")
    if not article_id.strip():
        raise BrokenLine("wrong_field", "'id' is empty")
    return article_id


def article_of(row: dict[str, Any], article_id: str) -> Article | None:
    """The article of a row, None for a page without content. Raises BrokenLine."""
    place = _Place(f" (id {quoted(article_id)})")
    title, url = place.text(row, "title"), place.text(row, "url")
    if row.get("content") == "":
        return None
    content = place.list(row, "content")
    sections = tuple(_section(place.at(f"content[{index}]"), section) for index, section in enumerate(content))
    return Article(article_id, title, _language(place, url), url, sections)


def _section(place: _Place, row: Any) -> Section:
    paragraphs = place.list(place.object(row), "content")
    for index, paragraph in enumerate(paragraphs):
        place.check_text(f"content[{index}]", paragraph)
    images = []
    for index, image in enumerate(place.list(row, "images")):
        inner = place.at(f"images[{index}]")
        src = inner.text(inner.object(image), "src").strip()
        if src:
            images.append(src)
    return Section(place.text(row, "heading"), tuple(paragraphs), tuple(images))


def _language(place: _Place, url: str) -> str:
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
        raise BrokenLine("bad_url", reason, place.inside)
    return labels[0]


@dataclass(frozen=True)
class _Place:
    """A place inside a line, able to take typed values from a row or say why not."""

    inside: str = ""

    def at(self, inner: str) -> _Place:
        return _Place(f"{self.inside}, {inner}")

    def error(self, problem: str) -> BrokenLine:
        return BrokenLine("wrong_field", problem, self.inside)

    def object(self, value: Any) -> dict:
        if not isinstance(value, dict):
            raise self.error(f"an object is wanted, this is {_kind(value)}")
        return value

    def text(self, row: dict, key: str) -> str:
        return self.check_text(f"'{key}'", self._get(row, key))

    def list(self, row: dict, key: str) -> list:
        value = self._get(row, key)
        if not isinstance(value, list):
            raise self.error(f"'{key}' must be a list, this is {_kind(value)}")
        return value

    def check_text(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.error(f"{name} must be text, this is {_kind(value)}")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            reason = f"{name} holds half a character (a lone surrogate) at position {error.start}"
            raise BrokenLine("lone_surrogate", reason, self.inside) from error
        return value

    def _get(self, row: dict, key: str) -> Any:
        if key not in row:
            raise self.error(f"'{key}' is missing")
        return row[key]


def quoted(text: str) -> str:
    """A text of the corpus for a message: in quotes, the middle left out of a long one."""
    shortened = reprlib.Repr()
    shortened.maxstring = 120
    return shortened.repr(text)


def _kind(value: Any) -> str:
    """A JSON value's type in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
