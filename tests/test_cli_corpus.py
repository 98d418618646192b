"""`m4rag corpus`: what people see of a corpus, and what scripts do."""

from __future__ import annotations

import json

from m4rag_tasks import cli


def line(number: int, language: str, *paragraphs: str) -> str:
    section = {"heading": "H", "content": list(paragraphs), "images": []}
    url = f"https://{language}.wikipedia.org/wiki/{number}"
    return json.dumps({"id": f"a{number}", "title": f"T{number}", "url": url, "content": [section]}) + "\n"


def test_stats_are_a_table_and_the_exit_code_says_whether_all_is_well(tmp_path, capsys):
    corpus, figures = tmp_path / "articles.jsonl", tmp_path / "out" / "figures.json"
    whole = [line(number, "su", "x" * 10 * number) for number in (1, 2, 3)] + [line(4, "en", "ab")]
    corpus.write_text("".join([*whole, "not json\n", line(1, "su"), line(6, "www")]))
    assert cli.main(["corpus", "stats", str(corpus), "--json", str(figures)]) == 1
    out, err = capsys.readouterr()
    lines = {words[0]: words for words in map(str.split, out.splitlines()) if words}
    assert lines["broken"] == ["broken", "3", "(1", "not_json,", "1", "bad_url,", "1", "duplicate_id)"]
    assert lines["su"][1:3] == ["3", "75.0%"] and lines["en"][-1] == "2"
    assert f"left out: {corpus}:5: not JSON" in err
    written = json.loads(figures.read_text())
    assert written["languages"]["su"]["lengths"]["0.5"] == 20 and written["broken"]["not_json"] == 1
    assert str(tmp_path) not in figures.read_text()
    corpus.write_text("".join(whole))
    assert cli.main(["corpus", "stats", str(corpus)]) == 0


def test_a_corpus_that_cannot_be_read_is_named(tmp_path, capsys):
    assert cli.main(["corpus", "stats", str(tmp_path / "none.jsonl")]) == 1
    assert "there is no corpus file" in capsys.readouterr().err
    (tmp_path / "empty.jsonl").write_text("")
    assert cli.main(["corpus", "stats", str(tmp_path / "empty.jsonl")]) == 0
    assert "articles    0" in capsys.readouterr().out
