"""The table of sentences written by hand, and how well spans agree with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PATH = Path(__file__).parents[1] / "tests" / "retrieval_cache" / "sentences.txt"


def read(path: Path = PATH) -> dict[str, tuple[list[str], str]]:
    """Language → its sentences, and the paragraph that they make."""
    sentences: dict[str, list[str]] = {}
    between: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            code, *mark = line.removeprefix("== ").split()
            sentences[code], between[code] = [], "" if mark else " "
        elif line and not line.startswith("#"):
            sentences[code].append(line)
    return {code: (lines, between[code].join(lines)) for code, lines in sentences.items()}


def f1(sentences: list[str], text: str, spans: Iterable[tuple[int, int]]) -> float:
    """F1 of the sentence ends inside `text`: where spans end against where `sentences` end.

    Ends are compared at the last character that is no space; the end of the
    text counts for nobody.
    """
    wanted, at = set(), 0
    for sentence in sentences:
        at = text.index(sentence, at) + len(sentence)
        wanted.add(at)
    found = {start + len(text[start:end].rstrip()) for start, end in spans}
    wanted, found = wanted - {len(text)}, found - {len(text)}
    return 2 * len(wanted & found) / (len(wanted) + len(found)) if wanted or found else 1.0
