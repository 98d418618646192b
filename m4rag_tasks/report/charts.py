"""Charts as data: what is drawn, in the terms of the report. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from m4rag_tasks.metrics import Estimate

ROLES = ("base", "rag", "oracle")
"""The three kinds of settings, as series: they have colours and shapes of their own."""


@dataclass(frozen=True)
class Mark:
    """One value of a series: at a row or step by name, or at a number on the x axis."""

    at: str | float
    value: float
    series: str
    tip: str
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, at: str | float, estimate: Estimate, series: str, tip: str) -> Mark:
        """The mark of an estimate."""
        return cls(at, estimate.value, series, tip, estimate.low, estimate.high)


@dataclass(frozen=True)
class Chart:
    """What is drawn. `form` is rows, steps, trend or shares; `label` says in words what there is to see.

    rows    values side by side for each row, from left to right (`axis` names the values)
    steps   values over the `steps` of a scale, from bottom to top, those of a series joined
    trend   values over a number (`across` names it; `log` where it is logarithmic), with a fitted `line`
    shares  a bar per row, divided among the series
    """

    form: str
    label: str
    caption: str
    axis: str
    marks: tuple[Mark, ...]
    across: str = ""
    steps: tuple[str, ...] = ()
    """All steps in order: a series may lack some."""
    domain: tuple[float, float] | None = None
    rule: float | None = None
    chance: float | None = None
    log: bool = False
    line: tuple[tuple[float, float, float | None, float | None], ...] = ()
    """x, value, low and high along the fit."""
