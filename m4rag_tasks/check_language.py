"""What is wrong with the words of a language variety, as sentences for people.

`problems` reads one template, wherever it is kept, and compares it with those of the
other varieties. It finds what a program can find: words that are missing, left in
another language or script, or said again and again, and prompts whose answer could
not be read. Whether the words are good only a fluent reader can say; the comment at
the top of each template, and `languages_table`, tell whether one has.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import regex

from m4rag_tasks import prompts, suite
from m4rag_tasks.errors import TemplateError
from m4rag_tasks.suite import Language

_SHARED = ("passages_intro", "context_intro", "question_label")
_INSTRUCTIONS = ("instruction", "instruction_with_passages", "instruction_with_context", "answer_intro")
KIND_WORDS = {
    "mcq": (*_SHARED, "options_label", *_INSTRUCTIONS),
    "open_ended": (*_SHARED, *(f"open_{name}" for name in _INSTRUCTIONS)),
}
"""The words that each prompt kind needs."""

BELONGS = {"answer_intro": ("JSON", "<number>", "{count}"), "open_answer_intro": ("JSON", "<answer>")}
"""The placeholders that a word has, once each; every other word has none."""
PLACEHOLDERS = tuple(dict.fromkeys(placeholder for those in BELONGS.values() for placeholder in those))

SAME_LINE: dict[tuple[str, frozenset[str]], str] = {
    ("question_label", frozenset({"en", "fr"})): "French writes the same noun, with a space before the colon",
    ("question_label", frozenset({"hi", "mr"})): "both use the Sanskrit word for a question",
}
"""Lines that two templates rightly share: (word, templates) → reason."""

ENGLISH_WORD: dict[tuple[str, str], str] = {
    ("fr", "question"): "the French noun",
    ("fr", "passages"): "the French noun",
    ("ig", "were"): "the Igbo verb “take, use”",
}
"""Words that a template rightly shares with en.jinja: (template, word) → reason."""

NEAR = (
    ({"ar", "arz"}, "Egyptian Arabic is written with much of the standard's vocabulary"),
    ({"id", "ms", "min"}, "Malay, Indonesian and Minangkabau are sister languages"),
    ({"zh", "yue", "nan"}, "Sinitic languages share most characters"),
)
"""Languages whose lines are alike by nature. Registers of one language are near without being named here."""

# What counts as left in another language: the share of a line's words (of its pairs of letters, where words
# are not set apart) that stand in the same line of one other variety. In the templates of this package the
# highest share is 0.43 between languages that are not near (Sundanese and casual Indonesian, Sardinian and
# Italian), and 0.67 between near ones (Japanese registers). Shorter lines share up to a half by chance: a word
# for “photo” and an “a” in Portuguese and Igbo.
MOST, MOST_OF_NEAR = 0.5, 0.8
SHORT_LINE = 5

# A phrase that no line says three times, nor twice in a row: words, or letters where words are not set apart.
# In our templates a phrase of this length stands in one line at most twice ("may help, may not help").
PHRASE_WORDS, PHRASE_LETTERS = 3, 6

UNSPACED = {"Hans", "Hant", "Jpan", "Thai"}  # scripts that do not set words apart
SCRIPT_PARTS = {"Hans": ("Hani",), "Hant": ("Hani",), "Jpan": ("Hani", "Hira", "Kana"), "Kore": ("Hang",)}
CHARSETS = {"Hans": ("gb2312", "simplified"), "Hant": ("big5hkscs", "traditional")}
KANA_SHARE = 1 / 3  # of Japanese letters; Chinese has none
_SENTENCE_END = re.compile(r"[.;:?!。；：？！।؛؟۔፤፦።\n]")
_REVIEWED = re.compile(r"no \(.+\)|yes, by \S.*")


def problems(language: Language) -> list[str]:
    """What is wrong with a variety's template: one sentence each, with file and word; [] if nothing is.

    The template may lie in a folder of `prompts.search_also`. Never raises TemplateError:
    that a file cannot be used is a problem too.
    """
    try:
        path = prompts.template_path(language.template)
        checked = _Checked(language, prompts.words(language.template))
    except TemplateError as error:
        return [str(error)]
    found = (problem for check in _CHECKS for problem in check(checked))
    return [f"{path}: {problem}" for problem in dict.fromkeys(found)]


def check_all() -> dict[str, list[str]]:
    """`problems` of every template that languages.toml names, by template, in file order."""
    return {template: problems(language) for template, language in templates().items()}


def templates() -> dict[str, Language]:
    """The templates that languages.toml names, each with the first variety that uses it."""
    found: dict[str, Language] = {}
    for language in suite.languages().values():
        found.setdefault(language.template, language)
    return found


@dataclass(frozen=True)
class _Checked:
    """A variety with the words of its template."""

    language: Language
    words: dict[str, str]

    def units(self, text: str) -> list[str]:
        """A text's words; its letters where the script does not set words apart."""
        return list(_letters(text)) if self.language.script in UNSPACED else _bare(text).split()


