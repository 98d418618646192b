"""Prompts: one skeleton per prompt kind, one small file of words per language.

`render` fills `<kind>.jinja`, which extends `prompt.jinja`, with the words of
`<language>.jinja` and the data of one row. Questions, options and passages are data:
they are put into the prompt, never read as template code. `instruct` fills a template that stands
alone, in English whatever the language: what models that write are told. A file is found in the
folders of `search_also` (varieties kept outside this repository); first in
`templates_dir()`. Every file is read once per process; change a file and start a new one.
"""

from __future__ import annotations

import hashlib
import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from m4rag_tasks.errors import ContextError, DataError, TemplateError

_NAME = re.compile(r"[a-z0-9_]+")
_EXTENDS = re.compile(r"\{%-?\s*extends\s+(skeleton|\"prompt\.jinja\"|'prompt\.jinja')\s*-?%\}")
_HEADER = re.compile(r"\s*\{#(.*?)#\}", re.DOTALL)
HEADER_FIELDS = ("language", "register", "script", "written", "checked automatically", "reviewed by a fluent reader")
_FIELD = re.compile(rf"({'|'.join(HEADER_FIELDS)}):(.*)")
_TRIALS = (((), None), (({"title": "-", "text": "-"},), None), ((), "-"))  # passages, context
_outside: list[Path] = []  # folders of `search_also`


@dataclass(frozen=True)
class ShownPassage:
    """A retrieved passage as the reader sees it."""

    title: str
    text: str


def render(
    kind: str,
    language: str,
    *,
    question: str,
    options: Sequence[str] = (),
    passages: Sequence[ShownPassage] = (),
    context: str | None = None,
) -> str:
    """The prompt of one row: passages or a context, the question, the options, the instruction.

    `kind` is "mcq", or "open_ended", which shows no options. Raises TemplateError if a
    template cannot be used, ContextError for an empty context, DataError for a
    multiple-choice row without options.
    """
    if passages and context is not None:
        raise ValueError("a prompt shows passages or a context, never both")
    if context is not None and not context.strip():
        raise ContextError(
            f"the context for the question {question!r} is empty; a prompt without it would "
            "measure another setting. Store a context for this question, or leave the row out."
        )
    if kind == "mcq" and not options:
        raise DataError(f"the question {question!r} has no options; check the row's options.")
    template = _checked_template(kind, language)
    return _filled(
        template,
        kind,
        question=_one_line(question),
        options=[_one_line(option) for option in options],
        passages=[ShownPassage(_one_line(p.title), p.text.strip()) for p in passages],
        context=None if context is None else context.strip(),
    )


def instruct(name: str, **data: str) -> str:
    """The instruction `<name>.jinja` filled with `data`. Raises TemplateError if it cannot be used."""
    if _role(name) is not None:
        raise TemplateError(f"{_file(name, 'template')[0]}: this is no instruction, for it extends another template.")
    try:
        return _environment().get_template(f"{name}.jinja").render(data).strip()
    except jinja2.TemplateError as error:
        raise _explained(error, _file(name, "template")[0]) from error


@cache
def instruction_digest(name: str) -> str:
    """SHA-256 over the bytes of an instruction's file, in hexadecimal."""
    return hashlib.sha256(_file(name, "template")[1]).hexdigest()


def search_also(folders: Sequence[Path]) -> None:
    """Search these folders too, in this order, and forget those named before.

    They add to our own templates and replace none: a prompt of ours must not change with
    a folder. One may have no templates, or not exist: it may be there for other files.
    """
    _outside[:] = [Path(folder) for folder in folders]
    for cached in (template_digest, instruction_digest, words, _checked_template, _environment, _file):
        cached.cache_clear()


@cache
def template_digest(kind: str, language: str) -> str:
    """SHA-256 over the bytes of prompt.jinja, the kind's file and the language's, in hexadecimal."""
    files = (_file("prompt", "template"), _file(kind, "prompt kind"), _file(language, "language"))
    return hashlib.sha256(b"".join(data for _, data in files)).hexdigest()


def template_languages() -> list[str]:
    """The language varieties that have a file of words, sorted."""
    names = {path.stem for folder in _folders() if folder.is_dir() for path in folder.glob("*.jinja")}
    return sorted(name for name in names if _NAME.fullmatch(name) and _role(name) == "language")


def template_path(language: str) -> Path:
    """Where a variety's words are. Raises TemplateError if they are nowhere, or unreadable."""
    return _file(language, "language")[0]


@cache
def words(language: str) -> dict[str, str]:
    """The texts that a language file sets, by name, in file order, with their placeholders.

    Raises TemplateError if the file cannot be used.
    """
    template, nothing = _parsed(language), _environment().from_string("")
    try:
        # `make_module` evaluates too, but its errors do not know the template's lines.
        template.render(skeleton=nothing)
        module = template.make_module({"skeleton": nothing})
    except jinja2.TemplateError as error:
        raise _explained(error, template.filename) from error
    return {name: value for name, value in vars(module).items() if isinstance(value, str) and name[0] != "_"}


