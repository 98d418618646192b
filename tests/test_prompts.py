"""Prompts: wording of every language, golden renders, data that stays data, errors that help.

Golden files: after a deliberate change of wording, regenerate with
`M4RAG_UPDATE_GOLDEN=1 pytest tests/test_prompts.py` and read the diff.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import jinja2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from m4rag_tasks import prompts
from m4rag_tasks.errors import ContextError, DataError, TemplateError
from m4rag_tasks.prompts import (
    ShownPassage,
    render,
    template_digest,
    template_languages,
    templates_dir,
)

GOLDEN = Path(__file__).parent / "golden" / "prompts"
LANGUAGES = template_languages()
ANSWER_FORM = '{"answer": <number>}'
WORDS = {
    "passages_intro",
    "context_intro",
    "question_label",
    "options_label",
    "instruction",
    "instruction_with_passages",
    "instruction_with_context",
    "answer_intro",
}
PASSAGE = ShownPassage("Title", "text")
PLACEHOLDERS = ("<number>", "{count}", "JSON")

HAN, KANA = ("CJK UNIFIED",), ("CJK UNIFIED", "HIRAGANA", "KATAKANA")
SCRIPTS = {  # beginnings of Unicode character names; Latin where nothing is said
    "am": ("ETHIOPIC",),
    "ar": ("ARABIC",),
    "bn": ("BENGALI",),
    "hi": ("DEVANAGARI",),
    "ja_casual": KANA,
    "ja_formal": KANA,
    "ko_casual": ("HANGUL",),
    "ko_formal": ("HANGUL",),
    "mr": ("DEVANAGARI",),
    "nan": HAN,
    "ru_casual": ("CYRILLIC",),
    "ru_formal": ("CYRILLIC",),
    "si_formal_spoken": ("SINHALA",),
    "th": ("THAI",),
    "yue": HAN,
    "zh_cn": HAN,
}
LATIN = ("LATIN", "COMBINING")
CHARSETS = {"nan": "gb2312", "zh_cn": "gb2312", "yue": "big5hkscs"}  # simplified, traditional
SAME_WORD = {  # (name, languages) whose words are rightly the same
    ("question_label", "en", "fr"): "French writes the same noun, with a space before the colon",
    ("question_label", "hi", "mr"): "both use the Sanskrit word for a question",
}
SHARED_WITH_ENGLISH = {"fr": {"question", "passages"}}  # words of three letters or more
REGISTERS = [("id", "casual", "formal"), ("ja", "casual", "formal"), ("ko", "casual", "formal")]
REGISTERS += [("ru", "casual", "formal"), ("jv", "krama", "ngoko")]


def words_of(language: str) -> dict[str, str]:
    """The `set` names of a language file, read by Jinja itself and without the skeleton."""
    source = (templates_dir() / f"{language}.jinja").read_text(encoding="utf-8")
    own = jinja2.Environment().from_string(source.replace("{% extends skeleton %}", ""))
    return {name: value for name, value in vars(own.module).items() if name[0] != "_"}


def bare(text: str) -> str:
    """Letters and marks only, case folded, placeholders taken out."""
    for placeholder in PLACEHOLDERS:
        text = text.replace(placeholder, " ")
    return "".join(c if unicodedata.category(c)[0] in "LM" else " " for c in text.casefold())


def numbered_block(prompt: str) -> list[str]:
    """The last run of lines numbered 1, 2, 3…, as a reader model would find it."""
    block: list[str] = []
    for line in reversed(prompt.splitlines()):
        if re.match(r"[0-9]+\. ", line):
            block.insert(0, line)
        elif block:
            break
    return block


def one_line(text: str) -> str:
    return re.sub(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+\s*", " ", text).strip()


# Golden renders


def golden_text(language: str) -> str:
    dish = ["Rendang", "Pempek", "Gudeg", "Rawon", "Soto"]
    passages = (
        ShownPassage("Rawon", "Rawon: Jawa Timur, kluwek.\n1. daging 2. kluwek"),
        ShownPassage(" Soto\nayam ", "Soto ayam: {{ ayam }}, kunyit."),
    )
    shapes = {
        "norag, 4 options": render("mcq", language, question="Rawon\n (Jawa)?", options=dish[:4]),
        "2 passages, 5 options": render("mcq", language, question="1. Rawon?", options=dish, passages=passages),
        "context, 4 options": render(
            "mcq", language, question="Rawon?", options=dish[1:], context="Rawon, Jawa Timur."
        ),
    }
    return "".join(f"==== {name} ====\n{prompt}\n" for name, prompt in shapes.items())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rendered_prompts_are_the_golden_ones(language: str) -> None:
    path = GOLDEN / f"{language}.txt"
    if os.environ.get("M4RAG_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(golden_text(language), encoding="utf-8")
    assert golden_text(language) == path.read_text(encoding="utf-8")


def test_each_language_has_one_golden_file_and_none_is_stale() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == LANGUAGES


# Wording


def test_all_varieties_are_there() -> None:
    expected = """
        am ar az bn cs en es fr hi id_casual id_formal it ja_casual ja_formal jv_krama
        jv_ngoko ko_casual ko_formal mr nan nan_spoken ru_casual ru_formal sc si_formal_spoken
        su_loma th tl yo yue zh_cn"""
    assert set(LANGUAGES) >= set(expected.split())
    assert "mcq" not in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_are_complete_and_clean(language: str) -> None:
    words = words_of(language)
    assert words.keys() == WORDS
    for name, text in words.items():
        assert text.strip() == text and "\n" not in text and "  " not in text, name
        assert unicodedata.is_normalized("NFC", text), name
        assert not text[0].isdigit(), f"{name} looks like an option"
        has = {p for p in PLACEHOLDERS if text.count(p) == 1}
        assert has == (set(PLACEHOLDERS) if name == "answer_intro" else set()), name
        assert set(re.findall(r"[{}<>]", text)) == (set("{}<>") if has else set()), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_header_says_who_wrote_and_reviewed_it(language: str) -> None:
    source = (templates_dir() / f"{language}.jinja").read_text(encoding="utf-8")
    header, rest = source.split("#}\n", 1)
    assert header.startswith("{#\nlanguage: ") and rest.startswith("{% extends skeleton %}\n")
    for field in ("register", "script", "written", "checked automatically"):
        assert re.search(rf"^{field}: \S", header, re.M), field
    assert re.search(r"^reviewed by a fluent reader: (no|yes, by \S)", header, re.M)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_are_in_the_language_s_script(language: str) -> None:
    letters = bare(" ".join(words_of(language).values())).replace(" ", "")
    script = SCRIPTS.get(language, LATIN)
    strangers = {c for c in letters if not unicodedata.name(c, "?").startswith(script)}
    assert not strangers
    if script == KANA:
        assert sum(unicodedata.name(c).startswith("HIRAGANA") for c in letters) > len(letters) / 3
    if language in CHARSETS:
        letters.encode(CHARSETS[language])


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_no_english_is_left(language: str) -> None:
    english, own = (set(bare(" ".join(words_of(x).values())).split()) for x in ("en", language))
    shared = {word for word in english & own if len(word) > 2}
    assert shared <= SHARED_WITH_ENGLISH.get(language, set())


@pytest.mark.parametrize("name", sorted(WORDS))
def test_no_two_languages_have_the_same_words(name: str) -> None:
    texts = {language: bare(words_of(language)[name]).split() for language in LANGUAGES}
    same = {(name, a, b) for a, b in combinations(LANGUAGES, 2) if texts[a] == texts[b]}
    assert same == {key for key in SAME_WORD if key[0] == name}


@pytest.mark.parametrize(("language", "one", "other"), REGISTERS)
def test_registers_of_one_language_differ_in_every_word(language: str, one: str, other: str) -> None:
    first, second = words_of(f"{language}_{one}"), words_of(f"{language}_{other}")
    assert [name for name in WORDS if bare(first[name]) == bare(second[name])] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("shape", ["norag", "passages", "context"])
def test_no_sentence_is_said_twice(language: str, shape: str) -> None:
    passages = (ShownPassage("§a", "§b"),) if shape == "passages" else ()
    context = "§c" if shape == "context" else None
    prompt = render("mcq", language, question="§", options=["§d", "§e"], passages=passages, context=context)
    sentences = [bare(s).split() for s in re.split(r"[.;:。；：।፤፦።\n]", prompt)]
    told = [tuple(s) for s in sentences if s]
    assert len(told) == len(set(told))


# Form


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_options_and_answer_form(language: str, count: int) -> None:
    options = [f"§{n}" for n in range(count)]
    prompt = render("mcq", language, question="7. §?", options=options)
    numbered = [f"{n}. {option}" for n, option in enumerate(options, 1)]
    assert [line for line in prompt.splitlines() if re.match(r"\s*\d+\s*\.", line)] == numbered
    assert prompt.count(ANSWER_FORM) == 1 and prompt.endswith("\n" + ANSWER_FORM)
    instruction, answer_intro = prompt.splitlines()[-3:-1]
    assert str(count) in answer_intro and "{" not in answer_intro
    assert instruction == words_of(language)["instruction"]


def test_passages_and_context_bring_their_own_sentences() -> None:
    words, row = words_of("en"), {"question": "Q", "options": ["a", "b"]}
    plain = render("mcq", "en", **row)
    found = render("mcq", "en", **row, passages=[ShownPassage(" T\n1 ", " x\ny\n"), PASSAGE])
    told = render("mcq", "en", **row, context="\nx\ny ")
    assert found.startswith(f"{words['passages_intro']}\n\n[1] T 1\nx\ny\n\n[2] Title\ntext\n\nQ")
    assert told.startswith(f"{words['context_intro']}\nx\ny\n\nQuestion: Q\nOptions:\n1. a\n2. b\n")
    assert plain.startswith("Question: Q\n")
    for prompt, name in (
        (plain, "instruction"),
        (found, "instruction_with_passages"),
        (told, "instruction_with_context"),
    ):
        assert prompt.splitlines()[-3] == words[name]


@example("{{ 7 * 7 }}{% raw %}{# x #}", ["{{ question }}", "1. a\n2. b", " \n ", "{count}"])
@example("a\r\n\u2028 b <b>&amp;", ["\x85x\x1c", "\\n", "%s {0}", "<number>"])
@given(st.text(), st.lists(st.text(), min_size=2, max_size=6))
def test_data_is_never_interpreted(question: str, options: list[str]) -> None:
    passage = ShownPassage(question, options[0])
    prompt = render("mcq", "yo", question=question, options=options, passages=[passage])
    expected = [f"{n}. {one_line(option)}" for n, option in enumerate(options, 1)]
    assert numbered_block(prompt) == expected

    marks = [f"§{n}§" for n in range(len(options))]
    frame = render("mcq", "yo", question="§q§", options=marks, passages=[ShownPassage("§t§", "§p§")])
    data = {"§q§": one_line(question), "§t§": one_line(question), "§p§": options[0].strip()}
    data |= {mark: one_line(option) for mark, option in zip(marks, options, strict=True)}
    assert prompt == re.sub("|".join(data), lambda match: data[match[0]], frame)


# Errors


def copy(folder: Path, edit: Callable[[str], str], name: str = "xx") -> Path:
    """A folder with one language file outside the repository: English, edited."""
    source = (templates_dir() / "en.jinja").read_text(encoding="utf-8")
    (folder / f"{name}.jinja").write_text(edit(source), encoding="utf-8")
    return folder


def refusal(language: object, extra_dir: Path | None = None, kind: object = "mcq") -> str:
    with pytest.raises(TemplateError) as caught:
        render(kind, language, question="Q", options=["a", "b"], extra_dir=extra_dir)
    return str(caught.value)


def line_of(folder: Path, text: str) -> int:
    lines = (folder / "xx.jinja").read_text(encoding="utf-8").splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)


def test_a_folder_outside_the_repository_is_searched_first(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s.replace("Question:", "Frage:"))
    copy(tmp_path, lambda s: s.replace("Question:", "Ask:"), name="en")
    row = {"question": "Q", "options": ["a", "b"]}
    assert render("mcq", "xx", **row, extra_dir=tmp_path).startswith("Frage: Q\n")
    assert render("mcq", "en", **row, extra_dir=tmp_path).startswith("Ask: Q\n")
    assert render("mcq", "en", **row).startswith("Question: Q\n")
    assert template_languages(tmp_path) == sorted([*LANGUAGES, "xx"])
    assert template_digest("mcq", "en", tmp_path) != template_digest("mcq", "en")


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\r\n \n"])
def test_marks_of_other_editors_do_not_reach_the_prompt(tmp_path: Path, start: bytes) -> None:
    data = (templates_dir() / "en.jinja").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "xx.jinja").write_bytes(start + data)
    row = {"question": "Q", "options": ["a", "b"], "passages": [PASSAGE]}
    assert render("mcq", "xx", **row, extra_dir=tmp_path) == render("mcq", "en", **row)


def test_templates_are_found_in_a_wheel_and_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "m4rag_tasks"
    monkeypatch.setattr(prompts, "__file__", str(package / "prompts.py"))
    with pytest.raises(TemplateError, match="install m4rag again"):
        templates_dir.__wrapped__()
    for folder in (tmp_path / "templates", package / "templates"):  # the package's own goes first
        folder.mkdir(parents=True)
        (folder / "mcq.jinja").touch()
        assert templates_dir.__wrapped__() == folder.resolve()


def test_a_missing_language_says_where_and_what_to_do() -> None:
    message = refusal("tlh")
    assert str(templates_dir() / "tlh.jinja") in message and "no language 'tlh'" in message
    assert "start from en.jinja" in message
    assert "no prompt kind 'essay'" in refusal("en", kind="essay")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "EN", "en.jinja", "x\n", "é", float("nan")])
def test_a_name_that_is_not_one_is_refused(name: object) -> None:
    assert f"{name!r} cannot name a language" in refusal(name)
    assert f"{name!r} cannot name a prompt kind" in refusal("en", kind=name)


def test_a_kind_is_not_a_language() -> None:
    assert "mcq.jinja, line 1: not a language" in refusal("mcq")
    assert "en.jinja, line 1: not a prompt kind" in refusal("es", kind="en")


def test_a_language_file_without_skeleton_is_refused(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s.replace("{% extends skeleton %}\n", ""))
    message = refusal("xx", tmp_path)
    assert "xx.jinja, line 1: not a language" in message and "{% extends skeleton %}" in message
    assert template_languages(tmp_path) == LANGUAGES


def test_a_syntax_error_says_the_line(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s.replace("set options_label", "sett options_label"))
    line = line_of(tmp_path, "options_label")
    message = refusal("xx", tmp_path)
    assert f"{tmp_path / 'xx.jinja'}, line {line}: Encountered unknown tag 'sett'" in message


def test_a_quote_left_open_is_noticed_one_line_later(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s.replace('"Options:"', '"Options:'))
    message = refusal("xx", tmp_path)
    assert f"xx.jinja, line {line_of(tmp_path, 'options_label') + 1}: " in message
    assert "a quote left open before it" in message


def test_a_syntax_error_in_the_skeleton_says_the_line(tmp_path: Path) -> None:
    skeleton = (templates_dir() / "mcq.jinja").read_text(encoding="utf-8")
    broken = skeleton.replace("{% endfor %}", "{% endfr %}", 1)
    (tmp_path / "mcq.jinja").write_text(broken, encoding="utf-8")
    line = broken.splitlines().index("{% endfr %}") + 1
    assert f"{tmp_path / 'mcq.jinja'}, line {line}: " in refusal("en", tmp_path)


def test_a_missing_word_is_found_before_the_row_that_needs_it(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: re.sub(r".*set instruction_with_context.*\n", "", s))
    message = refusal("xx", tmp_path)
    assert "'instruction_with_context' is undefined" in message
    skeleton = (templates_dir() / "mcq.jinja").read_text(encoding="utf-8").splitlines()
    line = skeleton.index("{{ instruction_with_context }}") + 1
    assert f"{templates_dir() / 'mcq.jinja'}, line {line}: " in message
    assert str(tmp_path / "xx.jinja") in message


def test_an_undefined_variable_in_a_language_file_says_the_line(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s.replace('"Question:"', "qestion ~ 1"))
    line = line_of(tmp_path, "qestion")
    message = refusal("xx", tmp_path)
    assert f"{tmp_path / 'xx.jinja'}, line {line}: 'qestion' is undefined" in message


def test_a_file_that_is_not_utf8_says_the_line(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s)
    data = (tmp_path / "xx.jinja").read_bytes().replace(b"Options:", "Möglich:".encode("latin-1"))
    (tmp_path / "xx.jinja").write_bytes(data)
    line = data[: data.index(b"M\xf6")].count(b"\n") + 1
    assert f"{tmp_path / 'xx.jinja'}, line {line}: not UTF-8" in refusal("xx", tmp_path)
    with pytest.raises(TemplateError, match="not UTF-8"):
        template_digest("mcq", "xx", tmp_path)


def test_an_unreadable_file_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def denied(path: Path) -> bytes:
        if path.parent == tmp_path:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    copy(tmp_path, lambda s: s)
    monkeypatch.setattr(Path, "read_bytes", denied)
    message = refusal("xx", tmp_path)
    assert f"{tmp_path / 'xx.jinja'}: cannot be read" in message and "Permission denied" in message


def test_rows_that_cannot_be_asked() -> None:
    row = {"question": "Which dish?", "options": ["a", "b"]}
    with pytest.raises(ValueError, match="never both"):
        render("mcq", "en", **row, passages=[PASSAGE], context="x")
    with pytest.raises(ContextError, match="'Which dish\\?' is empty"):
        render("mcq", "en", **row, context=" \n")
    with pytest.raises(DataError, match="'Which dish\\?' has no options"):
        render("mcq", "en", question="Which dish?", options=[])


# Digest and cost


def test_the_digest_covers_skeleton_and_words() -> None:
    data = b"".join((templates_dir() / f"{name}.jinja").read_bytes() for name in ("mcq", "sc"))
    assert template_digest("mcq", "sc") == hashlib.sha256(data).hexdigest()
    assert len({template_digest("mcq", language) for language in LANGUAGES}) == len(LANGUAGES)


def test_files_are_read_once_per_process(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s)
    row = {"question": "Q", "options": ["a", "b"], "extra_dir": tmp_path}
    before, digest = render("mcq", "xx", **row), template_digest("mcq", "xx", tmp_path)
    (tmp_path / "xx.jinja").unlink()
    assert render("mcq", "xx", **row) == before
    assert template_digest("mcq", "xx", tmp_path) == digest
