"""Charts → SVG that stands inside the page, coloured by its style sheet.

`vl-convert` compiles and draws Vega-Lite without a browser and without the network. Its
colours here are the page's CSS variables, so that one drawing serves light, dark and
print. Each chart is drawn twice, for wide and for narrow screens; the style sheet shows one.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup
from tqdm import tqdm

from m4rag_tasks.report.charts import Chart
from m4rag_tasks.report.vega import specification

_VERSION = "5.20"
# Marks only: rows have their labels to the left.
_WIDTHS = {True: 350, False: 200}
_WIDTHS_WITHOUT_LABELS = {True: 440, False: 245}
_NAMESPACES = re.compile(r' xmlns(:\w+)?="[^"]*"')


@dataclass(frozen=True)
class Drawing:
    """One chart as two SVG elements."""

    caption: str
    wide: Markup
    narrow: Markup


def draw_all(charts: Sequence[Chart]) -> list[Drawing]:
    """All charts, with a progress bar on a terminal where it takes a while."""
    return [draw(chart) for chart in tqdm(charts, desc="charts", unit="chart", delay=2, disable=None)]


def draw(chart: Chart) -> Drawing:
    """The chart as SVG; each mark carries its number as a title."""
    wide, narrow = (
        _svg(json.dumps(specification(chart, width, wide), sort_keys=True), chart.label)
        for wide, width in (_WIDTHS if chart.form in ("rows", "shares") else _WIDTHS_WITHOUT_LABELS).items()
    )
    return Drawing(chart.caption, wide, narrow)


@functools.lru_cache(maxsize=256)
def _svg(spec: str, label: str) -> Markup:
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(json.loads(spec), vl_version=_VERSION)
    # In HTML, an SVG element needs no namespace; what is parsed is our own drawing.
    root = ElementTree.fromstring(_NAMESPACES.sub("", drawn))
    for element in root.iter():
        _tell(element)
    root.set("role", "img")
    root.set("aria-label", label)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _tell(element: ElementTree.Element) -> None:
    """The drawing is one image to a reader of screens; to a pointer, marks say their numbers."""
    told = element.get("aria-label")
    is_mark = element.get("role") == "graphics-symbol" and element.get("aria-roledescription") not in ("axis", "legend")
    for name in ("role", "aria-label", "aria-roledescription", "aria-hidden"):
        element.attrib.pop(name, None)
    if is_mark and told:
        title = ElementTree.SubElement(element, "title")
        title.text = told
