"""The page in a real browser: what a reader can do with it, and that nothing goes wrong on the way."""

from __future__ import annotations

import csv
import io
import itertools
import shutil

import pytest
from PIL import Image

from m4rag_tasks import suite
from m4rag_tasks.report import compare, write_report

from . import make_run as make
from . import rich_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    picture = folder / "picture.png"
    Image.radial_gradient("L").resize((600, 400)).save(picture)
    runs, grades = rich_run.write(folder)
    # One variety that cannot be averaged, so that remarks and dashed cells are looked at too.
    broken = [make.record(n, "hi", "mmrag", None if n < 2 else 1, dataset="wc") for n in range(rich_run.QUESTIONS)]
    make.write_task(runs, "mmrag", "hi", broken, "org/model-3b")
    names = suite.language_names()
    path, _ = write_report([runs], folder / "report", lambda *_: picture, names, grades=[grades])
    return path


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, report):
    """Opens the page from disk, without a network; fails on whatever the browser complains of."""
    contexts = []

    def open_page(width=1280, path=report, **options):
        context = browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.asked_for = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.asked_for.append(request.url.partition(",")[0]))
        page.path = path
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            assert page.complaints == []
            assert {url for url in page.asked_for if not url.startswith("data:image/")} == {page.path.as_uri()}
        context.close()


def column(table, place):
    return table.locator("tbody tr").evaluate_all(f"rows => rows.map(row => row.cells[{place}].dataset.sort)")


def test_tables_are_sorted_by_their_headers(opened):
    page = opened()
    table = page.locator("#settings table").first
    heads = table.locator("thead th").all_inner_texts()
    place = next(number for number, head in enumerate(heads) if head.startswith("Macro"))
    button = table.locator("thead th").nth(place).locator("button")
    button.click()
    falling = column(table, place)
    assert falling == sorted(falling, key=float, reverse=True) and len(set(falling)) > 1
    assert table.locator("thead th").nth(place).get_attribute("aria-sort") == "descending"
    button.press("Enter")
    assert column(table, place) == falling[::-1] or column(table, place) == sorted(falling, key=float)
    assert table.locator("thead th").nth(place).get_attribute("aria-sort") == "ascending"


def test_one_language_is_shown_alone_and_all_again(opened):
    page = opened()
    rows = page.locator("#languages table").first.locator("tbody tr")
    assert rows.count() == len(make.QUESTION)
    page.locator("#language").select_option("hi")
    assert [row.get_attribute("data-language") for row in rows.all() if row.is_visible()] == ["hi"]
    shown = [example for example in page.locator(".example").all() if example.is_visible()]
    assert shown and {example.get_attribute("data-language") for example in shown} == {"hi"}
    assert "rows and examples by language shown" in page.get_by_role("status").inner_text()
    low = page.locator("#language optgroup").first.locator("option", has_text="low")
    page.locator("#language").select_option(low.get_attribute("value"))
    assert [row.get_attribute("data-language") for row in rows.all() if row.is_visible()] == ["am"]
    page.locator("#language").select_option("")
    assert all(row.is_visible() for row in rows.all())


def test_tables_are_downloaded_as_csv(opened, report):
    page = opened()
    links = page.locator("a[download]")
    assert links.count() == len(list((report.parent / "tables").glob("*.csv"))) >= 20
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download as CSV: Accuracy by setting").click()
    assert caught.value.suggested_filename == "settings.csv"
    content = caught.value.path().read_text(encoding="utf-8")
    assert content == (report.parent / "tables" / "settings.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(content)))
    assert len(rows) == 18 and 0 < float(rows[0]["macro_low"]) < float(rows[0]["macro"]) < 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_until_the_switch(opened, scheme):
    page = opened(color_scheme=scheme)

    def brightness(what="body", name="backgroundColor"):
        colour = page.locator(what).first.evaluate(f"node => getComputedStyle(node).{name}")
        return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])

    dark = scheme == "dark"
    assert (brightness() < 200) == dark
    assert (brightness("svg text", "fill") > 400) == dark
    switch = page.get_by_role("button", name="Dark")
    assert switch.get_attribute("aria-pressed") == str(dark).lower()
    switch.press("Space")
    assert (brightness() < 200) != dark
    assert (brightness("svg text", "fill") > 400) != dark
    assert switch.get_attribute("aria-pressed") == str(not dark).lower()


