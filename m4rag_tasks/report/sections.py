"""What one section of a report holds: words, charts and tables. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from m4rag_tasks.report.charts import Chart
from m4rag_tasks.report.data_table import DataTable


@dataclass(frozen=True)
class Section:
    """`key` is its anchor on the page and its name in JSON.

    `missing` says in words which part of the section cannot be shown, why, and what would bring it.
    """

    key: str
    title: str
    intro: str
    charts: tuple[Chart, ...] = ()
    tables: tuple[DataTable, ...] = ()
    missing: tuple[str, ...] = ()