def _header(checked: _Checked) -> Iterator[str]:
    fields = prompts.header(checked.language.template)
    for name in prompts.HEADER_FIELDS:
        if not fields.get(name):
            yield f"the comment at the top has no line `{name}:`."
    reviewed = fields.get("reviewed by a fluent reader")
    if reviewed and not _REVIEWED.fullmatch(reviewed):
        yield (
            f"the comment says `reviewed by a fluent reader: {reviewed}`; write `no (the wording is unreviewed)`, "
            "or `yes, by <name>`."
        )


def _complete(checked: _Checked) -> Iterator[str]:
    needed = dict.fromkeys(name for names in KIND_WORDS.values() for name in names)
    for name in needed:
        if not _letters(checked.words.get(name, "")):
            yield f'{name} is missing or says nothing; add {{% set {name} = "…" %}}.'
    for name in checked.words:
        if name not in needed:
            yield f"{name} is no word of any prompt; remove it, or correct its name."


def _clean(checked: _Checked) -> Iterator[str]:
    for name, text in checked.words.items():
        if not unicodedata.is_normalized("NFC", text):
            yield f"{name} is not in Unicode's normal form NFC; an editor's “normalise” command mends it."
        if text != text.strip() or "  " in text or len(text.splitlines()) > 1:
            yield f"{name} has a line break, two spaces in a row, or a space at its start or end."
        if text[:1].isdigit():
            yield f"{name} begins with a digit and would look like an option."


def _placeholders(checked: _Checked) -> Iterator[str]:
    for name, text in checked.words.items():
        for placeholder in PLACEHOLDERS:
            wanted, found = placeholder in BELONGS.get(name, ()), text.count(placeholder)
            if found != wanted:
                yield f"{name} has {placeholder} {found} times; it belongs there {'once' if wanted else 'not at all'}."
        if strays := "".join(sorted(set("{}<>") & set(_without_placeholders(text)))):
            yield f"{name} has {strays} outside a placeholder."


def _script(checked: _Checked) -> Iterator[str]:
    script = checked.language.script
    try:
        parts = "".join(rf"\p{{scx={part}}}" for part in (*SCRIPT_PARTS.get(script, (script,)), "Zinh"))
        stranger = regex.compile(rf"[^{parts}]")
    except regex.error:
        yield f"its script is given as {script!r}, which is no ISO 15924 code that can be checked."
        return
    for name, text in checked.words.items():
        letters = _letters(text)
        if strangers := stranger.findall(letters):
            shown = " ".join(dict.fromkeys(strangers))
            yield f"{name} has {len(strangers)} of {len(letters)} letters in another script than {script}: {shown}"
    letters = "".join(map(_letters, checked.words.values()))
    if script in CHARSETS:
        charset, kind = CHARSETS[script]
        others = [c for c in dict.fromkeys(letters) if not c.encode(charset, "ignore")]
        if others:
            yield f"these are no {kind} characters: {' '.join(others)}"
    if script == "Jpan" and len(regex.findall(r"\p{sc=Hira}", letters)) <= KANA_SHARE * len(letters):
        yield "there is too little hiragana for Japanese; is a line left in Chinese?"


def _repetition(checked: _Checked) -> Iterator[str]:
    unspaced = checked.language.script in UNSPACED
    for name, text in checked.words.items():
        if phrase := repeated_phrase(checked.units(text), PHRASE_LETTERS if unspaced else PHRASE_WORDS):
            yield f"{name} says “{('' if unspaced else ' ').join(phrase)}” again and again."


