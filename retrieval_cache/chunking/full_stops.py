"""Marks that end no sentence, and ends that are written with another mark.

ICU's sentence rules (UAX #29) know the marks of all scripts but no words: they
end a sentence after "Dr.". Before they run, `unambiguous` overwrites such marks
with one that ends nothing, and writes the full stop where a language writes it
with a mark that elsewhere is none. Each replacement is as long as what it
replaces, so offsets stay. Nothing else sees the changed text.

A mark does not end a sentence

- after an abbreviation of the language (`abbreviations.py`), after the dot of
  which a sentence goes on;
- after an initial: one capital letter ("J. R. R. Tolkien", "U.S. Navy"), in
  scripts without capitals one bare letter ("د. أحمد");
- after the number of a list item that begins a line ("1. Wash the rice.");
- after a number of one or two digits before a number or a capital, in
  languages that write ordinals so ("3. 5. 1920"), and in dates of Korean;
- before a small letter that goes on after "?", "!", "…" and quotation marks
  ("Why?" he asked);
- after a Japanese quotation that the sentence takes up again (「はい。」と言った。).
"""

from __future__ import annotations

import re

from retrieval_cache.chunking.abbreviations import BEFORE_NUMBERS, abbreviations

_NO_END = "\u00b7"  # a middle dot: a letter-like mark inside words, which ends nothing

# "." before a space: the only dot that ICU may take for an end, closing marks let through.
_DOT = re.compile(r"\.(?=[ \u00a0\u202f]+[\"'“”„‘’«»(\[¿¡]*(\S))")
_OPENING = "\"'“”„‘’«»‹›()[]{}—–-/…¿¡"

# Languages that write an ordinal number as digits with a dot.
_ORDINALS = set(re.findall(r"\w+", "az bs cs da de et eu fi fo hr hu is lb lt lv nb nds nn no pl sh sk sl sr sv tr"))

# After "?", "!" or "…", closing and opening marks and dashes, a small letter goes on.
# A small letter before a capital is a name or a mutation (iPhone, hÉireann), not a sentence that goes on.
_LOWER = "a-zß-öø-ÿāăąćčďđēĕėęěğģĥħĩīĭįıķĺļľłńņňŋōŏőœŕŗřśşšťŧũūŭůűųŵŷźżžșțạ-ỹα-ωά-ώа-яѐ-џґқғҳөүұҷӣӯա-և"
_GOES_ON = re.compile(
    rf"[?!…‽]+(?=[\"'“”„‘’«»‹›)\]]*[ \u00a0]+(?:[—–-]+[ \u00a0]*)?[\"'“„‘«(]?[{_LOWER}](?:[{_LOWER}\s,.;:'’-]|$))"
)

_JAPANESE = re.compile(
    r"[。！？!?]+(?=[」』）)]+(?:と[言い思述語話書答叫呼聞考さしすの、はも]|って|など|の|を|が[、一-鿿]|は[、一-鿿]|に[、一-鿿]))"
)

# Full stops written with a mark that elsewhere is none: two wordspaces in Ethiopic
# scripts, a colon in Armenian.
_ETHIOPIC = re.compile(r"[፡:]{2}")
_ARMENIAN = re.compile(r"(?<=[ա-և]):(?=[»”)]?(?:\s|$))")


def unambiguous(text: str, language: str) -> str:
    """`text` with the same length, where a mark that may end a sentence does.

    `language` is a Wikipedia code; codes not known get the rules of all languages.
    """
    if ". " in text or ".\u00a0" in text:
        text = _without_dots(text, language)
    text = _GOES_ON.sub(_silenced, text)
    if language == "ja":
        text = _JAPANESE.sub(_silenced, text)
    elif language in ("am", "ti", "gez"):
        text = _ETHIOPIC.sub("፡።", text)
    elif language == "hy":
        text = _ARMENIAN.sub("։", text)
    return text


def _silenced(match: re.Match[str]) -> str:
    return _NO_END * len(match[0])


def _without_dots(text: str, language: str) -> str:
    """Overwrite the dots that end no sentence."""
    known = abbreviations(language)
    ordinals = language in _ORDINALS
    parts, done = [], 0
    for match in _DOT.finditer(text):
        at = match.start()
        line = text.rfind("\n", 0, at) + 1
        before = text[max(line, at - 24) : at]
        words = before.split()
        word = words[-1].strip(_OPENING) if words else ""
        after_number = len(words) > 1 and words[-2][-1:].isdecimal()
        begins_line = not text[line:at].strip().removesuffix(word)
        if len(word) == 1 and after_number and not match[1].isdecimal():
            continue  # a unit ("1990 г. Он"), which ends a sentence as often as not
        if _goes_on(word, match[1], known, ordinals or language == "ko", begins_line):
            parts += text[done:at], _NO_END
            done = at + 1
    return "".join(parts) + text[done:] if parts else text


def _goes_on(word: str, following: str, known: frozenset[str], ordinals: bool, begins_line: bool) -> bool:
    """Whether a sentence goes on after `word` with a dot, before the character `following`."""
    if not word:
        return False
    if word.isdecimal():
        if begins_line:
            return len(word) <= 3
        ordinal = following.isdecimal() or (len(word) <= 2 and following.isupper())
        return ordinals and ordinal
    folded = word.lower()
    if folded in known or (following.isdecimal() and folded in BEFORE_NUMBERS):
        return True
    return all(map(_is_initial, word.split(".")))


def _is_initial(part: str) -> bool:
    """One capital, or one letter of a script that has none; a Han, Kana or Hangul character is a word."""
    return len(part) == 1 and part.isalpha() and part.upper() == part and not "\u2e80" <= part <= "\ud7ff"
