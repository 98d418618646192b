"""What the model was shown: how often the answer stands there, and whether its place matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from m4rag_tasks.analysis import Leak, LeakAudit, PassagePosition, Positions, answer_positions, leak_audit
from m4rag_tasks.analysis import passage_positions as by_passage
from m4rag_tasks.errors import RunError
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.data_table import Column, DataTable, Row, shown
from m4rag_tasks.report.examples import BASE_SETTING
from m4rag_tasks.report.findings.groups import VARIETY, Group, by_number, caption, is_who, who
from m4rag_tasks.report.findings.retained import NO_ANSWERS
from m4rag_tasks.report.sections import Section

_SHARE = Column("share", "Share, %", "percent", True)
_LEAKS = (
    ("passages", "Answer in a passage, %"),
    ("first", "In the first, %"),
    ("wrong_options", "Wrong options in a passage, %"),
    ("context", "Answer in the context, %"),
    ("query", "Answer in the query, %"),
)
_LEAKS_INTRO = (
    "How often the right answer stands, word for word, in what the model was shown, and in what was searched with. A "
    "short answer may stand there by chance: the share of the wrong options that do is given beside it. The oracle "
    "context and queries made from it may hold the answer; a caption that was written without knowing it should not."
)
_POSITIONS_INTRO = (
    "Does the place matter? By the position of the right option among the options: accuracy, and how often each "
    "position was chosen beside how often a model without bias would choose it (the test is for all positions "
    "together, clustered by image). By the rank of the first passage in which the answer stands: accuracy, and what "
    "retrieval gained there."
)


def leaks(among: Sequence[Group], names: Mapping[str, str]) -> Section:
    """The audit over all varieties, and by variety."""
    audits = [(group, leak_audit(_searching(group))) for group in among if _searching(group)]
    columns = (
        Column("questions", "Questions", "count"),
        *(Column(key, title, "percent", True) for key, title in _LEAKS),
    )
    overall = tuple(_leak(group, row) for group, audit in audits for row in audit.overall if _says(row))
    parts = tuple(
        _leak(group, row, names) for group, audit in audits for row in audit.rows if row.language and _says(row)
    )
    by_variety = (*who(among), Column("language", "Variety", hidden=True), VARIETY, *columns)
    tables = (
        DataTable("leaks", "Where the answer stands", (*who(among), *columns), overall),
        DataTable("leaks_by_variety", "Where the answer stands, by variety", by_variety, parts, most=400),
    )
    charts = tuple(chart for group, audit in audits if (chart := _leak_chart(group, audit, among)))
    silent = [f"{group.told}, {group.title(name)}" for group, audit in audits for name in audit.silent]
    missing = [f"{NO_ANSWERS} ({'; '.join(silent)})"] if silent else []
    if not audits:
        missing.append("No setting that shows passages or a context was run, so nothing can leak.")
    kept = tuple(table for table in tables if table.rows)
    return Section("leaks", "Leak audit", _LEAKS_INTRO, charts, kept, tuple(missing))


def _searching(group: Group) -> dict[str, object]:
    return {name: run for name, run in group.columns.items() if group.runs[name].setting != BASE_SETTING}


def _says(row: Leak) -> bool:
    return any(getattr(row, key) is not None for key, _ in _LEAKS)


def _leak(group: Group, row: Leak, names: Mapping[str, str] | None = None) -> Row:
    variety = () if names is None else (row.language, names.get(row.language, row.language))
    return Row(
        (*is_who(group, row.setting), *variety, row.questions, *(getattr(row, key) for key, _ in _LEAKS)), row.language
    )


def _leak_chart(group: Group, audit: LeakAudit, among: Sequence[Group]) -> Chart | None:
    series = {
        "passages": "right answer in a passage",
        "wrong_options": "wrong options in a passage",
        "context": "right answer in the context",
    }
    marks = tuple(
        Mark.of(
            group.title(row.setting), estimate, name, f"{group.title(row.setting)}, {name}: {shown(_SHARE, estimate)}"
        )
        for row in audit.overall
        for key, name in series.items()
        if (estimate := getattr(row, key)) is not None
    )
    if not marks:
        return None
    text = "Share of questions for which it stands in what was shown, in %, mean over varieties."
    label = f"{group.told}: {text} {'; '.join(mark.tip for mark in marks)}"
    return Chart("rows", label, caption(text, group, among), "Questions, %", marks, domain=(0.0, 1.0))


# --- positions --------------------------------------------------------------


def positions(among: Sequence[Group]) -> Section:
    """By the position of the right option, and by the rank of the passage with the answer."""
    options = [(group, name, found) for group in among for name, found in _option_positions(group)]
    passages = [(group, name, found) for group in among for name, found in _passage_positions(group)]
    tables = [*_option_tables(among, options), *_passage_tables(among, passages)]
    charts = [chart for group in among for chart in _position_charts(group, options, passages, among)]
    missing = []
    if not options:
        missing.append("No multiple-choice question was answered, so options have no positions to look at.")
    if not passages:
        searched = any(group.retrieving for group in among)
        missing.append(f"By passage: {NO_ANSWERS}" if searched else "By passage: no retrieval setting was run.")
    return Section("positions", "Position effects", _POSITIONS_INTRO, tuple(charts), tuple(tables), tuple(missing))


_Options = list[tuple[Group, str, Positions]]
_Passages = list[tuple[Group, str, tuple[PassagePosition, ...]]]


def _option_positions(group: Group) -> Iterator[tuple[str, Positions]]:
    for name, run in group.columns.items():
        try:
            yield name, answer_positions(run)
        except RunError:
            # Open-ended, or nothing understood: the section says what is missing.
            continue


def _passage_positions(group: Group) -> Iterator[tuple[str, tuple[PassagePosition, ...]]]:
    for name in group.retrieving:
        base = group.base(name)
        try:
            yield name, by_passage(group.columns[name], group.columns[base] if base else None)
        except RunError:
            continue


def _option_tables(among: Sequence[Group], options: _Options) -> Iterator[DataTable]:
    if not options:
        return
    tests = (
        Column("chi2", "χ²", "number"),
        Column("freedom", "Degrees of freedom", "count"),
        Column("p", "p", "p"),
        Column("invalid", "Not understood", "count"),
    )
    rows = tuple(
        Row((*is_who(group, name), found.chi2, found.freedom, found.p_value, found.invalid))
        for group, name, found in options
    )
    yield DataTable("position_bias", "Bias to positions of options", (*who(among), *tests), rows)
    columns = (
        Column("position", "Position", "count"),
        Column("gold", "Right answers there", "count"),
        Column("accuracy", "Accuracy, %", "percent", True),
        Column("predicted", "Chosen", "count"),
        Column("expected", "Expected without bias", "number"),
    )
    rows = tuple(
        Row((*is_who(group, name), one.position, one.gold, one.accuracy, one.predicted, one.expected))
        for group, name, found in options
        for one in found.rows
    )
    yield DataTable("option_positions", "By position of the right option", (*who(among), *columns), rows)


def _passage_tables(among: Sequence[Group], passages: _Passages) -> Iterator[DataTable]:
    columns = (
        Column("rank", "Rank of the answer"),
        Column("questions", "Questions", "count"),
        Column("accuracy", "Accuracy, %", "percent", True),
        Column("gain", "Gain, points", "points", True),
    )
    rows = tuple(
        Row((*is_who(group, name), one.rank, one.questions, one.accuracy, one.gain.estimate if one.gain else None))
        for group, name, found in passages
        for one in found
    )
    if rows:
        yield DataTable("passage_positions", "By rank of the passage with the answer", (*who(among), *columns), rows)


def _position_charts(group: Group, options: _Options, passages: _Passages, among: Sequence[Group]) -> Iterator[Chart]:
    chosen = tuple(
        Mark.of(
            str(one.position),
            one.accuracy,
            group.title(name),
            f"{group.title(name)}, position {one.position}: {shown(_SHARE, one.accuracy)}",
        )
        for where, name, found in options
        if where is group
        for one in found.rows
        if one.accuracy is not None
    )
    ranked = tuple(
        Mark.of(
            one.rank,
            one.accuracy,
            group.title(name),
            f"{group.title(name)}, rank {one.rank}: {shown(_SHARE, one.accuracy)}, n = {one.questions:,}",
        )
        for where, name, found in passages
        if where is group
        for one in found
    )
    for marks, what in (
        (chosen, "Position of the right option"),
        (ranked, "Rank of the first passage with the answer"),
    ):
        if marks:
            text = f"Accuracy in % by {what[0].lower()}{what[1:]}."
            label = f"{group.told}: {text} {'; '.join(mark.tip for mark in marks)}"
            told = caption(text, group, among)
            yield Chart("steps", label, told, "Accuracy, %", marks, what, by_number(marks), (0.0, 1.0))