def repeated_phrase(units: Sequence[str], long: int) -> Sequence[str] | None:
    """A phrase that is said three times in a row; or, from `long` units on, twice in a row or three times in all."""
    for size in range(1, len(units) // 2 + 1):
        times = 2 if size >= long else 3
        for start in range(len(units) - times * size + 1):
            if units[start : start + size] * times == units[start : start + times * size]:
                return units[start : start + size]
    phrases = Counter(tuple(units[start : start + long]) for start in range(len(units) - long + 1))
    return next((phrase for phrase, count in phrases.items() if count > 2), None)


def _english(checked: _Checked) -> Iterator[str]:
    if checked.language.language == "en":
        return
    template = checked.language.template
    english = {word for text in _words_of("en").values() for word in _bare(text).split() if len(word) > 2}
    for name, text in checked.words.items():
        own = dict.fromkeys(_bare(text).split())
        left = [word for word in own if word in english and (template, word) not in ENGLISH_WORD]
        if left:
            yield f"{name} has English words: {', '.join(left)}; translate them, or say in ENGLISH_WORD why they stay."


def _other_varieties(checked: _Checked) -> Iterator[str]:
    """Lines that are another variety's, wholly or mostly."""
    own = checked.language
    for (template, other), (name, text) in product(templates().items(), checked.words.items()):
        theirs = _words_of(template).get(name)
        if theirs is None or template == own.template or (name, frozenset({template, own.template})) in SAME_LINE:
            continue
        if _letters(text) and _bare(text).split() == _bare(theirs).split():
            yield f"{name} is the same as in {template}.jinja: “{text}”; change it, or say in SAME_LINE why it stays."
        elif (share := _shared(text, theirs, own.script)) > (MOST_OF_NEAR if _near(own, other) else MOST):
            yield f"{name} looks like {other.name}: {share:.0%} of it stands in {template}.jinja too."


def _shared(text: str, theirs: str, script: str) -> float:
    """The share of a line's words that another line has too; 0 for a short line."""
    one, other = _comparable(text, script), set(_comparable(theirs, script))
    return 0.0 if len(one) < SHORT_LINE else sum(word in other for word in one) / len(one)


def _comparable(text: str, script: str) -> list[str]:
    letters = _letters(text)
    return [letters[i : i + 2] for i in range(len(letters) - 1)] if script in UNSPACED else _bare(text).split()


def _near(one: Language, other: Language) -> bool:
    pair = {one.language, other.language}
    return len(pair) == 1 or any(pair <= languages for languages, _ in NEAR)


def _words_of(template: str) -> dict[str, str]:
    """Another template's words; none if it cannot be used, which is that template's problem."""
    try:
        return prompts.words(template)
    except TemplateError:
        return {}


def _prompts(checked: _Checked) -> Iterator[str]:
    """Every shape renders, ends in the answer's form, and says no sentence twice."""
    for kind, names in KIND_WORDS.items():
        if not checked.words.keys() >= set(names):
            continue
        for count, shown in product(range(2, 7), ("nothing", "passages", "a context")):
            try:
                form = _rendered(kind, "en", count, shown).splitlines()[-1]
                prompt = _rendered(kind, checked.language.template, count, shown)
            except TemplateError as error:
                yield str(error)
                return
            if prompt.splitlines()[-1] != form or prompt.count(form) != 1:
                yield f"the {kind} prompt does not end in {form}; the file may hold {{% set %}} lines only."
            sentences = Counter(" ".join(_bare(part).split()) for part in _SENTENCE_END.split(prompt))
            for sentence in (s for s, times in sentences.items() if s and times > 1):
                yield f"the {kind} prompt with {shown} says “{sentence}” twice."


def _rendered(kind: str, template: str, options: int, shown: str) -> str:
    """A prompt about nothing: all data is a sign that is no letter."""
    return prompts.render(
        kind,
        template,
        question="§",
        options=["§"] * options,
        passages=[prompts.ShownPassage("§", "§")] * 2 if shown == "passages" else (),
        context="§" if shown == "a context" else None,
    )


_CHECKS = (
    _header, _complete, _clean, _placeholders, _script, _repetition, _english, _other_varieties, _prompts
)  # fmt: skip


@cache
def _bare(text: str) -> str:
    """Letters and marks only, case folded, placeholders taken out."""
    folded = _without_placeholders(text).casefold()
    return "".join(c if unicodedata.category(c)[0] in "LM" else " " for c in folded)


def _without_placeholders(text: str) -> str:
    return re.sub("|".join(map(re.escape, PLACEHOLDERS)), " ", text)


def _letters(text: str) -> str:
    return _bare(text).replace(" ", "")
