"""Checks of a variety's words: every check fails on a template that is broken in that way, ours pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from harness import OWN_TEMPLATES, edit_templates
from hypothesis import given
from hypothesis import strategies as st

from m4rag_tasks import check_language, prompts, suite
from m4rag_tasks.check_language import KIND_WORDS, check_all, problems, repeated_phrase, templates
from m4rag_tasks.languages_doc import languages_table
from m4rag_tasks.suite import Language

REPOSITORY = Path(__file__).resolve().parents[1]
GERMAN = Language("xx", "German", "Latn", "high", {}, "xx", "xx")  # a variety that is not ours
HEADER = """\
{#
language: German
register: polite (Sie)
script: Latin
written: by the authors of the tests
checked automatically: everything
reviewed by a fluent reader: no (an example)
#}
{% extends skeleton %}
"""
WORDS = {
    "passages_intro": "Zu dieser Frage wurden folgende Textstellen gefunden; vielleicht helfen sie weiter.",
    "context_intro": "Angaben zum Bild:",
    "question_label": "Frage:",
    "options_label": "Auswahl:",
    "instruction": "Sehen Sie sich das Bild an und wählen Sie genau eine Antwort.",
    "instruction_with_passages": "Sehen Sie sich das Bild an, nutzen Sie die Textstellen nur, falls sie weiterhelfen.",
    "instruction_with_context": "Sehen Sie sich das Bild an, nutzen Sie die obigen Angaben.",
    "answer_intro": "Antworten Sie nur mit JSON genau so, <number> ist die Nummer Ihrer Wahl von 1 bis {count}:",
    "open_instruction": "Sehen Sie sich das Bild an und antworten Sie mit einem Namen.",
    "open_instruction_with_passages": "Sehen Sie das Bild an und nennen Sie, falls nötig mit ihnen, einen Namen.",
    "open_instruction_with_context": "Sehen Sie sich das Bild an und nennen Sie mit den Angaben den Namen.",
    "open_answer_intro": "Schreiben Sie nur JSON genau so, <answer> ist Ihre Antwort auf Deutsch:",
}


def source(**changed: str | None) -> str:
    """The German template with other words; None leaves a word out."""
    said = {name: text for name, text in {**WORDS, **changed}.items() if text is not None}
    return HEADER + "".join(f'{{% set {name} = "{text}" %}}\n' for name, text in said.items())


def found(folder: Path, text: str | bytes, language: Language = GERMAN) -> list[str]:
    """The problems of this template, one of our own or kept in a folder outside, without its path."""
    path = folder / f"{language.template}.jinja"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if (OWN_TEMPLATES / path.name).exists():
        edit_templates(folder)
    else:
        prompts.search_also([folder])
    listed = problems(language)
    assert all(problem.startswith(str(path)) for problem in listed)
    return [problem.removeprefix(f"{path}: ") for problem in listed]


def edited(folder: Path, code: str, edit: Callable[[str], str]) -> list[str]:
    """The problems of one of our own templates after an edit; the original has none."""
    return found(folder, edit(prompts.template_path(code).read_text(encoding="utf-8")), templates()[code])


# What is there


@pytest.mark.parametrize("template", templates())
def test_our_templates_have_no_problems(template: str) -> None:
    assert problems(templates()[template]) == []


def test_every_template_of_languages_toml_is_checked_once() -> None:
    assert list(check_all()) == list(dict.fromkeys(row.template for row in suite.languages().values()))


def test_the_words_are_those_of_the_english_template() -> None:
    assert prompts.words("en").keys() == set(KIND_WORDS["mcq"]) | set(KIND_WORDS["open_ended"])


def test_a_template_outside_the_repository_is_checked(tmp_path: Path) -> None:
    assert found(tmp_path, source()) == []


# Each check can fail


@pytest.mark.parametrize(
    ("word", "text", "problem"),
    [
        # complete
        ("options_label", None, "options_label is missing or says nothing; add {% set options_label"),
        ("open_instruction", None, "open_instruction is missing"),
        ("question_label", "-:", "question_label is missing or says nothing"),
        ("instructoin", "Bitte.", "instructoin is no word of any prompt"),
        # clean
        ("instruction", "Wa\u0308hlen Sie.", "instruction is not in Unicode's normal form NFC"),
        ("context_intro", "Angaben  zum Bild:", "context_intro has a line break, two spaces"),
        ("context_intro", " Angaben zum Bild:", "context_intro has a line break, two spaces"),
        ("context_intro", "Angaben\nzum Bild:", "context_intro has a line break, two spaces"),
        ("options_label", "4 Angebote:", "options_label begins with a digit"),
        # placeholders
        ("answer_intro", "Nur JSON, von 1 bis {count}:", "answer_intro has <number> 0 times; it belongs there once"),
        ("answer_intro", "JSON, JSON: <number> {count}", "answer_intro has JSON 2 times; it belongs there once"),
        ("open_answer_intro", "Nur JSON: <Antwort>", "open_answer_intro has <answer> 0 times"),
        ("open_answer_intro", "Nur JSON: <Antwort>", "open_answer_intro has <> outside a placeholder"),
        ("instruction", "Antworten Sie mit JSON.", "instruction has JSON 1 times; it belongs there not at all"),
        ("open_instruction", "Es sind {count}.", "open_instruction has {count} 1 times"),
        ("options_label", "Auswahl }:", "options_label has } outside a placeholder"),
        # script
        ("question_label", "Frаge:", "question_label has 1 of 5 letters in another script than Latn: а"),
        ("question_label", "問題:", "question_label has 2 of 2 letters in another script than Latn: 問 題"),
        # repetition
        ("instruction", "Bitte bitte, bitte!", "instruction says “bitte” again and again"),
        ("instruction", "Das Bild, das Bild, das Bild.", "instruction says “das bild” again and again"),
        ("instruction", "Genau eine Antwort genau eine Antwort.", "instruction says “genau eine antwort” again"),
        ("instruction", "Ins Bild da, ja, ins Bild da, gut, ins Bild da.", "instruction says “ins bild da” again"),
        ("instruction", "Antworten Sie: Sie. Antworten Sie.", "the mcq prompt with nothing says “antworten sie” twice"),
        ("open_instruction_with_context", "Frage!", "the open_ended prompt with a context says “frage” twice"),
        # other languages
        ("options_label", "Picture oder Wahl:", "options_label has English words: picture;"),
        ("question_label", "Otázka!", "question_label is the same as in cs.jinja: “Otázka!”;"),
        (
            "instruction",
            "Observa la imagen y elige Antwort opción.",
            "instruction looks like Spanish: 71% of it stands in es.jinja too",
        ),
    ],
)
def test_a_broken_word_is_found(tmp_path: Path, word: str, text: str | None, problem: str) -> None:
    listed = found(tmp_path, source(**{word: text}))
    assert [one for one in listed if one.startswith(problem)], listed


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (source().replace('"Frage:"', '"Frage:'), "xx.jinja, line "),
        (source().replace("{% extends skeleton %}", ""), "xx.jinja, line 1: not a language"),
        (source().encode("latin-1"), "not UTF-8"),
        (
            source() + '{% block task %}{"answer": <letter>}{% endblock %}',
            'prompt does not end in {"answer": <number>}',
        ),
        (source() + "{% block task %}{{ nothing }}{% endblock %}", "'nothing' is undefined"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem(tmp_path: Path, text: str | bytes, problem: str) -> None:
    listed = found(tmp_path, text)
    assert [one for one in listed if problem in one], listed


def test_a_file_that_is_not_there_is_a_problem() -> None:
    assert "no language 'xx'" in problems(GERMAN)[0]


def test_what_one_kind_lacks_does_not_hide_the_other_kind_s_problems(tmp_path: Path) -> None:
    listed = found(tmp_path, source(options_label=None, open_instruction="Frage!"))
    assert [one for one in listed if "options_label is missing" in one]
    assert [one for one in listed if "open_ended prompt with nothing says “frage” twice" in one]


@pytest.mark.parametrize("field", prompts.HEADER_FIELDS)
def test_a_header_without_a_field_is_found(tmp_path: Path, field: str) -> None:
    without = re.sub(rf"^{field}:.*\n", "", source(), flags=re.MULTILINE)
    assert found(tmp_path, without) == [f"the comment at the top has no line `{field}:`."]


@pytest.mark.parametrize(
    ("said", "count"), [("no", 1), ("yes", 1), ("maybe, by A", 1), ("yes, by A", 0), ("no (b)", 0)]
)
def test_the_header_says_plainly_who_reviewed(tmp_path: Path, said: str, count: int) -> None:
    assert len(found(tmp_path, source().replace("no (an example)", said))) == count


def test_a_script_that_is_no_code_is_found(tmp_path: Path) -> None:
    assert "'Latin script'" in found(tmp_path, source(), replace(GERMAN, script="Latin script"))[0]


@pytest.mark.parametrize(
    ("template", "old", "new", "problem"),
    [
        ("zh_cn", "关于", "關于", "these are no simplified characters: 關"),
        ("yue", "關於", "关於", "these are no traditional characters: 关"),
        ("zh_cn", "图片", "图片図", "these are no simplified characters: 図"),
        ("zh_cn", "图片", "图片ず", "letters in another script than Hans: ず"),
        ("ru_formal", "Вопрос", "Bопрос", "question_label has 1 of 6 letters in another script than Cyrl: b"),
        ("ur", "سوال", "प्रश्न", "letters in another script than Arab"),
        ("th", "คำถาม", "คำถามคำถามคำถาม", "question_label says “คำถาม” again and again"),
        ("zh_cn", "问题：", "问题问题问题：", "question_label says “问题” again and again"),
    ],
)
def test_other_scripts(tmp_path: Path, template: str, old: str, new: str, problem: str) -> None:
    listed = edited(tmp_path, template, lambda s: s.replace(old, new))
    assert [one for one in listed if problem in one], listed


def test_chinese_is_not_japanese(tmp_path: Path) -> None:
    chinese = prompts.template_path("zh_cn").read_text(encoding="utf-8")
    listed = found(tmp_path, chinese, templates()["ja_formal"])
    assert [one for one in listed if "too little hiragana" in one]


@pytest.mark.parametrize(
    ("template", "other", "word"),
    [
        ("jv_ngoko", "id_formal", "instruction_with_passages"),
        ("ms", "id_formal", "passages_intro"),
        ("ko_formal", "ko_casual", "instruction"),
        ("yue", "zh_cn", "instruction_with_context"),
    ],
)
def test_a_line_of_a_near_language_or_register_is_found(tmp_path: Path, template: str, other: str, word: str) -> None:
    own, theirs = prompts.words(template)[word], prompts.words(other)[word]
    same = edited(tmp_path, template, lambda s: s.replace(f'"{own}"', f'"{theirs}"'))
    assert [one for one in same if one.startswith(f"{word} is the same as in {other}.jinja")], same


def test_a_line_that_is_nearly_another_language_s_is_found(tmp_path: Path) -> None:
    theirs = prompts.words("id_formal")["instruction_with_passages"].replace("gambar", "gambaré")
    own = prompts.words("jv_ngoko")["instruction_with_passages"]
    listed = edited(tmp_path, "jv_ngoko", lambda s: s.replace(own, theirs))
    assert [one for one in listed if one.startswith("instruction_with_passages looks like Indonesian")], listed


# Allow-lists


def test_every_allowance_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for (name, pair), reason in list(check_language.SAME_LINE.items()):
        with monkeypatch.context() as patch:
            patch.delitem(check_language.SAME_LINE, (name, pair))
            listed = problems(templates()[min(pair)])
        assert reason and any(f": {name} is the same as in {max(pair)}.jinja" in one for one in listed), (name, pair)
    for (template, word), reason in list(check_language.ENGLISH_WORD.items()):
        with monkeypatch.context() as patch:
            patch.delitem(check_language.ENGLISH_WORD, (template, word))
            listed = problems(templates()[template])
        assert reason and any(f"has English words: {word}" in one for one in listed), (template, word)


# Repetition, on its own


@given(
    st.lists(st.sampled_from("abcdef")), st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8), st.integers(1, 9)
)
def test_what_is_said_three_times_in_a_row_is_found(before: list[str], phrase: list[str], long: int) -> None:
    assert repeated_phrase([*before, *phrase * 3, "end"], long)


@given(st.lists(st.integers(), unique=True), st.integers(1, 9))
def test_what_is_said_once_is_not(words: list[str], long: int) -> None:
    assert repeated_phrase(words, long) is None


@given(st.lists(st.sampled_from("ab")), st.integers(1, 9))
def test_a_phrase_that_is_found_is_there_twice(words: list[str], long: int) -> None:
    phrase = repeated_phrase(words, long)
    text = "".join(words)
    assert phrase is None or text.find("".join(phrase)) < text.rfind("".join(phrase))


# The table


def rows(table: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {re.sub(r"\[(\w+)\].*", r"\1", line[1]): line for line in lines[2:]}


def test_the_table_has_a_line_for_every_template_and_every_code() -> None:
    table = languages_table()
    assert rows(table).keys() == set(templates())
    assert sorted(re.findall(r"`(\w+)` \(\w", table)) == sorted(suite.languages())
    assert "`zh_cn` (wc, mini), `zh_china` (cvqa), `zh_singapore` (cvqa)" in rows(table)["zh_cn"]
    assert table == languages_table()


def test_the_table_says_what_fails_and_who_reviewed(tmp_path: Path) -> None:
    sardinian = prompts.template_path("sc").read_text(encoding="utf-8")
    reviewed = re.sub(r"(reviewed by a fluent reader:).*", r"\1 yes, by A | B", sardinian)
    (tmp_path / "sc.jinja").write_text(reviewed, encoding="utf-8")
    (tmp_path / "cs.jinja").write_text("{% extends skeleton %}", encoding="utf-8")
    (tmp_path / "it.jinja").write_bytes(b"\xff")
    assert rows(languages_table())["sc"][-2:] == ["passes", "unreviewed"]
    edit_templates(tmp_path)
    table = languages_table()
    after = rows(table)
    assert re.search(r"^\| Sardinian .*\| passes \| by A \\\| B \|$", table, re.MULTILINE)
    assert after["cs"][-2:] == ["18 problems", "unreviewed"] and after["it"][-2:] == ["1 problem", "unreviewed"]
    assert f"1 of {len(after)} templates have been reviewed" in table
