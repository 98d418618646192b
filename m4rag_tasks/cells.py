"""The cell of a task: how it asks, shows and records, by what its model does."""

from __future__ import annotations

from m4rag_tasks.cell import Cell
from m4rag_tasks.judging_cell import JudgingCell
from m4rag_tasks.suite import DATASETS, VARIANTS, WORK, Task
from m4rag_tasks.writing import WritingCell

_CELLS: dict[str, type[Cell]] = {"answer": Cell, "write": WritingCell, "judge": JudgingCell}


def cell(dataset: str, setting: str, variant: str = "") -> Cell:
    """The cell with these names. A `KeyError` names the one that does not exist."""
    return _CELLS[WORK[setting].work](DATASETS[dataset], WORK[setting], VARIANTS[variant])


def cell_of(task: Task) -> Cell:
    """The cell that a task belongs to."""
    return _CELLS[task.setting.work](task.dataset, task.setting, task.variant)
