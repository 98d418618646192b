"""The page: sound HTML, nothing from outside, nothing from the data unescaped."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from m4rag_tasks import suite
from m4rag_tasks.report import write_report
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.drawing import draw
from m4rag_tasks.report.findings.groups import by_number
from m4rag_tasks.report.html import render
from m4rag_tasks.report.panels import panels
from m4rag_tasks.report.pictures import data_uri
from m4rag_tasks.report.tables import build_report
from m4rag_tasks.report.vega import _looks

from . import make_run as make

NAMES = {"am": "Amharic", "ar": "Arabic", "en": "English", "hi": "Hindi", "ko_formal": "Korean (formal)"}
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Checker(HTMLParser):
    """Notes every element and attribute; fails on a tag that closes what is not open."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> at line {self.getpos()[0]} closes another element"


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker


@pytest.fixture
def runs(tmp_path):
    scores = {code: [1, 0, 1, 0] for code in make.QUESTION}
    flipped = {code: [0, 1, 1, 0] for code in make.QUESTION}
    broken = {**flipped, "hi": [None, 1, 1, 0]}
    make.write_run(tmp_path / "runs", {"norag": scores, "mmrag": flipped, "oracle": broken})
    make.write_run(tmp_path / "runs", {"norag": scores, "textrag_caption": flipped}, model="org/other")
    return tmp_path / "runs"


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "picture.png"
    Image.radial_gradient("L").resize((900, 600)).save(path)
    return path


@pytest.fixture
def page(runs, tmp_path, image):
    path, _ = write_report([runs], tmp_path / "report", lambda *_: image, NAMES)
    return path.read_text(encoding="utf-8")


def test_well_formed_with_unique_ids(page):
    ids = [attrs["id"] for _, attrs in checked(page).found if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="#([^"]+)"', page)
    assert links
    assert set(links) <= set(ids)


def test_nothing_is_loaded_from_outside(page):
    for tag, attrs in checked(page).found:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert re.match(
                r"data:image/(png|jpeg);base64,|data:text/csv;charset=utf-8;base64,|#", attrs.get(name) or "#"
            ), (tag, attrs)
    assert not re.search(r"url\(|@import|https?://", page)


def test_only_the_pages_own_script_may_run(page):
    (policy,) = [attrs["content"] for tag, attrs in checked(page).found if tag == "meta" and "http-equiv" in attrs]
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_repaired_and_broken_questions_are_counted_on_the_page(page):
    # In each of six languages one question became right and one wrong.
    assert '<span class="up">+6</span><br><span class="down">−6</span>' in page
    assert "McNemar 1.000" in page


def test_tables_can_be_sorted_by_keyboard_and_scroll_in_place(page):
    found = checked(page).found
    assert any(tag == "button" and attrs.get("type") == "button" for tag, attrs in found)
    regions = [attrs for _, attrs in found if (attrs.get("class") or "").split()[:1] == ["scroll"]]
    assert len(regions) >= page.count("<table") > 0
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)


def test_text_of_the_data_knows_its_language_and_direction(page):
    questions = [attrs for tag, attrs in checked(page).found if tag == "p" and attrs.get("class") == "question"]
    assert {attrs["lang"] for attrs in questions} >= {"am", "ar", "hi", "ko", "zh"}
    assert all(attrs["dir"] == "auto" for attrs in questions)
    assert make.QUESTION["ar"] in page
    assert "Korean (formal)" in page


def test_numbers_stand_in_the_heat_map_as_text(page):
    cells = re.findall(r'<td class="cell[^>]*><b>([\d.]+)</b>', page)
    assert cells
    assert set(cells) <= {"50.0", "66.7"}
    assert "1 of 4 requests failed" in page


def test_missing_partner_is_said_on_the_page(page):
    assert "no oracle run" in page


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"


def test_everything_from_the_data_is_escaped(tmp_path):
    for setting, score in (("norag", 0), ("mmrag", 1)):
        one = make.record(
            1,
            "en",
            setting,
            score,
            question=HOSTILE,
            options=[HOSTILE] * 2,
            image_id=HOSTILE,
            country=HOSTILE,
            category=HOSTILE,
            retriever=HOSTILE,
            context=HOSTILE,
            image=HOSTILE,
            template=HOSTILE,
            cache=HOSTILE,
            passages=[{"id": HOSTILE, "title": HOSTILE, "rank": HOSTILE, "score": HOSTILE}],
        )
        two = make.record(2, "en", setting, score, country="B", category="C", options=["a", "b"])
        make.write_task(tmp_path / "runs", setting, "en", [{**one, "response": HOSTILE}, two])
    make.write_results(tmp_path / "runs", {}, model_args=HOSTILE, limit=HOSTILE)
    results = next((tmp_path / "runs").rglob("*_results.json"))
    results.write_text(results.read_text().replace('"org/model-7b"', '"<script>alert(3)</script>"'), encoding="utf-8")
    path, _ = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, {"en": HOSTILE})
    page = path.read_text(encoding="utf-8")
    found = checked(page).found
    assert [tag for tag, _ in found].count("script") == 1
    assert not [attrs for tag, attrs in found if tag == "img" or any(name.startswith("on") for name in attrs)]
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7 * 7 }}" in page


def test_language_code_cannot_leave_its_attribute(tmp_path):
    record = {**make.record(1, "en", "norag", 1), "language": 'en" onclick="x'}
    make.write_task(tmp_path / "runs", "norag", "en", [record])
    path, _ = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, {})
    assert not [attrs for _, attrs in checked(path.read_text(encoding="utf-8")).found if "onclick" in attrs]


