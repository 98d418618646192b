"""Marks that end no sentence, and ends that ICU does not see.

ICU's sentence rules (UAX #29) know the marks of all scripts but no words: they
end a sentence after "Dr.". Before they run, `unambiguous` overwrites such marks
with one that ends nothing, and writes a plain end where there is one that the
rules overlook. Each replacement is as long as what it replaces, so offsets
stay; nothing else sees the changed text.

A sentence goes on after a dot

- of an abbreviation of the language (`abbreviations.py`);
- of an initial: one capital ("J. R. R. Tolkien"), in scripts without capitals
  one bare letter ("د. أحمد") or one of several syllables ("पु. ल. देशपांडे");
- of the number of a list item that begins a line ("1. Wash the rice.");
- of an ordinal before a number or a capital, in languages that write ordinals
  so ("3. 5. 1920"), and in Korean dates;
- inside an abbreviation that no space parts, in scripts without capitals ("कि.मी.");
- in Armenian, Thai and Lao, where a dot marks nothing but abbreviations.

It goes on after another mark

- before a small letter ("Why?" he asked);
- where a quotation that asks or calls is followed by a word in a script without
  capitals, which is then mostly who asks, or by letters without a space;
- where Japanese takes the quotation up again (「はい。」と言った。) and in Chinese
  before who says it (“站住！”她喊道。);
- inside brackets, but for the last mark before they close.

It ends, other than in ICU's rules, at "…" before a capital or in a script
without; before a number that begins a sentence; before the dash of a speaker;
before an opening bracket without a space (Chinese, Japanese); at two
wordspaces in Ethiopic scripts and at a colon in Armenian.
"""

from __future__ import annotations

import re
import unicodedata

from retrieval_cache.chunking.abbreviations import BEFORE_NUMBERS, abbreviations

_NO_END = "\u00b7"  # a middle dot: a letter-like mark inside words, which ends nothing
_SPACE = "[ \u00a0\u202f]"
_CLOSING = "\"'“”’»›)\\]」』）"
_OPENING = "\"'“”„‘’«»‹›()[]{}—–-/…¿¡·"

_BRACKETS = re.compile(r"[(（][^()（）\n]{1,200}[)）]")
_INSIDE = re.compile(r"[.!?。！？।؟](?=[^)）]*[^\W_][^)）]*[)）])")

_INNER_DOT = re.compile(r"\.(?=[^\W\d_]([^\s.]*))")
_DOT = re.compile(rf"\.(?=[{_CLOSING}]*{_SPACE}+[\"'“”„‘’«»(\[¿¡]*(\S)(\S*))")
_ELIDED = re.compile(r"^\w{1,6}['’]")  # the article of "l'on."
_ROMAN = re.compile(r"[IVXLC]+\b")
_NO_FULL_STOP = frozenset({"hy", "th", "lo"})

# Languages that write an ordinal number as digits with a dot.
_ORDINALS = set(re.findall(r"\w+", "az bs cs da de et eu fi fo hr hu is lb lt lv nb nds nn no pl sh sk sl sr sv tr"))

_ASKED = re.compile(
    rf"[?!؟…‽]+(?=(?P<quoted>{_SPACE}?[{_CLOSING}]+)?{_SPACE}+(?:[—–-]+{_SPACE}*)?[\"'“„‘«(¿¡]*(?P<next>\w)(?P<after>\w?))"
)
_ATTACHED = re.compile(r"[.!?…]+(?=[\"'”’»]+([^\W\d_]))")
_SPEAKER = re.compile(rf"[—–-]+(?<=[.!?…]{_SPACE}[—–-])(?={_SPACE}*[«\"„“¿¡]?(\w))")

_WIDE_ELLIPSIS = re.compile(r"……(?=[一-鿿ぁ-ヿ「『（《“])")
_WIDE_OPENING = re.compile(r"(?<=[。！？…」』”）])[「『（《〈【“‘]+")
_JAPANESE = re.compile(
    r"[。！？!?]+(?=[」』）)]+(?:と[一-鿿いしすのさ、はも]|って|など|の|に)|[」』）)]*(?:を|[はが][、一-鿿]))"
)
_CHINESE = re.compile(r"[。！？!?]+(?=[”」』][^，。！？：“”「」]{1,6}[说說道问問喊答叫嗌話](?![：，]))")
_ETHIOPIC = re.compile(r"[፡:]{2}")
_ARMENIAN = re.compile(r"(?<=[ա-և]):(?=[»”)]?(?:\s|$))")


def unambiguous(text: str, language: str) -> str:
    """`text` with the same length, where a mark that may end a sentence does.

    `language` is a Wikipedia code; codes not known get the rules of all languages.
    """
    if language in _NO_FULL_STOP:
        text = text.replace(".", _NO_END)
    # Looking for single characters is many times faster than trying an expression everywhere.
    if _has(text, "(（"):
        text = _BRACKETS.sub(lambda bracket: _INSIDE.sub(_silenced, bracket[0]), text)
    if "." in text:
        text = _without_dots(_without_inner_dots(text, language), language)
    if _has(text, "?!؟…‽"):
        text = _ASKED.sub(_asked, text)
    if _has(text, "\"'”’»"):
        text = _ATTACHED.sub(lambda match: match[0] if _is_ideograph(match[1]) else _silenced(match), text)
    if _has(text, "—–-"):
        text = _SPEAKER.sub(_speaker, text)
    if _has(text, "。！？…"):
        text = _wide(text, language)
    if language in ("am", "ti"):
        text = _ETHIOPIC.sub("፡።", text)
    elif language == "hy":
        text = _ARMENIAN.sub("։", text)
    return text


