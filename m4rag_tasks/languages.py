"""The axis of language varieties: rows of `languages.toml`, and varieties from outside this package."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from m4rag_tasks.axes import Dataset
from m4rag_tasks.errors import unknown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LANGUAGES_FILE = Path(__file__).parent / "languages.toml"


@dataclass(frozen=True)
class Language:
    """One language variety; `datasets` maps a data set's `codes` key to its own name for it.

    `language` is the language that it is a variety of: tables and groups merge registers
    and countries under it.
    """

    code: str
    name: str
    script: str
    resource: str
    datasets: Mapping[str, str] = field(hash=False)
    template: str
    language: str
    register: str | None = None
    country: str | None = None

    def code_in(self, dataset: Dataset) -> str:
        """What a data set calls this variety."""
        return self.datasets.get(dataset.codes, self.code)


@functools.cache
def languages() -> dict[str, Language]:
    """All language varieties of `languages.toml`, by code, in file order."""
    rows = tomllib.loads(LANGUAGES_FILE.read_text(encoding="utf-8"))["language"]
    parsed = [Language(**{"template": row["code"], "language": row["code"], **row}) for row in rows]
    return {language.code: language for language in parsed}


_outside: dict[str, Language] = {}


def add_outside(found: Iterable[Language]) -> None:
    """Let tasks name varieties that are kept outside this package; replaces those added before."""
    _outside.clear()
    _outside.update({language.code: language for language in found if language.code not in languages()})


def outside_languages() -> list[Language]:
    """The varieties added from outside."""
    return list(_outside.values())


def language(code: str) -> Language:
    """The variety with this code, ours or one added from outside. Raises `UnknownNameError`."""
    found = languages().get(code) or _outside.get(code)
    if found is None:
        raise unknown("language", code, [*languages(), *_outside])
    return found


@functools.cache
def own_codes(dataset: Dataset) -> dict[str, str]:
    """Our language code for each name that a data set uses."""
    return {
        language.datasets[dataset.codes]: language.code
        for language in languages().values()
        if dataset.codes in language.datasets
    }
