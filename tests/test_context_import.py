"""`m4rag context import`: what a model wrote is stored whole with its provenance, or refused by question id."""

from __future__ import annotations

import json

import pytest
from fixtures import cvqa_copy
from hypothesis import given
from hypothesis import strategies as st
from written import DATE, write_samples

from m4rag_tasks import cli, contexts, datasets, rows, suite
from m4rag_tasks.context_checks import leak
from m4rag_tasks.mini.build import DATA
from retrieval_cache import CacheWriteError

CAPTION = "m4rag_mini_make_caption"
MINI, CVQA = suite.DATASETS["mini"], suite.DATASETS["cvqa"]
STORED = {
    entry["question_id"]: entry["text"]
    for entry in map(json.loads, (DATA / "contexts/caption.jsonl").read_text(encoding="utf-8").splitlines())
}


def caption(doc):
    return STORED[f"{doc['qa_id']}-{doc['lang']}"]


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """The folder of mini's named context sets."""
    monkeypatch.setenv("M4RAG_CONTEXTS", str(tmp_path / "contexts"))
    return tmp_path / "contexts" / "mini"


@pytest.fixture
def run(capsys):
    """Runs `m4rag`, gives exit code, output and messages."""

    def run_it(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run_it


def changed(doc_id, text):
    """The stored captions, but one question's."""
    return lambda doc: text(doc) if f"{doc['qa_id']}-{doc['lang']}" == doc_id else caption(doc)


def test_sound_texts_become_a_set_with_its_provenance_and_again_the_same_bytes(tmp_path, sets, run, monkeypatch):
    samples = write_samples(tmp_path / "out", CAPTION, lambda doc: f"<think>…</think>\n{caption(doc)}")
    code, out, err = run("context", "import", samples)
    assert (code, err) == (0, "") and "mini:caption:writer-7b: 540 of 540 texts in 9 languages" in out
    path, manifest_path = sets / "caption/writer-7b.jsonl", sets / "caption/writer-7b.json"
    assert {
        e["question_id"]: e["text"] for e in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    } == STORED
    made = json.loads(manifest_path.read_text(encoding="utf-8"))
    assert made["model"]["name"] == "org/Writer-7B" and made["model"]["revision"] == "abc123"
    assert made["model"]["arguments"]["pretrained"] == "Writer-7B"  # where it lay is nobody's business
    assert made["runs"] == [DATE] and made["versions"]["lmms-eval"] == ["0.7.3"] and len(made["template"]) == 64
    assert made["accepted"] == {} and made["languages"] == dict.fromkeys(made["languages"], 60)
    before = path.read_bytes(), manifest_path.read_bytes()
    assert run("context", "import", samples)[0] == 0
    assert (path.read_bytes(), manifest_path.read_bytes()) == before
    path.unlink()
    assert run("context", "import", samples)[0] == 0 and path.read_bytes() == before[0]

    monkeypatch.setenv("M4RAG_CONTEXT_SETS", "caption=writer-7b")
    assert "* mini:caption:writer-7b  540 of 540" in run("context", "list", "--dataset", "mini")[1]
    assert contexts.context_name(MINI, "caption") == "mini:caption:writer-7b"
    code, out, _ = run("context", "show", "mini:caption:writer-7b", "1001-en")
    assert code == 0 and STORED["1001-en"] in out and '"name": "org/Writer-7B"' in out
    assert run("context", "show", "mini:caption:writer-7b", "9-xx")[0] == 1
    assert "There is no context set 'mini:caption:other'" in run("context", "show", "mini:caption:other")[2]


@pytest.mark.parametrize(
    ("check", "option", "text"),
    [
        ("missing", "--max-missing", lambda doc: ""),
        ("missing", "--max-missing", lambda doc: "[LMMS_EVAL_REQUEST_FAILED] HTTP 500"),
        ("cut-off", "--max-cut-off", lambda doc: caption(doc).rstrip(".") + " and"),
        ("missing", "--max-missing", lambda doc: "<think> so the picture"),
        ("language", "--max-wrong-language", lambda doc: STORED["1001-es"]),
        ("language", "--max-wrong-language", lambda doc: STORED["1001-am"]),
        ("leak", "--max-leaks", lambda doc: f"{caption(doc)} It is made of TEFF, a grain."),
    ],
)
def test_each_fault_names_its_question_stores_nothing_and_can_be_accepted(tmp_path, sets, run, check, option, text):
    samples = write_samples(tmp_path / "out", CAPTION, changed("1001-en", text))
    code, out, err = run("context", "import", samples)
    assert code == 1 and not sets.exists()
    named = {tuple(line.split(": ")[:2]) for line in out.splitlines()}
    assert named == {("1001-en", check)}
    assert f"{option} 1" in err and "nothing was stored" in err
    for accepted in ("1", "0.5%"):
        name = "half" if accepted.endswith("%") else "one"
        assert run("context", "import", samples, option, accepted, "--name", name)[0] == 0
        made = json.loads((sets / f"caption/{name}.json").read_text(encoding="utf-8"))
        assert made["accepted"] == {check: ["1001-en"]}
        assert made["texts"] == (539 if check == "missing" else 540)
    assert run("context", "import", samples, option, "0.1%", "--name", "no")[0] == 1


def test_where_tokens_are_counted_they_decide_what_is_cut_off(tmp_path, sets, run):
    """A text may end well without a mark; with one, all of its tokens may be those of a batch filled up."""
    said = {name: text.rstrip(".।。።") if name.startswith("1002") else text for name, text in STORED.items()}
    limit = 120
    samples = write_samples(
        tmp_path / "out",
        CAPTION,
        lambda doc: said[f"{doc['qa_id']}-{doc['lang']}"],
        tokens=lambda text: min(len(text), limit),
        limit=limit,
    )
    code, out, _ = run("context", "import", samples)
    cut_off = {line.split(": ")[0] for line in out.splitlines()}
    expected = {name for name, text in said.items() if len(text) >= limit and name.startswith("1002")}
    assert code == 1 and cut_off == expected and 0 < len(expected) < len(suite.own_codes(MINI))
    assert run("context", "import", samples, "--max-cut-off", len(expected))[0] == 0
    made = json.loads((sets / "caption/writer-7b.json").read_text(encoding="utf-8"))
    assert made["checked"]["cut-off"] == {"by tokens": 540, "by looks": 0}


def test_a_partial_import_says_what_is_missing_and_several_folders_make_one_set(tmp_path, sets, run):
    some = write_samples(tmp_path / "one", CAPTION, caption, languages=("en", "es"))
    code, out, err = run("context", "import", some)
    assert code == 1 and len(out.splitlines()) == 420
    assert "missing by language: " in err and "am 60 of 60" in err and " es " not in err.split("by language")[1]
    others = tuple(set(suite.own_codes(MINI).values()) - {"en", "es"})
    rest = write_samples(tmp_path / "two", CAPTION, caption, languages=others, date="20260102_040000")
    assert run("context", "import", some, rest)[0] == 0
    made = json.loads((sets / "caption/writer-7b.json").read_text(encoding="utf-8"))
    assert made["texts"] == 540 and made["runs"] == [DATE, "20260102_040000"]


def test_texts_that_cannot_be_one_set_are_told_apart(tmp_path, sets, run):
    one = write_samples(tmp_path / "one", CAPTION, caption, languages=("en",))
    again = write_samples(tmp_path / "two", CAPTION, caption, languages=("en",), date="20260103_000000")
    other = write_samples(tmp_path / "three", CAPTION, caption, languages=("es",), model="org/Other-2B")
    queries = write_samples(tmp_path / "four", "m4rag_mini_make_queries", lambda doc: "a b", languages=("es",))

    def refusal(*paths):
        code, _, err = run("context", "import", *paths)
        assert code == 1 and not sets.exists()
        return err

    assert "60 questions have two texts: 1001-en (" in refusal(one, again)
    assert "by 2 models" in refusal(one, other) and "of 2 context sets" in refusal(one, queries)
    assert "does not exist" in refusal(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no samples of a writing task" in refusal(tmp_path / "empty")
    assert "no samples of a writing task" in refusal(next(one.glob("*_results.json")))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda line: line[:40], r":60 is no JSON: it is cut off"),
        (lambda line: "[1]\n", r":60 is no JSON object"),
        (lambda line: '{"accuracy": {}}\n', r":60: no record of a written text"),
        (lambda line: line.replace("1060-en", "9999-en"), "1 texts are for no question of M4-RAG mini, e.g. 9999-en"),
        (lambda line: line.replace('"template": "', '"template": "x'), "2 different versions of the instruction"),
    ],
)
def test_broken_samples_are_named_by_file_and_line(tmp_path, sets, run, damage, told):
    folder = write_samples(tmp_path / "out", CAPTION, caption, languages=("en",))
    (path,) = folder.glob("*_samples_*.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[-1] = lines[-1].replace(json.loads(lines[-1])["written"]["question_id"], "1060-en")
    path.write_text("".join([*lines[:-1], damage(lines[-1])]), encoding="utf-8")
    code, _, err = run("context", "import", folder)
    assert code == 1 and told in err and not sets.exists()


def test_a_writer_that_no_results_file_names_has_to_be_said(tmp_path, sets, run):
    samples = write_samples(tmp_path / "out", CAPTION, caption)
    (results,) = samples.glob("*_results.json")
    for damage in (results.unlink, lambda: results.write_text('{"config', encoding="utf-8")):
        damage()
        code, _, err = run("context", "import", samples)
        assert code == 1 and f"{DATE}_results.json" in err and "--model NAME" in err and not sets.exists()
    assert run("context", "import", samples, "--model", "org/Writer-7B", "--revision", "abc")[0] == 0
    made = json.loads((sets / "caption/writer-7b.json").read_text(encoding="utf-8"))
    assert (made["model"]["name"], made["model"]["revision"]) == ("org/Writer-7B", "abc")


def test_captions_of_grey_pictures_are_named(tmp_path, sets, run):
    samples = write_samples(tmp_path / "out", CAPTION, caption)
    path = next(samples.glob("*_en.jsonl"))
    first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert '"image": "shown"' in first
    path.write_text("".join([first.replace('"image": "shown"', '"image": "blank"'), *others]), encoding="utf-8")
    code, out, err = run("context", "import", samples)
    assert code == 1 and out.startswith("1001-en: picture: ") and "--max-without-picture 1" in err
    assert not sets.exists()
    assert run("context", "import", samples, "--max-without-picture", "1")[0] == 0


@pytest.mark.parametrize("field", ["written_in", "contexts", "text"])
def test_records_of_another_make_are_refused_or_read_and_never_a_traceback(tmp_path, sets, run, field):
    samples = write_samples(tmp_path / "out", CAPTION, caption)
    path = next(samples.glob("*_en.jsonl"))
    first, *others = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    first["written"][field] = {"written_in": "xx", "contexts": ["a"], "text": "A plate \ud83d with bread on it."}[field]
    path.write_text("".join(json.dumps(line) + "\n" for line in [first, *others]), encoding="utf-8")
    code, _, err = run("context", "import", samples)
    assert code == (field == "written_in") and ("there is no language 'xx'" in err) == bool(code)


def test_a_set_is_never_changed(tmp_path, sets, run):
    assert run("context", "import", write_samples(tmp_path / "one", CAPTION, caption))[0] == 0
    before = {path: path.read_bytes() for path in sets.rglob("*.*")}
    other = write_samples(tmp_path / "two", CAPTION, changed("1001-en", lambda doc: "Another plate with bread on it."))
    code, _, err = run("context", "import", other)
    assert code == 1 and "There is another context set mini:caption:writer-7b" in err
    assert {path: path.read_bytes() for path in sets.rglob("*.*")} == before
    assert run("context", "import", other, "--name", "../x")[0] == 1
    assert not (sets.parent / "x.jsonl").exists()


def test_a_set_is_there_with_its_manifest_or_not_at_all(tmp_path, sets, run, monkeypatch):
    samples = write_samples(tmp_path / "one", CAPTION, caption)

    def full(*_):
        raise CacheWriteError("no space left on the disk.", "Make room.")

    with monkeypatch.context() as broken:
        broken.setattr("m4rag_tasks.context_import.write_json", full)
        code, _, err = run("context", "import", samples)
    assert code == 1 and "no space left" in err
    assert "writer-7b" not in run("context", "list", "--dataset", "mini")[1]
    assert run("context", "import", samples)[0] == 0
    assert "writer-7b" in run("context", "list", "--dataset", "mini")[1]


def test_texts_about_other_rows_are_refused(tmp_path, sets, run):
    samples = write_samples(tmp_path / "one", CAPTION, caption)
    (results,) = samples.glob("*_results.json")
    noted = json.loads(results.read_text(encoding="utf-8"))
    noted["configs"]["m4rag_mini_make_caption_es"]["metadata"]["rows"] = "0" * 64
    results.write_text(json.dumps(noted), encoding="utf-8")
    code, _, err = run("context", "import", samples)
    assert code == 1 and "m4rag_mini_make_caption_es was run on other rows" in err and not sets.exists()


def test_one_caption_of_cvqa_serves_both_wordings_and_must_leak_neither_answer(data, shared_data, tmp_path, run):
    cvqa_copy(data, shared_data)
    (data / "cvqa/contexts/caption.jsonl").unlink()

    def told(doc):
        if doc["Subset"] == "('Korean', 'South Korea')":
            return f"The picture shows this thing: {doc['Options'][doc['Label']]}, which is very well known here."
        return "The picture shows several people in a street on a bright day."

    samples = write_samples(tmp_path / "out", "m4rag_cvqa_make_caption", told)
    code, out, _ = run("context", "import", samples)
    leaks = {line.split(": ")[0] for line in out.splitlines() if ": leak: " in line}
    korean = datasets.load_rows(CVQA, suite.language("ko_south_korea"))
    assert code == 1 and leaks == set(korean["ID"])
    assert run("context", "import", samples, "--max-leaks", len(leaks))[0] == 0
    row = next(iter(datasets.all_rows(CVQA)))
    assert contexts.context(CVQA, "caption", row) == told({"Subset": ""})
    assert contexts.context_name(CVQA, "caption") == "cvqa:caption:writer-7b"


def test_queries_have_texts_for_both_wordings(data, shared_data, tmp_path, run):
    written = cvqa_copy(data, shared_data)
    samples = write_samples(tmp_path / "out", "m4rag_cvqa_make_queries", lambda doc: "1. street market\n2. market day")
    assert run("context", "import", samples, "--max-wrong-language", "99%")[0] == 0
    lines = (data / "cvqa/contexts/queries/writer-7b.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 * len(written) and json.loads(lines[0])["text"] == "street market\nmarket day"
    made = json.loads((data / "cvqa/contexts/queries/writer-7b.json").read_text(encoding="utf-8"))
    assert made["contexts"] == {"caption": ["cvqa:caption"]} and made["checked"]["language"]["ig_nigeria"] == "script"


def test_a_leak_is_the_answer_as_whole_words_unless_the_question_says_it_itself():
    assert leak("A bowl of TEFF.", ["teff"]) == "teff"
    assert leak("A bowl of steffi's.", ["teff"]) is None
    assert leak("A red-brown bowl", ["Red brown"]) == "Red brown"
    assert leak("盘子里有苔麸饼。", ["苔麸"]) == "苔麸"
    assert leak("A bowl of teff.", ["teff"], "Which bread is made of teff?") is None
    assert leak("A bowl.", ["", "!"]) is None


@given(st.text(), st.text(min_size=1), st.text())
def test_an_answer_between_two_spaces_always_leaks(before, gold, after):
    if leak(gold, [gold]):
        assert leak(f"{before} {gold} {after}", [gold]) == gold


def test_rows_without_english_options_still_have_a_gold():
    from m4rag_tasks.context_import import expected_questions

    (task,) = suite.select("mini", "make_caption", "am")
    expected = expected_questions([task])
    assert len(expected) == 60 and all(len(asked.golds) >= 1 for asked in expected)
    assert {rows.question_id(MINI, {"qa_id": "1001", "lang": "am"})} <= {asked.question_id for asked in expected}
