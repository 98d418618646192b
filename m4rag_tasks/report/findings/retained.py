"""Retention and correction by the quality of what was retrieved; relevant passage × right answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from m4rag_tasks.analysis import Buckets, Columns, Confusion, confusion, retained_by_grade, retained_by_rank
from m4rag_tasks.analysis.retained import GRADE_BUCKETS
from m4rag_tasks.errors import RunError
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.data_table import Column, DataTable, Row, shown
from m4rag_tasks.report.findings.groups import Group, by_number, caption, is_who, who
from m4rag_tasks.report.sections import Section

NO_GRADES = "No grades of passages were given. Judge the passages (docs/judge.md) and pass the file as --grades."
UNGRADED = "No question has grades for all of its passages: the notes at the top say why."
NO_ANSWERS = (
    "The records do not say whether the right answer stands in what was shown: they were written before records did. "
    "Run the task again."
)
_INTRO = (
    "Retention and correction again, by the mean grade of the passages that were shown (a judge’s, from 1 to 5), by "
    "the rank of the first passage that was graded 4 or more, and by the rank of the first in which the right answer "
    "stands word for word."
)
_CONFUSION_INTRO = (
    "Was a relevant passage shown, and was the answer right? Relevant is, by the judge, a passage graded 4 or more; by "
    "the text, one in which the right answer stands word for word. Right answers without a relevant passage are what "
    "the model knew or guessed; wrong ones with it are what it did not use."
)
_RATES = (
    Column("retention", "Retention, %", "percent", True),
    Column("correction", "Correction, %", "percent", True),
)
_RATE = Column("rate", "Rate, %", "percent", True)


@dataclass(frozen=True)
class _Kind:
    """One way to sort questions by what was retrieved for them."""

    key: str
    title: str
    across: str
    compute: Callable[[Columns, Columns], Buckets]
    by: str
    """What makes a passage good: its "grade", or that the "answer" stands in it."""
    steps: tuple[str, ...] = ()
    """The names of its buckets, where they are no ranks."""


_KINDS = (
    _Kind(
        "by_grade",
        "By mean grade of the passages",
        "Mean grade",
        retained_by_grade,
        "grade",
        tuple(name for name, *_ in GRADE_BUCKETS),
    ),
    _Kind(
        "by_graded_rank",
        "By rank of the first passage graded 4 or more",
        "Rank",
        lambda without, with_: retained_by_rank(without, with_, "grade"),
        "grade",
    ),
    _Kind(
        "by_answer_rank",
        "By rank of the first passage with the answer",
        "Rank",
        lambda without, with_: retained_by_rank(without, with_, "answer"),
        "answer",
    ),
)


def changes(among: Sequence[Group], graded: bool) -> Section:
    """Retention and correction by bucket and rank: a table and, per model and rate, a chart for each way."""
    tables, charts, missing = [], [], []
    if not any(group.with_base for group in among):
        missing.append("No model was run both without retrieval and with it, so nothing was retained or corrected.")
        return Section("changes", "Retention and correction", _INTRO, missing=tuple(missing))
    for kind in _KINDS:
        found, problems = _all(among, kind)
        missing += problems
        if not any(buckets.rows for *_, buckets in found):
            missing.append(f"{kind.title}: {_why_not(kind.by, graded)}")
            continue
        tables.append(_table(among, kind, found))
        charts += [chart for group in among for chart in _charts(group, kind, found, among)]
        missing += list(_unknown(kind, found))
    return Section("changes", "Retention and correction", _INTRO, tuple(charts), tuple(tables), tuple(missing))


_Found = list[tuple[Group, str, Buckets]]


def _all(among: Sequence[Group], kind: _Kind) -> tuple[_Found, list[str]]:
    found, problems = [], []
    for group in among:
        for name, base in group.with_base:
            try:
                found.append((group, name, kind.compute(group.columns[base], group.columns[name])))
            except RunError as error:
                problems.append(f"{kind.title}, {group.told}, {group.title(name)}: {error}.")
    return found, problems


def _unknown(kind: _Kind, found: _Found) -> Iterator[str]:
    lacking = [
        f"{group.told}, {group.title(name)}: {buckets.unknown:,}" for group, name, buckets in found if buckets.unknown
    ]
    if lacking:
        yield f"{kind.title}: left out are questions whose records or grades do not say ({'; '.join(lacking)})."


def _table(among: Sequence[Group], kind: _Kind, found: _Found) -> DataTable:
    columns = (*who(among), Column("bucket", kind.across), Column("questions", "Questions", "count"), *_RATES)
    rows = tuple(
        Row((*is_who(group, name), bucket.name, bucket.questions, bucket.retention, bucket.correction))
        for group, name, buckets in found
        for bucket in buckets.rows
    )
    return DataTable(f"retained_{kind.key}", kind.title, columns, rows)


def _charts(group: Group, kind: _Kind, found: _Found, among: Sequence[Group]) -> Iterator[Chart]:
    for rate in ("retention", "correction"):
        marks = tuple(
            Mark.of(
                bucket.name,
                estimate,
                group.title(name),
                f"{group.title(name)}, {kind.across.lower()} {bucket.name}: "
                f"{shown(_RATE, estimate)}, n = {estimate.n:,}",
            )
            for one, name, buckets in found
            if one is group
            for bucket in buckets.rows
            if (estimate := getattr(bucket, rate)) is not None
        )
        if marks:
            text = f"{rate.capitalize()} in %, {kind.title[0].lower()}{kind.title[1:]}."
            label = f"{group.told}: {text} {'; '.join(mark.tip for mark in marks)}"
            title = f"{rate.capitalize()}, %"
            steps = kind.steps or by_number(marks)
            yield Chart("steps", label, caption(text, group, among), title, marks, kind.across, steps, (0.0, 1.0))


# --- relevant and right -----------------------------------------------------

_BY = {"grade": "the judge", "answer": "the text"}
_CELLS = (
    ("relevant_right", "relevant, right"),
    ("relevant_wrong", "relevant, wrong"),
    ("irrelevant_right", "none relevant, right"),
    ("irrelevant_wrong", "none relevant, wrong"),
)


def relevant_and_right(among: Sequence[Group], graded: bool) -> Section:
    """The four counts of each retrieving run, by the judge and by the text."""
    rows, charts, missing = [], [], []
    for by, whose in _BY.items():
        known = {(group.told, name): one for group in among for name, one in _confusions(group, by).items()}
        rows += [
            _confused(group, name, known[group.told, name])
            for group in among
            for name in group.retrieving
            if (group.told, name) in known
        ]
        charts += [chart for group in among if (chart := _shares(group, by, known, among))]
        if not known and any(group.retrieving for group in among):
            missing.append(f"By {whose}: {_why_not(by, graded)}")
    if not any(group.retrieving for group in among):
        missing.append("No retrieval setting was run.")
    columns = (
        *who(among),
        Column("by", "Relevant by"),
        *(Column(key, title[0].upper() + title[1:], "count") for key, title in _CELLS),
        Column("relevant", "Relevant shown, %", "percent", True),
        Column("right_if_relevant", "Right if relevant, %", "percent", True),
        Column("right_if_irrelevant", "Right if not, %", "percent", True),
        Column("unknown", "Not known", "count"),
    )
    table = DataTable("confusion", "Relevant passage shown × answer right", columns, tuple(rows))
    tables = (table,) if rows else ()
    return Section("confusion", "Relevant and right", _CONFUSION_INTRO, tuple(charts), tables, tuple(missing))


def _why_not(by: str, graded: bool) -> str:
    if by == "answer":
        return NO_ANSWERS
    return UNGRADED if graded else NO_GRADES


def _confusions(group: Group, by: str) -> dict[str, Confusion]:
    found = {}
    for name in group.retrieving:
        try:
            found[name] = confusion(group.columns[name], by)
        except RunError:
            # No record says: the section tells that, once for all.
            continue
    return found


def _confused(group: Group, name: str, one: Confusion) -> Row:
    counts = tuple(getattr(one, key) for key, _ in _CELLS)
    rates = (one.relevant, one.right_if_relevant, one.right_if_irrelevant)
    return Row((*is_who(group, name), _BY[one.by], *counts, *rates, one.unknown))


def _shares(group: Group, by: str, known: Mapping[tuple[str, str], Confusion], among: Sequence[Group]) -> Chart | None:
    marks = []
    for name in group.retrieving:
        if one := known.get((group.told, name)):
            counts = {title: getattr(one, key) for key, title in _CELLS}
            total = sum(counts.values())
            for title, count in counts.items():
                told = f"{group.title(name)}, {title}: {count:,} of {total:,} ({100 * count / total:.1f} %)"
                marks.append(Mark(group.title(name), count / total, title, told))
    if not marks:
        return None
    text = f"Share of questions, relevance by {_BY[by]}."
    label = f"{group.told}: {text} {'; '.join(mark.tip for mark in marks)}"
    return Chart("shares", label, caption(text, group, among), "Questions, %", tuple(marks), domain=(0.0, 1.0))
