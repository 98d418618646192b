"""Articles from a crawled corpus file.

Layout (one JSON object a line, plain or gzip): id, pageid, title, url and
content, a list of {heading, content: [paragraph], images: [{src, alt,
caption}], access_time}. `content` is "" for a page that could not be fetched.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from retrieval_cache.records import Article, CorpusError, Section

# Codes of Wikipedias: en, arz, zh-yue, zh-min-nan, be-tarask; of the live ones
# only "simple" begins with more than three letters. Longer labels are names:
# wikipedia.org, commons.wikimedia.org, meta.wikimedia.org.
_LANGUAGE = re.compile(r"simple|(?!www\b)[a-z]{2,3}(-[a-z0-9]{1,12})*")
_FIX = "Correct or remove the line; nothing was skipped silently."


def read_articles(path: Path) -> ArticleReader:
    """Stream the articles of `path` (.jsonl or .jsonl.gz).

    The returned iterator counts as it goes: `read` articles, `skipped` pages
    without content, `broken` lines that were left out because that was asked
    for. Raises CorpusError with file and line for anything that
    is not in the layout above.
    """
    return ArticleReader(Path(path))


class ArticleReader:
    """Iterator over articles; one pass, constant memory except the ids seen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read = 0
        self.skipped = 0
        self.broken = 0
        self._seen: dict[str, int] = {}

    def __iter__(self) -> Iterator[Article]:
        self.read = self.skipped = self.broken = 0
        self._seen.clear()
        for number, line in self._lines():
            if line.strip():
                article = self._article(number, line)
                if article is not None:
                    self.read += 1
                    yield article

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        opener = gzip.open if self.path.suffix == ".gz" else open
        number = 0
        try:
            with opener(self.path, "rb") as file:
                for number, line in enumerate(file, start=1):
                    yield number, line
        except FileNotFoundError as error:
            raise CorpusError(
                f"there is no corpus file {self.path}.", "Check the path, or fetch the corpus."
            ) from error
        except (OSError, EOFError, zlib.error) as error:
            raise CorpusError(
                f"{self.path}: cannot be read after line {number} ({error}).",
                "The file may be cut short: fetch it again.",
            ) from error

    def _article(self, number: int, line: bytes) -> Article | None:
        where = _Where(f"{self.path}:{number}")
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # the latter for nesting without end
            raise CorpusError(f"{where.place}: not JSON ({error}).", _FIX) from error
        if not isinstance(row, dict):
            raise where.error(f"a JSON object is wanted, this is {_kind(row)}")
        article_id = where.text(row, "id")
        if not article_id.strip():
            raise where.error("'id' is empty")
        where.place += f" (id {article_id!r})"
        first = self._seen.setdefault(article_id, number)
        if first != number:
            raise where.error(f"duplicate id: line {first} has it already")
        title, url = where.text(row, "title"), where.text(row, "url")
        if row.get("content") == "":
            self.skipped += 1
            return None
        sections = tuple(
            _section(where.at(f"content[{index}]"), section) for index, section in enumerate(where.list(row, "content"))
        )
        return Article(article_id, title, _language(where, url), url, sections)


def _section(where: _Where, row: Any) -> Section:
    if not isinstance(row, dict):
        raise where.error(f"an object is wanted, this is {_kind(row)}")
    paragraphs = where.list(row, "content")
    for index, paragraph in enumerate(paragraphs):
        where.check_text(f"content[{index}]", paragraph)
    images = []
    for index, image in enumerate(where.list(row, "images")):
        inner = where.at(f"images[{index}]")
        if not isinstance(image, dict):
            raise inner.error(f"an object is wanted, this is {_kind(image)}")
        src = inner.text(image, "src").strip()
        if src:
            images.append(src)
    return Section(where.text(row, "heading"), tuple(paragraphs), tuple(images))


def _language(where: _Where, url: str) -> str:
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
        raise where.error(
            f"'url' is {url!r}: its host must start with a language code, as in https://su.wikipedia.org/wiki/…"
        )
    return labels[0]


@dataclass
class _Where:
    """A place in the corpus file, able to take typed values from a row or say why not."""

    place: str

    def at(self, inner: str) -> _Where:
        return _Where(f"{self.place}, {inner}")

    def error(self, problem: str) -> CorpusError:
        return CorpusError(f"{self.place}: {problem}.", _FIX)

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
            raise self.error(f"{name} holds half a character (a lone surrogate) at position {error.start}") from error
        return value

    def _get(self, row: dict, key: str) -> Any:
        if key not in row:
            raise self.error(f"'{key}' is missing")
        return row[key]


def _kind(value: Any) -> str:
    """A JSON value's type in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