def test_macro_over_country_language_subsets_is_explained(tmp_path):
    for dataset, language in (("cvqa", "es_chile"), ("wc", "es")):
        make.write_run(tmp_path / dataset, {"norag": {language: [1, 0]}}, changes={"dataset": dataset})
        write_report([tmp_path / dataset], tmp_path / f"{dataset}-report", lambda *_: None, {})
    told = "CVQA: a language variety is one of its country-language subsets, and macro is the mean over these"
    assert told in (tmp_path / "cvqa-report" / "report.html").read_text(encoding="utf-8")
    assert "country-language" not in (tmp_path / "wc-report" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("variants", "base", "verdict"),
    [
        (["", "enprompt"], 0.25, "1 clearly better"),
        (["enprompt"], 0.75, "0 clearly better"),
        (["localctx", ""], 0.25, "1 clearly better"),
    ],
)
def test_a_panel_is_set_against_no_retrieval_in_the_plain_variant_where_it_was_run(tmp_path, variants, base, verdict):
    for number, variant in enumerate(variants):
        norag, changes = [0, 0, 0, 1] if variant == "" else [1, 1, 1, 0], {"dataset": "wc", "variant": variant}
        scores = {"norag": {"cs": norag * 9}, "mmrag": {"cs": [1, 1, 1, 0] * 9}}
        make.write_run(tmp_path / "runs", scores, date=f"2026030{number + 1}_120000", changes=changes)
    path, report = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, {})
    (panel,) = panels(report)
    assert panel.chart.rule == pytest.approx(base)
    assert panel.verdict.startswith(f"Of 1 retrieval setting, {verdict}")
    assert panel.verdict in path.read_text(encoding="utf-8")


def test_a_page_of_many_varieties_and_variants_is_sound(tmp_path):
    for number, (dataset, variant) in enumerate([("cvqa", ""), ("cvqa", "en"), ("cvqa", "localctx"), ("wc", "")]):
        codes = suite.own_codes(suite.DATASETS[dataset]).values()
        settings = ("oracle",) if variant == "localctx" else ("norag", "oracle", "mmrag")
        scores = {setting: {code: [1, 0, 1] for code in codes} for setting in settings}
        changes = {"dataset": dataset, "variant": variant}
        make.write_run(tmp_path / "runs", scores, date=f"2026030{number + 1}_120000", changes=changes)
    names = {language.code: language.name for language in suite.languages().values()}
    path, report = write_report([tmp_path / "runs"], tmp_path / "report", lambda *_: None, names)
    page = path.read_text(encoding="utf-8")
    found = checked(page).found
    regions = [attrs["class"].split() for _, attrs in found if (attrs.get("class") or "").split()[:1] == ["scroll"]]
    assert len(regions) == page.count("<table")
    assert ["scroll", "tall"] in regions
    assert "<dt>Variants</dt><dd>3</dd>" in page
    assert "<dt>Language varieties</dt><dd>69</dd>" in page
    assert len(report.settings) == 3 + 1 + 3 + 3


def test_empty_report_renders(tmp_path):
    checked(render(build_report([])))


@pytest.mark.parametrize(
    "image_id", ["../../etc/passwd", "/etc/passwd", "..\\x", "C:\\x.png", "a\0b", "", ".", "./", "/", "\\"]
)
def test_image_ids_that_climb_out_are_never_looked_up(image_id):
    def find_image(*_):
        raise AssertionError("looked up")

    assert data_uri(find_image, "mini", image_id) is None


def test_images_are_made_small_and_broken_ones_left_out(tmp_path, image):
    uri = data_uri(lambda *_: image, "mini", "images/1.png")
    assert uri.startswith("data:image/")
    assert len(uri) < image.stat().st_size * 2
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert data_uri(lambda *_: tmp_path / "broken.png", "mini", "images/1.png") is None
    assert data_uri(lambda *_: tmp_path / "absent.png", "mini", "images/1.png") is None
    assert data_uri(lambda *_: {}["unknown data set"], "mini", "images/1.png") is None


def test_long_names_stand_whole_in_a_legend():
    names = ["Text RAG, captions (open-ended, English prompt, context in the question's language)", "Oracle context"]
    marks = tuple(Mark(at, 0.5, name, "told") for at in ("1", "2") for name in names)
    drawing = draw(Chart("steps", "label", "caption", "Rate, %", marks, steps=("1", "2")))
    for svg in (drawing.wide, drawing.narrow):
        shown = " ".join(re.findall(r"<t(?:ext|span)[^>]*>([^<]+)<", svg))
        assert all(name in shown for name in names)


def test_steps_stand_in_their_order_though_the_first_series_lacks_some():
    places = {"first": ["1", "4", "none"], "second": ["1", "2", "10", "none"]}
    marks = tuple(Mark(at, 0.5, name, "told") for name, several in places.items() for at in several)
    svg = draw(Chart("steps", "label", "caption", "Rate, %", marks, steps=by_number(marks))).wide
    assert re.findall(r"<text[^>]*>([^<]+)</text>", svg)[:5] == ["1", "2", "4", "10", "none"]


def test_series_of_one_colour_have_different_shapes():
    colours, shapes = _looks([f"setting {number}" for number in range(20)], True).values()
    assert len(set(zip(colours["scale"]["range"], shapes["scale"]["range"], strict=True))) == 20
