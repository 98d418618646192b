"""What the records of runs say about the paper's three research questions, and about retrieval. Pure.

Records become arrays once, `columns(records) -> Columns`, one per run (model × data set × setting × variant);
everything else takes these and gives frozen dataclasses. What cannot be computed raises a `RunError`, or, where
one call makes many figures, is named in `problems`.

    function              input                                    result
    micro, macro          run, values=None                         Estimate: accuracy, over questions or varieties
    compare_settings      {model: {setting: Columns}}              Comparisons: RQ1, all pairs, Holm over all
    size_effect           {model: (without, with_)}, sizes         SizeEffect: RQ2, gain against log10 size
    language_effects      {variant: Columns} of one setting        LanguageEffects: RQ3, prompt and context
    compare_by_language   a, b                                     ByLanguage: any two runs, per variety
    retained_by_grade     without, with_                           Buckets: retention, correction by mean grade
    retained_by_rank      without, with_, by="answer"|"grade"      Buckets: … by rank of the relevant passage
    confusion             with_, by="grade"|"answer"               Confusion: relevant × right
    difference            a, b                                     metrics.Difference: any two runs, the oracle gap
    retention, correction without, with_                           Estimate or None
    flip_ledger           without, with_, oracle or None           Ledger: paths of all questions, every flip
    leak_audit            {setting: Columns}                       LeakAudit: per setting and variety
    invalid_answers       {setting: Columns}                       tuple[Invalid]: per setting and variety
    answer_positions      run                                      Positions: by position of the right option
    passage_positions     with_, without=None, by="answer"         tuple[PassagePosition]: by rank
    costs                 without, {setting: Columns}              Costs: characters, tokens, gain per 1,000
    known_sizes           models, {model: "7B"}                    {model: ModelSize or None}
    holm                  p values                                 adjusted p values

From a record these are read: question_id, language, base_language, resource, image_id, score, parse, gold,
prediction, options (or their number, choices), passages (of each: id, has_answer, has_options, grade),
context_has_answer, query_has_answer, context_chars, input_tokens. What is not there is unknown, never "no".
"""

from m4rag_tasks.analysis.averages import invalid, macro, micro
from m4rag_tasks.analysis.columns import Columns, Mask, Paired, Variety, columns, dense, paired
from m4rag_tasks.analysis.comparisons import (
    ByLanguage,
    Comparison,
    Comparisons,
    LanguageDifference,
    by_language,
    compare_by_language,
    compare_settings,
    difference,
    holm,
)
from m4rag_tasks.analysis.cost import Cost, Costs, Ratio, costs
from m4rag_tasks.analysis.leaks import OVERALL, Invalid, Leak, LeakAudit, invalid_answers, leak_audit
from m4rag_tasks.analysis.ledger import PATHS, Flip, Ledger, Path, flip_ledger
from m4rag_tasks.analysis.model_size import ModelSize, known_sizes, parse_size
from m4rag_tasks.analysis.passages import RELEVANT_GRADE
from m4rag_tasks.analysis.positions import (
    PassagePosition,
    Position,
    Positions,
    answer_positions,
    passage_positions,
)
from m4rag_tasks.analysis.prompt_language import LanguageEffect, LanguageEffects, language_effects
from m4rag_tasks.analysis.retained import (
    GRADE_BUCKETS,
    Bucket,
    Buckets,
    Confusion,
    confusion,
    correction,
    retained_by_grade,
    retained_by_rank,
    retention,
)
from m4rag_tasks.analysis.size import SizeEffect, SizePoint, Slope, size_effect

__all__ = [
    "GRADE_BUCKETS",
    "OVERALL",
    "PATHS",
    "RELEVANT_GRADE",
    "Bucket",
    "Buckets",
    "ByLanguage",
    "Columns",
    "Comparison",
    "Comparisons",
    "Confusion",
    "Cost",
    "Costs",
    "Flip",
    "Invalid",
    "LanguageDifference",
    "LanguageEffect",
    "LanguageEffects",
    "Leak",
    "LeakAudit",
    "Ledger",
    "Mask",
    "ModelSize",
    "Paired",
    "PassagePosition",
    "Path",
    "Position",
    "Positions",
    "Ratio",
    "SizeEffect",
    "SizePoint",
    "Slope",
    "Variety",
    "answer_positions",
    "by_language",
    "columns",
    "compare_by_language",
    "compare_settings",
    "confusion",
    "correction",
    "costs",
    "dense",
    "difference",
    "flip_ledger",
    "holm",
    "invalid",
    "invalid_answers",
    "known_sizes",
    "language_effects",
    "leak_audit",
    "macro",
    "micro",
    "paired",
    "parse_size",
    "passage_positions",
    "retained_by_grade",
    "retained_by_rank",
    "retention",
    "size_effect",
]