def header(language: str) -> dict[str, str]:
    """The fields of the comment at a language file's top, by name; {} where there is none.

    A value that runs over several lines is joined by spaces.
    """
    comment = _HEADER.match(_text(language))
    fields: dict[str, str] = {}
    name = None
    for line in comment[1].splitlines() if comment else ():
        if field := _FIELD.fullmatch(line.strip()):
            name, text = field[1], field[2]
        else:
            text = line
        if name:
            fields[name] = f"{fields.get(name, '')} {text.strip()}".strip()
    return fields


@cache
def templates_dir() -> Path:
    """The folder of our own templates: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    candidates = (package / "templates", package.parent / "templates")
    for folder in candidates:
        if (folder / "mcq.jinja").is_file():
            return folder
    raise TemplateError(
        f"no prompt templates: mcq.jinja is neither in {candidates[0]} nor in {candidates[1]}. "
        "The installation is incomplete: install m4rag again, from a wheel or a full checkout."
    )


@cache
def _checked_template(kind: str, language: str) -> jinja2.Template:
    """The language's template, after trial renders of each shape: a fault shows before any row."""
    _check_role(kind, "prompt kind")
    template = _parsed(language)
    for passages, context in _TRIALS:
        _filled(template, kind, question="-", options=["-"], passages=passages, context=context)
    return template


def _parsed(language: str) -> jinja2.Template:
    _check_role(language, "language")
    try:
        return _environment().get_template(f"{language}.jinja")
    except jinja2.TemplateError as error:
        raise _explained(error, template_path(language)) from error


def _check_role(name: str, role: str) -> None:
    path, _ = _file(name, role)
    if _role(name) != role:
        raise TemplateError(
            f"{path}, line 1: not a {role}. A language file, and no other, contains "
            "{% extends skeleton %} and one {% set %} line per word (en.jinja shows how); "
            'a prompt kind, and no other, contains {% extends "prompt.jinja" %}.'
        )


def _filled(template: jinja2.Template, kind: str, **data: Any) -> str:
    try:
        return template.render(skeleton=f"{kind}.jinja", **data).strip()
    except jinja2.TemplateError as error:
        raise _explained(error, template.filename) from error


def _explained(error: jinja2.TemplateError, words_file: object) -> TemplateError:
    """Jinja's error as ours, with path, line and what to do next."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return TemplateError(
            f"{error.filename}, line {error.lineno}: {error.message}. "
            "Correct that line, or a quote left open before it; en.jinja shows the form."
        )
    frames = traceback.extract_tb(error.__traceback__)
    place = [frame for frame in frames if frame.filename.endswith(".jinja")][-1]
    return TemplateError(
        f"{place.filename}, line {place.lineno}: {error.message}. Every name that the skeleton "
        f'uses needs a line {{% set name = "…" %}} in {words_file}; the comment at the top of '
        "the skeleton says what each one means."
    )


@cache
def _environment() -> jinja2.Environment:
    """Jinja over `_file`, so that a digest always covers the bytes that were rendered."""

    def load(name: str) -> tuple[str, str, None]:
        stem = name.removesuffix(".jinja")
        return _text(stem), str(_file(stem, "template")[0]), None

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        auto_reload=False,
        cache_size=-1,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def _role(name: str) -> str | None:
    """What a file is for, by what it extends; None for prompt.jinja and files that are not ours."""
    found = _EXTENDS.search(_text(name))
    if found is None:
        return None
    return "language" if found[1] == "skeleton" else "prompt kind"


def _text(name: str) -> str:
    return _file(name, "template")[1].decode("utf-8-sig")


@cache
def _file(name: str, role: str) -> tuple[Path, bytes]:
    """Path and bytes of `<name>.jinja`, known to be UTF-8; `role` is for the message."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TemplateError(
            f"{name!r} cannot name a {role}: names are lower-case letters, digits and _ "
            "(as in su_loma). Correct the name in the task or the data."
        )
    folders = _folders()
    path = next((p for f in folders if (p := f / f"{name}.jinja").is_file()), None)
    if path is None:
        raise TemplateError(
            f"{folders[0] / name}.jinja: no such file, so there is no {role} {name!r}. Choose "
            f"one that is in {' or '.join(map(str, folders))}, or write it (start from en.jinja)."
        )
    try:
        data = path.read_bytes()
        data.decode("utf-8")
    except OSError as error:
        raise TemplateError(f"{path}: cannot be read; check its mode. {error}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TemplateError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.") from error
    return path, data


def _folders() -> list[Path]:
    return [templates_dir(), *_outside]


def _one_line(text: str) -> str:
    """The text on one line: each run of line breaks, with the spaces around it, is one space."""
    return " ".join(part for line in text.splitlines() if (part := line.strip()))
