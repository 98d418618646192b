"""What retrieval costs in context, and what it gains for that."""

from __future__ import annotations

from collections.abc import Sequence

from m4rag_tasks.analysis import Cost, Ratio
from m4rag_tasks.analysis import costs as computed
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.data_table import Column, DataTable, Row, number, points
from m4rag_tasks.report.examples import BASE_SETTING
from m4rag_tasks.report.findings.groups import Group, caption, is_who, who
from m4rag_tasks.report.sections import Section

_INTRO = (
    "The length of what is shown with a question, and the accuracy it buys against no retrieval, as points per 1,000 "
    "tokens and per 1,000 characters (95 % interval of the ratio). Tokens are the model’s own count, of the whole "
    "prompt less that without retrieval; characters are the suite’s. "
    "Every question counts the same here, so a gain may differ from the mean over varieties."
)
_COLUMNS = (
    Column("questions", "Questions", "count"),
    Column("chars", "Context, characters", "number"),
    Column("tokens", "Context, tokens", "number"),
    Column("prompt_tokens", "Prompt, tokens", "number"),
    Column("gain", "Gain, points", "points"),
    *(
        Column(f"gain_per_1000_{unit}{end}", f"{title}{told}", "points")
        for unit, title in (("tokens", "Gain per 1,000 tokens"), ("chars", "Gain per 1,000 characters"))
        for end, told in (("", ""), ("_low", ": from"), ("_high", ": to"))
    ),
)


def section(among: Sequence[Group]) -> Section:
    """A row per setting that adds something to the prompt, and gain against length as a chart."""
    found: list[tuple[Group, Cost]] = []
    missing: list[str] = []
    for group in among:
        for base, names in _by_base(group).items():
            costs = computed(group.columns[base], {name: group.columns[name] for name in names})
            found += [(group, row) for row in costs.rows]
            missing += [f"{group.told}, {problem}." for problem in costs.problems]
    if not found:
        missing.append("No setting was run beside no retrieval, so there is neither cost nor gain.")
    elif all(row.chars is None for _, row in found):
        missing.append("Records do not say how long the context was: run the task again with this version.")
    if found and all(row.tokens is None for _, row in found):
        missing.append("The model’s backend reported no token counts, so cost is in characters alone.")
    table = DataTable("costs", "Context and gain", (*who(among), *_COLUMNS), tuple(_row(*pair) for pair in found))
    charts = tuple(chart for group in among if (chart := _chart(group, found, among)))
    return Section("cost", "Cost", _INTRO, charts, (table,) if found else (), tuple(missing))


def _by_base(group: Group) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in group.columns:
        if group.runs[name].setting != BASE_SETTING and (base := group.base(name)):
            found.setdefault(base, []).append(name)
    return found


def _row(group: Group, one: Cost) -> Row:
    ratios = (*_ends(one.gain_per_1000_tokens), *_ends(one.gain_per_1000_chars))
    lengths = (one.chars, one.tokens, one.prompt_tokens)
    return Row((*is_who(group, one.setting), one.questions, *lengths, one.gain, *ratios))


def _ends(ratio: Ratio | None) -> tuple[float | None, float | None, float | None]:
    return (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)


def _chart(group: Group, found: Sequence[tuple[Group, Cost]], among: Sequence[Group]) -> Chart | None:
    own = [row for one, row in found if one is group]
    unit = "tokens" if any(row.tokens is not None for row in own) else "chars"
    title = "Context, tokens per question" if unit == "tokens" else "Context, characters per question"
    marks = tuple(
        Mark(
            at,
            row.gain,
            group.title(row.setting),
            f"{group.title(row.setting)}: {points(row.gain)} points for {number(at)} {unit}",
        )
        for row in own
        if (at := getattr(row, unit)) is not None
    )
    if not marks:
        return None
    text = "Gain over no retrieval, in points, against the length of the context."
    label = f"{group.told}: {text} {'; '.join(mark.tip for mark in marks)}"
    return Chart("trend", label, caption(text, group, among), "Gain, points", marks, title, rule=0.0)
