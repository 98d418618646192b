"""Two runs of the harness against each other: what changed, where, and is it more than chance."""

from m4rag_tasks.report.compare.write import compare

__all__ = ["compare"]
