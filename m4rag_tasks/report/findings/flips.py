"""The flip ledger: what retrieval repaired and broke, question by question, and the passage responsible."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from m4rag_tasks.analysis import Flip, Ledger, flip_ledger
from m4rag_tasks.errors import RunError
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.data_table import Column, DataTable, Row, Value
from m4rag_tasks.report.examples import ORACLE_SETTING
from m4rag_tasks.report.findings.groups import VARIETY, Group, caption, is_who, who
from m4rag_tasks.report.samples import read_exchange
from m4rag_tasks.report.sections import Section

# Of each retrieval setting: quoted questions are read from disk one by one.
_QUOTED = 12
_ON_PAGE = 120
_INTRO = (
    "Each question’s path: without retrieval → with retrieval → with the oracle context, R right and W wrong. WRR was "
    "repaired by retrieval, RWR broken by it; without an oracle run these are WR and RW. The passage responsible is, "
    "for a repaired question, the first in which "
    "the right answer stands; for a broken one, the first in which the wrong option stands that was chosen; else the "
    "best-graded one, if graded 4 or more."
)
_PATHS = {
    "RR": "right throughout",
    "RW": "broken by retrieval",
    "WR": "repaired by retrieval",
    "WW": "wrong throughout",
    "RRR": "right throughout",
    "RRW": "right, wrong with oracle",
    "RWR": "broken by retrieval",
    "RWW": "broken, wrong with oracle too",
    "WRR": "repaired by retrieval",
    "WRW": "repaired, wrong with oracle",
    "WWR": "right with oracle alone",
    "WWW": "wrong throughout",
}
_REASONS = {
    "answer": "the answer stands in it",
    "chosen": "the wrong option chosen stands in it",
    "grade": "graded 4 or more",
    None: "none found",
}
_CUT = 160
_NOT_QUOTED = (None, None, "")


@dataclass(frozen=True)
class _Found:
    group: Group
    name: str
    ledger: Ledger


def section(among: Sequence[Group], names: Mapping[str, str]) -> Section:
    """Paths, reasons and flips of every retrieving run that has one without retrieval beside it."""
    found, missing = [], []
    for group in among:
        for name, base in group.with_base:
            oracle = group.base(name, ORACLE_SETTING)
            if oracle is None:
                missing.append(f"{group.told}, {group.title(name)}: the third step is missing, there is no oracle run.")
            steps = (base, name, oracle) if oracle else (base, name)
            try:
                ledger = flip_ledger(*(group.columns[step] for step in steps))
                found.append(_Found(group, name, ledger))
            except RunError as error:
                missing.append(f"{group.told}, {group.title(name)}: {error}.")
    if not found and not missing:
        missing.append("No model was run both without retrieval and with it, so no answer was turned.")
    tables = [_paths(among, found), _reasons(among, found), _flips(among, found, names)] if found else []
    charts = [chart for group in among if (chart := _chart(group, found, among))]
    return Section("flips", "Flip ledger", _INTRO, tuple(charts), tuple(tables), tuple(missing))


def _paths(among: Sequence[Group], found: Sequence[_Found]) -> DataTable:
    columns = (
        *who(among),
        Column("path", "Path"),
        Column("told", "In words"),
        Column("questions", "Questions", "count"),
        Column("share", "Share, %", "percent", True),
    )
    rows = tuple(
        Row((*is_who(one.group, one.name), path.path, _PATHS[path.path], path.questions, path.share))
        for one in found
        for path in one.ledger.paths
    )
    return DataTable("paths", "Paths of all questions", columns, rows)


def _reasons(among: Sequence[Group], found: Sequence[_Found]) -> DataTable:
    columns = (
        *who(among),
        Column("turned", "Turned"),
        Column("reason", "Passage responsible"),
        Column("questions", "Questions", "count"),
    )
    rows = tuple(
        Row((*is_who(one.group, one.name), turned, _REASONS[reason], count))
        for one in found
        for turned, counts in one.ledger.reasons.items()
        for reason, count in sorted(counts.items(), key=lambda pair: -pair[1])
    )
    return DataTable("reasons", "Why: the passage responsible", columns, rows)


def _flips(among: Sequence[Group], found: Sequence[_Found], names: Mapping[str, str]) -> DataTable:
    columns = (
        *who(among),
        Column("question_id", "Question"),
        Column("language", "Variety", hidden=True),
        VARIETY,
        Column("question", "In full", "quote"),
        Column("path", "Path"),
        Column("turned", "Turned"),
        Column("passage_title", "Passage responsible"),
        Column("passage_id", "Passage id", hidden=True),
        Column("rank", "Rank", "count"),
        Column("reason", "Why"),
    )
    quoted, further = [], []
    for one in found:
        own = is_who(one.group, one.name)
        for place, flip in enumerate(_telling_first(one.ledger.flips)):
            telling = _quoted(one, flip) if place < _QUOTED else _NOT_QUOTED
            (quoted if place < _QUOTED else further).append(_row(own, flip, names, *telling))
    more = f"Of each setting the {_QUOTED} most telling are quoted: those with a passage responsible, in turn."
    return DataTable("flips", "Repaired and broken questions", columns, (*quoted, *further), more, _ON_PAGE)


def _telling_first(flips: Sequence[Flip]) -> list[Flip]:
    """Flips with a passage first, repaired and broken in turn, among equals by a digest of the id."""
    ordered = sorted(flips, key=lambda flip: (flip.passage_id is None, _digest(flip.question_id)))
    kinds = [[flip for flip in ordered if flip.repaired == repaired] for repaired in (True, False)]
    turns = [(place, kind, flip) for kind, own in enumerate(kinds) for place, flip in enumerate(own)]
    return [flip for *_, flip in sorted(turns, key=lambda turn: turn[:2])]


def _digest(question_id: str) -> str:
    return hashlib.sha256(question_id.encode(errors="backslashreplace")).hexdigest()


def _row(
    own: tuple[Value, ...],
    flip: Flip,
    names: Mapping[str, str],
    question: str | None,
    title: str | None,
    worded_in: str,
) -> Row:
    where = (flip.question_id, flip.language, names.get(flip.language, flip.language), question)
    turned = "repaired" if flip.repaired else "broken"
    told = (flip.path, turned, title or flip.passage_id, flip.passage_id, flip.rank, _REASONS[flip.reason])
    return Row((*own, *where, *told), flip.language, worded_in)


def _quoted(one: _Found, flip: Flip) -> tuple[str, str | None, str]:
    """The question's text, the title of the passage responsible, and the language of the text."""
    place = one.group.runs[one.name].places[flip.question_id]
    record = read_exchange(place.path, place.offset).record
    titles = {passage.get("id"): passage.get("title") for passage in record["passages"]}
    text = record["question"]
    shown = text if len(text) <= _CUT else f"{text[:_CUT]}…"
    title = titles.get(flip.passage_id) if flip.passage_id else None
    return shown, str(title) if title else None, str(record.get("base_language") or record["language"])


def _chart(group: Group, found: Sequence[_Found], among: Sequence[Group]) -> Chart | None:
    marks = tuple(_marks(group, found))
    if not marks:
        return None
    text = "Paths of all questions, in %."
    label = f"{group.told}: {text} {'; '.join(mark.tip for mark in marks)}"
    return Chart("shares", label, caption(text, group, among), "Questions, %", marks, domain=(0.0, 1.0))


def _marks(group: Group, found: Sequence[_Found]) -> Iterator[Mark]:
    for one in found:
        if one.group is group:
            for path in one.ledger.paths:
                told = f"{group.title(one.name)}, {path.path} ({_PATHS[path.path]}): {path.questions:,}"
                yield Mark(
                    group.title(one.name),
                    path.share.value,
                    f"{path.path} {_PATHS[path.path]}",
                    f"{told} ({100 * path.share.value:.1f} %)",
                )
