"""Samples that lmms-eval wrote → tables, one HTML page, CSV and JSON."""

from m4rag_tasks.report.compare import compare
from m4rag_tasks.report.runs import Run, load_runs
from m4rag_tasks.report.table_rows import Report
from m4rag_tasks.report.tables import build_report
from m4rag_tasks.report.write import text_table, write_report

__all__ = ["Report", "Run", "build_report", "compare", "load_runs", "text_table", "write_report"]