def test_print_is_light_whole_and_without_buttons(opened):
    page = opened(color_scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("body").evaluate("node => getComputedStyle(node).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in (".tools", "nav", ".download"):
        assert not page.locator(hidden).first.is_visible()
    cut = "nodes => nodes.filter(node => node.clientHeight > 0 && getComputedStyle(node).overflowY != 'visible').length"
    assert page.locator(".scroll").evaluate_all(cut) == 0
    assert len(page.pdf()) > 20_000


def test_charts_say_their_numbers(opened):
    page = opened()
    svg = page.locator(".drawing.wide svg").first
    mark = svg.locator("[data-tip^='No retrieval: ']").last
    assert mark.get_attribute("data-tip") in svg.get_attribute("aria-label")
    mark.hover(force=True)
    tip = page.locator(".tip")
    assert tip.is_visible() and tip.inner_text() == mark.get_attribute("data-tip")
    page.mouse.move(2, 2)
    assert not tip.is_visible()
    value = mark.get_attribute("data-tip").split()[2]
    assert value in svg.locator("text").all_text_contents()


def test_focus_goes_through_the_page_in_reading_order(opened):
    page = opened()
    where = """() => {
      const focused = document.activeElement;
      return [focused.tagName, focused.id, Math.round(focused.getBoundingClientRect().top + scrollY)];
    }"""
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(where))
    tags = [tag for tag, *_ in seen]
    links = page.locator("nav a").count()
    assert tags[:links] == ["A"] * links
    assert [id_ for _, id_, _ in seen[links : links + 2]] == ["language", "theme"]
    assert "BODY" not in tags
    tops = [top for _, _, top in seen[links + 2 :]]
    # Within a row of headers the order is from left to right, at most some pixels up and down.
    assert all(later >= earlier - 60 for earlier, later in itertools.pairwise(tops))
    focused = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert focused == "solid"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_accessibility_has_no_serious_findings(opened, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_of_a_comparison_is_as_sound(opened, report, tmp_path, width):
    from axe_playwright_python.sync_playwright import Axe

    runs = report.parent.parent / "runs"
    names = suite.language_names()
    _, path = compare(runs / "org__model-7b", runs / "org__model-32b", names, tmp_path / "compared")
    page = opened(width, path)
    assert Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#language").select_option("hi")
    rows = [row for row in page.locator("#flips tbody tr").all() if row.is_visible()]
    assert rows and {row.get_attribute("data-language") for row in rows} == {"hi"}


def test_a_phone_scrolls_down_only_and_draws_narrow_charts(opened):
    page = opened(390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".drawing.narrow").first.is_visible()
    assert not page.locator(".drawing.wide").first.is_visible()
    small = "nodes => nodes.map(node => node.getBoundingClientRect().height).filter(height => height > 0 && height < 8)"
    assert page.locator(".drawing.narrow svg text").evaluate_all(small) == []


def test_scripts_run_from_right_to_left_where_they_do(opened):
    page = opened()
    page.locator("#language").select_option("ar")
    question = page.locator(".example:visible .question").first
    assert question.evaluate("node => [node.lang, getComputedStyle(node).direction]") == ["ar", "rtl"]


def test_without_scripts_everything_is_there_to_read(opened):
    page = opened(java_script_enabled=False)
    assert not page.locator(".tools").is_visible()
    assert page.locator("#settings table").first.is_visible()
    assert page.locator(".drawing.wide svg").first.is_visible()
    assert page.locator(".drawing.wide svg title").count() > 4
    with page.expect_download() as caught:
        page.locator("a[download='changes.csv']").click()
    assert caught.value.path().read_text(encoding="utf-8").startswith("model,dataset,setting,against,retention")
