"""The axis of language varieties: rows of `languages.toml`, and varieties from outside this package."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from m4rag_tasks.axes import DATASETS, Dataset
from m4rag_tasks.errors import GridError, unknown
from m4rag_tasks.toml_file import read_toml

LANGUAGES_FILE = Path(__file__).parent / "languages.toml"
RESOURCE_CLASSES = ("high", "mid", "low")
_CODE = re.compile(r"[a-z][a-z0-9_]*")


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
    """All language varieties of `languages.toml`, by code, in file order. Raises `GridError` naming the row."""
    rows = read_toml(LANGUAGES_FILE).get("language", [])
    parsed: dict[str, Language] = {}
    taken: dict[tuple[str, str], str] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{LANGUAGES_FILE.name}, row {number} ({row.get('code', 'without a code')})"
        language = _parsed(row, where)
        if language.code in parsed:
            raise GridError(f"{where}: there is another row with this code. Give each its own.")
        parsed[language.code] = language
        for own_name in language.datasets.items():
            if own_name in taken:
                raise GridError(f"{where}: {' = '.join(own_name)} is said of {taken[own_name]} too. Keep one.")
            taken[own_name] = language.code
    return parsed


def _parsed(row: Mapping[str, Any], where: str) -> Language:
    """One row, checked field by field."""
    known = [each.name for each in fields(Language)]
    if strange := sorted(set(row) - set(known)):
        raise GridError(f"{where}: there is no field {', '.join(strange)}; the fields are {', '.join(known)}.")
    if lacking := [name for name in ("code", "name", "script", "resource", "datasets") if not row.get(name)]:
        raise GridError(f"{where}: the field {', '.join(lacking)} is missing.")
    for name, value in row.items():
        if not isinstance(value, dict if name == "datasets" else str):
            raise GridError(f"{where}: {name} is {value!r}; see the head of the file for what it holds.")
    for name in ("code", "template", "language"):
        if not _CODE.fullmatch(row.get(name, row["code"])):
            raise GridError(f"{where}: {name} is {row[name]!r}; small letters, digits and _ only, a letter first.")
    if row["resource"] not in RESOURCE_CLASSES:
        raise GridError(f"{where}: resource is {row['resource']!r}; it is one of {', '.join(RESOURCE_CLASSES)}.")
    keys = sorted({dataset.codes for dataset in DATASETS.values()})
    if strange := sorted(set(row["datasets"]) - set(keys)):
        raise GridError(f"{where}: datasets has {', '.join(strange)}; its keys are {', '.join(keys)}.")
    if not all(isinstance(name, str) and name for name in row["datasets"].values()):
        raise GridError(f"{where}: datasets has to say what each data set calls the variety, as text.")
    return Language(**{"template": row["code"], "language": row["code"], **row})


def language_names() -> dict[str, str]:
    """What people call each variety, by code."""
    return {code: language.name for code, language in languages().items()}


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
