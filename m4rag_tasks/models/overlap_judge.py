"""`m4rag_overlap_judge`: a judge that compares letters, the CPU floor for the judging tasks.

It reads the instruction of those tasks and nothing else: 5 where the right answer stands in the
passage word for word, down to 1 where neither answer nor question share fragments with it. It is
blind and knows no language, so a passage in another script than the question gets a 1 however good
it is. It is there to try out a run from judge to report; it is no judge to draw conclusions from.
"""

from __future__ import annotations

import json
import re

from lmms_eval.api.instance import Instance

from m4rag_tasks.models.reader import fold, shared_fragments
from m4rag_tasks.models.text_only import TextOnlyModel

# The last lines of judge.jinja; a passage may hold blank lines, and looks of this form.
_ITEM = re.compile(
    r"^Question: (?P<question>[^\n]*)\nRight answer: (?P<answer>[^\n]*)\n\n"
    r"Passage: (?P<passage>.*)\n\n[^\n]*\n\{\"explanation\"[^\n]*\Z",
    re.MULTILINE | re.DOTALL,
)
# Share of the answer's fragments, share of the question's: what a grade needs of one or the other.
_LEVELS = ((4, 0.6, 0.8), (3, 0.35, 0.5), (2, 0.15, 0.25))


class OverlapJudge(TextOnlyModel):
    """lmms-eval model `m4rag_overlap_judge`."""

    def answer(self, request: Instance) -> str:
        """JSON with the grade, or an empty answer for another prompt than the judge's."""
        item = _ITEM.search(request.args[0])
        if not item:
            return ""
        grade, why = graded(item["question"], item["answer"], item["passage"])
        return json.dumps({"explanation": why, "grade": grade})


def graded(question: str, answer: str, passage: str) -> tuple[int, str]:
    """The grade of a passage, and why."""
    text = fold(passage)
    if fold(answer) in text:
        return 5, "The right answer stands in the passage."
    shares = [shared_fragments(fold(part), text) for part in (answer, question)]
    why = f"The passage has {shares[0]:.0%} of the answer's fragments and {shares[1]:.0%} of the question's."
    return next((grade for grade, *needed in _LEVELS if any(map(float.__ge__, shares, needed))), 1), why