def _has(text: str, characters: str) -> bool:
    return any(character in text for character in characters)


def _silenced(match: re.Match[str]) -> str:
    return _NO_END * len(match[0])


def _without_inner_dots(text: str, language: str) -> str:
    """Overwrite the dots of "कि.मी", "डॉ.शर्मा", "3.에": ICU ends sentences before letters without capitals."""
    known = abbreviations(language)

    def mark(match: re.Match[str]) -> str:
        at = match.start()
        following = text[at + 1 : match.end(1)]
        if _is_cased(following[0]) or _is_ideograph(following[0]):
            return "."
        part = re.split(r"[\s.(]", text[max(0, at - 12) : at])[-1]
        short = 1 <= _letters(part) <= 2 and _letters(following) <= 2
        return _NO_END if short or part.isdecimal() or part in known else "."

    return _INNER_DOT.sub(mark, text)


def _without_dots(text: str, language: str) -> str:
    """Overwrite the dots before spaces that end no sentence."""
    parts, done = [], 0
    for match in _DOT.finditer(text):
        at = match.start()
        line = text.rfind("\n", 0, at) + 1
        before = text[max(line, at - 32) : at].split()
        word = _ELIDED.sub("", before[-1].strip(_OPENING)) if before else ""
        begins_line = not text[line:at].strip().removesuffix(word)
        mark = _dot(word, before[-2] if len(before) > 1 else "", match, language, begins_line)
        if mark != ".":
            parts += text[done:at], mark
            done = at + 1
    return "".join(parts) + text[done:] if parts else text


def _dot(word: str, before: str, match: re.Match[str], language: str, begins_line: bool) -> str:
    """The mark to put for the dot after `word`: "." leaves it to ICU, "!" is a sure end."""
    following = match[1] + match[2]
    if word.isdecimal():
        goes_on = (begins_line and len(word) <= 3) or _is_ordinal(word, before, following, language)
    elif len(word) == 1 and before[-1:].isdecimal():
        goes_on = False  # a unit ("1990 г. Он"), which ends a sentence as often as not
    else:
        known = word.lower().replace(_NO_END, ".") in abbreviations(language)
        goes_on = known or _is_initial(word) or _is_syllable(word, before, following) or _NO_END in word
    number = following[0].isdecimal() or bool(_ROMAN.match(following))
    if goes_on or (number and word.lower() in BEFORE_NUMBERS):
        return _NO_END
    return "!" if number else "."


def _is_ordinal(word: str, before: str, following: str, language: str) -> bool:
    """Whether digits with a dot are an ordinal or a part of a date."""
    if language == "ko":
        return following[0].isdecimal() or bool(re.fullmatch(r"\d+[.·]", before))
    if language not in _ORDINALS or before.lower().rstrip(".·") in BEFORE_NUMBERS:
        return False
    return len(word) <= 2 and (following[0].isdecimal() or following[0].isupper())


def _is_initial(word: str) -> bool:
    """Single letters, capitals where there are any: "J", "J.R.R", "J.-P"."""
    parts = re.split(r"[.·]-?", word)
    # The Sinhala letter is the word for "is", with which sentences end.
    return all(len(p) == 1 and p.isalpha() and p.upper() == p and not _is_ideograph(p) and p != "ය" for p in parts)


def _is_syllable(word: str, before: str, following: str) -> bool:
    """One of several initials that are a letter with its vowel sign."""
    neighbours = (before[:-1] if before[-1:] in (".", _NO_END) else "", following[:-1] if following[-1:] == "." else "")
    return all(not _is_cased(char) for char in word) and _letters(word) == 1 and 1 in map(_letters, neighbours)


def _asked(match: re.Match[str]) -> str:
    """What to put for "?", "!" or "…" before a space and a letter or digit."""
    following = match["next"]
    if _is_cased(following):
        # A small letter before a capital is a name or a mutation (iPhone, hÉireann).
        goes_on = following.islower() and not match["after"].isupper()
    else:
        goes_on = bool(match["quoted"]) and following.isalpha() and match[0][-1] != "…"
    if goes_on:
        return _silenced(match)
    return match[0][:-1] + "!" if match[0][-1] == "…" else match[0]


def _speaker(match: re.Match[str]) -> str:
    """A dash before a capital after an end begins what another says; a bracket lets ICU end there."""
    return "(" * len(match[0]) if match[1].isupper() else match[0]


def _wide(text: str, language: str) -> str:
    """Chinese and Japanese marks, which no space follows."""
    text = _WIDE_ELLIPSIS.sub("…。", text)
    text = (_JAPANESE if language == "ja" else _CHINESE).sub(_silenced, text)
    return _WIDE_OPENING.sub(lambda match: "一" * len(match[0]), text)


def _letters(part: str) -> int:
    """How many letters, vowel signs and other marks not counted; 0 where anything else is in it."""
    kinds = [unicodedata.category(char)[0] for char in part]
    return kinds.count("L") if set(kinds) <= {"L", "M"} else 0


def _is_cased(char: str) -> bool:
    """Whether the letter is of a script that begins sentences with capitals (Georgian does not)."""
    return (char.islower() or char.isupper()) and not "\u10d0" <= char <= "\u10ff"


def _is_ideograph(char: str) -> bool:
    """Han or Kana, where letters stand for syllables or words and spaces for nothing."""
    return "\u2e80" <= char <= "\ua4cf" or "\uf900" <= char <= "\ufaff" or char >= "\U00020000"
