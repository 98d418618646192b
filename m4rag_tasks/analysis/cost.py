"""What retrieval costs: the length of what is shown with a question, and the gain it buys.

Tokens are counted by the model's own backend, where that reports them (lmms-eval's `token_counts`): of the whole
prompt, so that the context's are the difference to the same question without retrieval. Characters of the context
are counted by the suite, for every run; they compare settings on the same questions, not languages or scripts.

Gain per 1,000 tokens (characters) is the ratio of two means over the same questions, R = 1000 dbar / tbar with
d_i the difference of scores and t_i the tokens that were added; its interval is the linearised one, clustered by
image: z_i = 1000 (d_i - (dbar/tbar) t_i) / tbar is what question i adds to R. Source: Cochran (1977), "Sampling
Techniques", 3rd edition, section 6.4 (ratio estimate) and section 9A (ratio to size over clusters).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from m4rag_tasks.analysis.columns import Columns, paired
from m4rag_tasks.errors import RunError
from m4rag_tasks.intervals import Codes, Floats

_PER = 1000


@dataclass(frozen=True)
class Ratio:
    """Points of accuracy (0 to 1) gained per 1,000 units, with its 95 % interval (None with one image)."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Cost:
    """One setting against no retrieval; None where records do not say, or nothing was added.

    chars: characters of context per question. tokens: tokens added per question. prompt_tokens: of the whole
    prompt. gain: micro, over the questions that are counted.
    """

    setting: str
    questions: int
    chars: float | None
    tokens: float | None
    prompt_tokens: float | None
    gain: float
    gain_per_1000_chars: Ratio | None
    gain_per_1000_tokens: Ratio | None


@dataclass(frozen=True)
class Costs:
    """A row per setting. problems: settings that could not be set against no retrieval, and why."""

    rows: tuple[Cost, ...]
    problems: tuple[str, ...] = ()


def costs(without: Columns, runs: Mapping[str, Columns]) -> Costs:
    """What each setting of one model costs and gains against its run without retrieval."""
    rows, problems = [], []
    for setting, run in runs.items():
        try:
            rows.append(_cost(setting, without, run))
        except RunError as error:
            problems.append(f"{setting}: {error}")
    return Costs(tuple(rows), tuple(problems))


def _cost(setting: str, without: Columns, with_: Columns) -> Cost:
    pair = paired(with_, without)
    one, base = pair.runs
    gain = pair.scores[0] - pair.scores[1]
    added = one.tokens - base.tokens
    return Cost(
        setting,
        len(gain),
        chars=_mean(one.context_chars),
        tokens=_mean(added),
        prompt_tokens=_mean(one.tokens),
        gain=float(gain.mean()),
        gain_per_1000_chars=_ratio(gain, one.context_chars, pair.images),
        gain_per_1000_tokens=_ratio(gain, added, pair.images),
    )


def _mean(values: Floats) -> float | None:
    """None unless every question says."""
    return None if np.isnan(values).any() else float(values.mean())


def _ratio(gain: Floats, units: Floats, images: Codes) -> Ratio | None:
    """1000 times the mean gain by the mean number of units."""
    mean = _mean(units)
    if mean is None or mean <= 0:
        return None
    ratio, g = float(gain.mean()) / mean, int(images.max()) + 1
    if g == 1:
        return Ratio(_PER * ratio, None, None)
    sums = np.bincount(images, weights=(gain - ratio * units) / (mean * len(gain)))
    reach = float(stdtrit(g - 1, 0.975)) * math.sqrt(g / (g - 1) * float(sums @ sums))
    return Ratio(_PER * ratio, _PER * (ratio - reach), _PER * (ratio + reach))
