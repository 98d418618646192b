"""Prompts: one skeleton per prompt kind, one small file of words per language.

`render` fills `<kind>.jinja` with the words of `<language>.jinja` and the data of
one row. Questions, options and passages are data: they are put into the prompt,
never read as template code. A language file is found in the folder that the
caller names (varieties kept outside this repository), then in `templates_dir()`.
Every file is read once per process; change a file and start a new one.
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
_EXTENDS = re.compile(r"\{%-?\s*extends\s+skeleton\s*-?%\}")
_TRIALS = (((), None), (({"title": "-", "text": "-"},), None), ((), "-"))  # passages, context


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
    options: Sequence[str],
    passages: Sequence[ShownPassage] = (),
    context: str | None = None,
    extra_dir: Path | None = None,
) -> str:
    """The prompt of one row: passages or a context, the question, the options, the instruction.

    Raises TemplateError if a template cannot be used, ContextError for an empty
    context, DataError for a multiple-choice row without options.
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
    template = _checked_template(kind, language, extra_dir)
    return _filled(
        template,
        kind,
        question=_one_line(question),
        options=[_one_line(option) for option in options],
        passages=[ShownPassage(_one_line(p.title), p.text.strip()) for p in passages],
        context=None if context is None else context.strip(),
    )


@cache
def template_digest(kind: str, language: str, extra_dir: Path | None = None) -> str:
    """SHA-256 over the skeleton's bytes followed by the language file's, in hexadecimal."""
    files = (_file(kind, "prompt kind", extra_dir), _file(language, "language", extra_dir))
    return hashlib.sha256(b"".join(data for _, data in files)).hexdigest()


def template_languages(extra_dir: Path | None = None) -> list[str]:
    """The language varieties that have a file of words, sorted."""
    names = {path.stem for folder in _folders(extra_dir) for path in folder.glob("*.jinja")}
    return sorted(name for name in names if _NAME.fullmatch(name) and _has_words(name, extra_dir))


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
def _checked_template(kind: str, language: str, extra_dir: Path | None) -> jinja2.Template:
    """The language's template, after trial renders of each shape: a fault shows before any row."""
    for name, role, has_words in ((kind, "prompt kind", False), (language, "language", True)):
        path, _ = _file(name, role, extra_dir)
        if _has_words(name, extra_dir) != has_words:
            raise TemplateError(
                f"{path}, line 1: not a {role}. A language file, and no other, contains "
                "{% extends skeleton %} and one {% set %} line per word; en.jinja shows how."
            )
    try:
        template = _environment(extra_dir).get_template(f"{language}.jinja")
    except jinja2.TemplateError as error:
        raise _explained(error, path) from error
    for passages, context in _TRIALS:
        _filled(template, kind, question="-", options=["-"], passages=passages, context=context)
    return template


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
def _environment(extra_dir: Path | None) -> jinja2.Environment:
    """Jinja over `_file`, so that a digest always covers the bytes that were rendered."""

    def load(name: str) -> tuple[str, str, None]:
        path, data = _file(name.removesuffix(".jinja"), "template", extra_dir)
        return data.decode("utf-8-sig"), str(path), None

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


def _has_words(name: str, extra_dir: Path | None) -> bool:
    _, data = _file(name, "template", extra_dir)
    return bool(_EXTENDS.search(data.decode("utf-8-sig")))


@cache
def _file(name: str, role: str, extra_dir: Path | None) -> tuple[Path, bytes]:
    """Path and bytes of `<name>.jinja`, known to be UTF-8; `role` is for the message."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TemplateError(
            f"{name!r} cannot name a {role}: names are lower-case letters, digits and _ "
            "(as in su_loma). Correct the name in the task or the data."
        )
    folders = _folders(extra_dir)
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


def _folders(extra_dir: Path | None) -> list[Path]:
    return [templates_dir()] if extra_dir is None else [Path(extra_dir), templates_dir()]


def _one_line(text: str) -> str:
    """The text on one line: each run of line breaks, with the spaces around it, is one space."""
    return " ".join(part for line in text.splitlines() if (part := line.strip()))
