"""Reading corpora: the layout, and what is said about lines that break it."""

from __future__ import annotations

import gzip
import json

import pytest

from retrieval_cache import CorpusError, read_articles


def article_row(number, language, title, text):
    section = {"heading": "Introduction", "content": [text], "images": [], "access_time": ""}
    url = f"https://{language}.encyclopedia.example/wiki/{number}"
    return {"id": f"a{number}", "pageid": number, "title": title, "url": url, "content": [section]}


GOOD = article_row(1, "su", "Seblak", "Kadaharan.")


def write(path, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    text = "\n".join(lines) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_reads_plain_and_gzip_and_counts(tmp_path, name):
    gone = {**article_row(2, "en", "Gone", ""), "content": ""}
    reader = read_articles(write(tmp_path / name, GOOD, "", gone))
    (article,) = list(reader)
    assert (article.id, article.language, reader.read, reader.skipped) == ("a1", "su", 1, 1)
    assert len(list(reader)) == 1 and reader.read == 1  # a second pass counts anew


@pytest.mark.parametrize("host", ["su", "arz", "min", "map-bms", "zh-yue", "zh-min-nan", "be-tarask", "simple"])
def test_language_codes_of_any_length(tmp_path, host):
    (article,) = read_articles(write(tmp_path / "a.jsonl", article_row(1, host, "T", "x")))
    assert article.language == host


def without(row, key):
    return {name: value for name, value in row.items() if name != key}


@pytest.mark.parametrize(
    "row, says",
    [
        ("{not json", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "a JSON object is wanted, this is a list"),
        (without(GOOD, "url"), r"\(id 'a1'\): 'url' is missing"),
        (without(GOOD, "content"), "'content' is missing"),
        ({**GOOD, "title": None}, "'title' must be text, this is null"),
        ({**GOOD, "id": 7}, "'id' must be text, this is a number"),
        ({**GOOD, "id": " "}, "'id' is empty"),
        ({**GOOD, "url": "https://www.example.org/"}, "must start with a language code"),
        ({**GOOD, "url": "https://wikipedia.org/wiki/X"}, "must start with a language code"),
        ({**GOOD, "url": "https://wikipedia.co.example/wiki/X"}, "must start with a language code"),
        ({**GOOD, "url": "https://commons.wikimedia.org/wiki/X"}, "must start with a language code"),
        ({**GOOD, "url": "https://meta.wikimedia.org/wiki/X"}, "must start with a language code"),
        ({**GOOD, "url": "https://dw.example/X"}, "must start with a language code"),
        ({**GOOD, "url": "/wiki/X"}, "must start with a language code"),
        ({**GOOD, "url": "https://[bad/"}, "must start with a language code"),
        ({**GOOD, "content": {}}, "'content' must be a list, this is an object"),
        ({**GOOD, "content": [{**GOOD["content"][0], "content": [3]}]}, r"content\[0\].*a number"),
        ({**GOOD, "content": [{**GOOD["content"][0], "images": [{}]}]}, r"images\[0\]: 'src'"),
        (json.dumps({**GOOD, "title": "T"}).replace('"T"', '"\\ud800"'), "lone surrogate"),
    ],
)  # fmt: skip
def test_a_broken_line_is_named(tmp_path, row, says):
    path = write(tmp_path / "a.jsonl", article_row(5, "en", "Fine", "x"), row)
    with pytest.raises(CorpusError, match=says) as caught:
        list(read_articles(path))
    assert f"{path}:2" in str(caught.value) and caught.value.fix


def test_duplicate_ids_name_both_lines(tmp_path):
    path = write(tmp_path / "a.jsonl", GOOD, GOOD)
    with pytest.raises(CorpusError, match=r":2 \(id 'a1'\): duplicate id: line 1 has it"):
        list(read_articles(path))


def test_missing_and_truncated_files(tmp_path):
    with pytest.raises(CorpusError, match="no corpus file"):
        list(read_articles(tmp_path / "none.jsonl"))
    path = write(tmp_path / "a.jsonl.gz", *(article_row(i, "en", "T", "x") for i in range(50)))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CorpusError, match="cannot be read after line"):
        list(read_articles(path))


def ten_lines(tmp_path):
    """Six articles, a page without content and three broken lines: 3, 5 and 9."""
    rows = [article_row(number, "en", "T", "x") for number in range(10)]
    rows[2] = "{not json"
    rows[4] = {**rows[4], "id": "a1"}
    rows[6]["content"] = ""
    rows[8] = {**rows[8], "url": "nowhere"}
    return write(tmp_path / "a.jsonl", *rows)


def test_broken_lines_are_left_out_listed_and_counted_by_kind(tmp_path):
    path, said = ten_lines(tmp_path), []
    reader = read_articles(path, max_broken=3, progress=said.append)
    assert [article.id for article in reader] == ["a0", "a1", "a3", "a5", "a7", "a9"]
    assert (reader.read, reader.skipped) == (6, 1)
    assert reader.broken == {"not_json": 1, "duplicate_id": 1, "bad_url": 1}
    assert [line.split(":")[2].split(" ")[0] for line in said] == ["3", "5", "9"]
    assert said[1] == f"left out: {path}:5 (id 'a1'): duplicate id: line 2 has it already."


def test_reading_stops_at_the_first_line_too_many(tmp_path):
    path, found = ten_lines(tmp_path), []
    with pytest.raises(
        CorpusError, match=r"a\.jsonl:5 .*makes 2 broken lines \(1 not_json, 1 duplicate_id\)"
    ) as caught:
        found.extend(article.id for article in read_articles(path, max_broken=1))
    assert "more than the 1 allowed" in str(caught.value)
    assert len(list(read_articles(path, max_broken=None))) == 6


@pytest.mark.parametrize("share, allowed", [(0.0, False), (0.29, False), (0.3, True), (0.999, True)])
def test_a_share_counts_against_all_lines(tmp_path, share, allowed):
    reader = read_articles(ten_lines(tmp_path), max_broken=share)
    if allowed:
        assert len(list(reader)) == 6
    else:
        says = rf"3 of 10 lines are broken \(1 not_json, .*\), more than the {share:.0%} of all"
        with pytest.raises(CorpusError, match=says):
            list(reader)


@pytest.mark.parametrize("limit", [-1, -0.1, 1.0, 2.5, float("nan"), float("inf"), True])
def test_limits_that_mean_nothing_are_refused(tmp_path, limit):
    with pytest.raises(ValueError, match="max_broken is"):
        read_articles(tmp_path / "a.jsonl", max_broken=limit)


def test_a_broken_line_does_not_take_its_id_with_it(tmp_path):
    path = write(tmp_path / "a.jsonl", {**GOOD, "content": 3}, GOOD)
    assert [article.id for article in read_articles(path, max_broken=1)] == ["a1"]


def test_only_the_first_broken_lines_are_listed(tmp_path):
    path, said = write(tmp_path / "a.jsonl", *["x"] * 100, GOOD), []
    reader = read_articles(path, max_broken=100, progress=said.append)
    assert len(list(reader)) == 1 and reader.broken == {"not_json": 100}
    assert len(said) == 21 and "no longer listed" in said[-1]
