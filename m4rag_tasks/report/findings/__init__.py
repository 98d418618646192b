"""What the analysis of a report's runs has to say, section by section. No reading of files but for quoted questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from m4rag_tasks.analysis import ModelSize
from m4rag_tasks.report.findings import answers, costs, flips, retained, settings, shown, size, wording
from m4rag_tasks.report.findings.groups import Group, groups
from m4rag_tasks.report.sections import Section

__all__ = ["Group", "groups", "sections"]


def sections(
    among: Sequence[Group], names: Mapping[str, str], graded: bool, sizes: Mapping[str, ModelSize | None]
) -> list[Section]:
    """All sections; `names` are what people call varieties, `graded` whether grades were given.

    `sizes` are those of models, as far as they were given or names tell.
    """
    return [
        settings.section(among),
        size.section(among, sizes),
        wording.section(among, names),
        retained.changes(among, graded),
        retained.relevant_and_right(among, graded),
        flips.section(among, names),
        shown.leaks(among, names),
        shown.positions(among),
        answers.section(among, names),
        costs.section(among),
    ]
