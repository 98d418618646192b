"""What changed, as sections with tables and charts, and as lines for the terminal."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from m4rag_tasks.analysis import holm
from m4rag_tasks.metrics import Difference
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.compare.differences import Changed, adjusted
from m4rag_tasks.report.data_table import Column, DataTable, Row, shown
from m4rag_tasks.report.runs import Run
from m4rag_tasks.report.samples import Exchange, read_exchange
from m4rag_tasks.report.sections import Section
from m4rag_tasks.report.titles import AXIS_TITLES, value_title

DIFFERENCE = Column("difference", "B − A, points", "points", True)
CLEAR = 0.05
_TESTS = (
    Column("p", "p", "p"),
    Column("p_adjusted", "p adjusted", "p"),
    Column("gained", "Right in B alone", "count"),
    Column("lost", "Right in A alone", "count"),
)
_TITLE = Column("title", "Run")
_QUOTED = 20
_CUT = 240
_PAIRED = (
    "B minus A on the same questions, paired by question; intervals and p values are clustered by image, p adjusted "
    "is Holm’s over the rows of"
)


def sections(found: Sequence[Changed], names: Mapping[str, str]) -> list[Section]:
    """Overall, by variety, along the other axes, and the questions that changed sides."""
    return [_overall(found), _languages(found, names), _axes(found, names), _flips(found, names)]


def overall_table(found: Sequence[Changed]) -> DataTable:
    """One row per pair of runs."""
    accuracy = (Column("a", "A, %", "percent", True), Column("b", "B, %", "percent", True))
    columns = (_TITLE, *accuracy, DIFFERENCE, *_TESTS, Column("varieties", "Varieties", "count"))
    rows = []
    for one, p in zip(found, adjusted(found), strict=True):
        figures = _figures(one.by_language.overall, p)
        rows.append(Row((one.pair.title, one.accuracy_a, one.accuracy_b, *figures, len(one.by_language.rows))))
    return DataTable("compared", "Overall, mean over varieties", columns, tuple(rows))


def clear_changes(found: Sequence[Changed], names: Mapping[str, str]) -> list[str]:
    """A line per variety, or value of another axis, that clearly changed."""
    lines = []
    for one in found:
        for row in one.by_language.rows:
            if row.significant:
                told = shown(DIFFERENCE, row.difference.estimate)
                lines.append(f"{one.pair.title}, {names.get(row.language, row.language)}: {told}")
        for part in one.parts:
            if part.adjusted_p is not None and part.adjusted_p < CLEAR:
                where = f"{AXIS_TITLES[part.axis].lower()} {value_title(part.axis, part.value, names)}"
                lines.append(f"{one.pair.title}, {where}: {shown(DIFFERENCE, part.difference.estimate)}")
    return lines


def _overall(found: Sequence[Changed]) -> Section:
    table = overall_table(found)
    marks = tuple(
        Mark.of(one.pair.title, one.by_language.overall.estimate, "rag", _told(one.pair.title, one.by_language.overall))
        for one in found
    )
    charts = (_chart("Overall difference, in points, with 95 % intervals.", marks),)
    return Section("overall", "What changed", f"{_PAIRED} this table.", charts, (table,))


def _languages(found: Sequence[Changed], names: Mapping[str, str]) -> Section:
    columns = (
        _TITLE,
        Column("language", "Variety", hidden=True),
        Column("name", "Language variety"),
        DIFFERENCE,
        *_TESTS,
    )
    rows = tuple(
        Row(
            (
                one.pair.title,
                row.language,
                names.get(row.language, row.language),
                *_figures(row.difference, row.adjusted_p),
            ),
            row.language,
        )
        for one in found
        for row in sorted(one.by_language.rows, key=lambda row: row.difference.estimate.value)
    )
    charts = tuple(_language_chart(one, names) for one in found if len(one.by_language.rows) > 1)
    resources = tuple(row for one in found for row in _resources(one))
    tables = [DataTable("compared_by_language", "By language variety", columns, rows)]
    if resources:
        heads = (_TITLE, Column("resource", "Resource class"), DIFFERENCE, *_TESTS)
        tables.append(DataTable("compared_by_resource", "By resource class, mean over its varieties", heads, resources))
    return Section(
        "languages", "Languages", f"{_PAIRED} one pair of runs, varieties and classes apart.", charts, tuple(tables)
    )


def _resources(one: Changed) -> Iterator[Row]:
    classes = one.by_language.resources
    tests = holm([difference.p_value for difference in classes.values()])
    for (name, difference), p in zip(classes.items(), tests, strict=True):
        yield Row((one.pair.title, name, *_figures(difference, p)))


def _language_chart(one: Changed, names: Mapping[str, str]) -> Chart:
    ordered = sorted(one.by_language.rows, key=lambda row: -row.difference.estimate.value)
    titles = [(names.get(row.language, row.language), row.difference) for row in ordered]
    marks = tuple(Mark.of(name, difference.estimate, "rag", _told(name, difference)) for name, difference in titles)
    return _chart(f"{one.pair.title}: difference by variety, in points.", marks)


def _axes(found: Sequence[Changed], names: Mapping[str, str]) -> Section:
    columns = (_TITLE, Column("axis", "Axis"), Column("value", "Value"), DIFFERENCE, *_TESTS)
    rows = tuple(
        Row(
            (
                *(one.pair.title, AXIS_TITLES[part.axis], value_title(part.axis, part.value, names)),
                *_figures(part.difference, part.adjusted_p),
            )
        )
        for one in found
        for part in one.parts
    )
    tables = (
        (DataTable("compared_by_axis", "By country, category, register and prompt type", columns, rows),)
        if rows
        else ()
    )
    missing = () if rows else ("The records tell no further axis along which questions differ.",)
    intro = f"{_PAIRED} one axis. Every question counts the same here."
    return Section("axes", "Countries, categories, prompt types", intro, (), tables, missing)


def _flips(found: Sequence[Changed], names: Mapping[str, str]) -> Section:
    columns = (
        _TITLE,
        Column("question_id", "Question"),
        Column("language", "Variety", hidden=True),
        Column("name", "Language variety"),
        Column("change", "Change"),
        Column("question", "In full", "quote"),
        Column("right", "Right answer", "quote"),
        Column("said_a", "A said", "quote"),
        Column("said_b", "B said", "quote"),
    )
    rows = tuple(row for one in found for row in _quoted(one, names))
    more = f"Of each pair at most {_QUOTED} are quoted, gained and lost in turn, languages in turn, chosen by a digest."
    tables = (DataTable("compared_flips", "Questions that changed sides", columns, rows, more),) if rows else ()
    missing = () if rows else ("No question was answered right on one side alone.",)
    intro = "They illustrate; how many there are is in the first table."
    return Section("flips", "Examples", intro, (), tables, missing)


def _quoted(one: Changed, names: Mapping[str, str]) -> Iterator[Row]:
    languages = {record["question_id"]: record["language"] for record in one.pair.records_b}
    for question_id, change in _in_turn(one, languages):
        said = [_exchange(run, question_id) for run in (one.pair.a, one.pair.b)]
        record, language = said[1].record, languages[question_id]
        golds = record.get("references") or {}
        right = golds.get("single") or record["options"][record["gold"] - 1]
        quotes = (record["question"], right, *(exchange.response for exchange in said))
        where = (one.pair.title, question_id, language, names.get(language, language), change)
        worded_in = str(record.get("base_language") or language)
        yield Row((*where, *map(_shortened, quotes)), language, worded_in)


def _in_turn(one: Changed, languages: Mapping[str, str]) -> list[tuple[str, str]]:
    """Ids with their change, kinds and languages in turn, among equals by a digest of the id."""
    waiting = {"gained": sorted(one.gained, key=_digest), "lost": sorted(one.lost, key=_digest)}
    used: Counter[str] = Counter()
    picked: list[tuple[str, str]] = []
    while len(picked) < _QUOTED and any(waiting.values()):
        for change, ids in waiting.items():
            if ids and len(picked) < _QUOTED:
                chosen = min(ids, key=lambda question_id: used[languages[question_id]])
                ids.remove(chosen)
                used[languages[chosen]] += 1
                picked.append((chosen, change))
    return picked


def _exchange(run: Run, question_id: str) -> Exchange:
    place = run.places[question_id]
    return read_exchange(place.path, place.offset)


def _digest(question_id: str) -> str:
    return hashlib.sha256(question_id.encode(errors="backslashreplace")).hexdigest()


def _shortened(text: str) -> str:
    """The end of a long text: that is where an answer stands."""
    return text if len(text) <= _CUT else f"… {text[-_CUT:]}"


def _figures(difference: Difference, p: float | None) -> tuple[object, ...]:
    return difference.estimate, difference.p_value, p, difference.only_a, difference.only_b


def _told(name: str, difference: Difference) -> str:
    return f"{name}: {shown(DIFFERENCE, difference.estimate)}"


def _chart(text: str, marks: tuple[Mark, ...]) -> Chart:
    label = f"{text} {'; '.join(mark.tip for mark in marks)}"
    return Chart("rows", label, text, "B − A, points", marks, rule=0.0)
