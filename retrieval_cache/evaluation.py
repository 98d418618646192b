"""How good is what was retrieved? Judged by qrels, or by whether the answer stands in the passages.

With qrels: nDCG@10 (Järvelin and Kekäläinen, 2002; linear gains as in trec_eval), R@5 (recall) and RR@10 (reciprocal
rank; its mean is MRR@10), by ir_measures. Without: Answer@n, the share of
queries with a gold answer in one of the first n passages or their titles.
Means are taken per language, over languages (macro) and over queries (micro).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import ir_measures
import pyarrow as pa
import pyarrow.compute as pc
from ir_measures import RR, Qrel, R, ScoredDoc, nDCG

from retrieval_cache.matching import normalised
from retrieval_cache.qrels import Qrels
from retrieval_cache.records import CacheMismatch
from retrieval_cache.store.cache import Cache
from retrieval_cache.store.export import falling

MEASURES = (nDCG @ 10, R @ 5, RR @ 10)
ANSWER_DEPTHS = (1, 5)

PerQuery = dict[str, dict[str, float]]
"""Name of a measure → query id → value from 0 to 1."""


@dataclass(frozen=True)
class Mean:
    """A mean and the number of queries it is over."""

    value: float
    queries: int


@dataclass(frozen=True)
class Evaluation:
    """Means by measure, then by language; `macro` over languages and `micro` over queries by measure.

    `level` says what the qrels judge, "passage" or "article"; None without qrels. `k` is the number of
    passages per query that the cache holds: no measure sees more.
    """

    k: int
    level: str | None
    languages: dict[str, dict[str, Mean]]
    macro: dict[str, float]
    micro: dict[str, Mean]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(
    cache: Cache,
    languages: Mapping[str, str],
    qrels: Qrels | None = None,
    answers: Mapping[str, Sequence[str]] | None = None,
) -> Evaluation:
    """Evaluate the hits of a cache by qrels, by gold answers, or by both.

    `languages` maps every query id of the cache to its language, `answers` query
    ids to texts that answer them. Queries without judgements or answers do not
    count for the measures that need them. Raises CacheMismatch if a language is
    missing, or if qrels or answers have nothing to do with this cache.
    """
    unknown = [query_id for query_id in cache.query_ids() if query_id not in languages]
    if unknown:
        raise CacheMismatch(f"no language is given for query {unknown[0]!r} and {len(unknown) - 1:,} others.")
    values: PerQuery = {}
    level = None
    if qrels is not None:
        level = _level(cache, qrels)
        values |= judged(cache, qrels, level)
    if answers is not None:
        values |= answered(cache, answers)
    return _means(cache.manifest.k, level, values, languages)


def judged(cache: Cache, qrels: Qrels, level: str) -> PerQuery:
    """nDCG@10, R@5 and RR@10 of each query that has judgements; articles stand where their best passage does."""
    known = [query_id for query_id in cache.query_ids() if query_id in qrels]
    if not known:
        raise CacheMismatch(
            f"none of the {len(qrels):,} queries of the qrels is in {cache.folder} (they have {next(iter(qrels))!r}, "
            f"the cache {cache.query_ids()[0]!r}).",
            "Use the qrels of this data set.",
        )
    relevant = [Qrel(query_id, document, r) for query_id in known for document, r in qrels[query_id].items()]
    ranked = [ScoredDoc(query_id, *hit) for query_id in known for hit in _ranked(cache, query_id, level)]
    found: PerQuery = {str(measure): {} for measure in MEASURES}
    for metric in ir_measures.iter_calc(MEASURES, relevant, ranked):
        found[str(metric.measure)][metric.query_id] = metric.value
    return found


def answered(cache: Cache, answers: Mapping[str, Sequence[str]]) -> PerQuery:
    """Answer@n of each query that has answers: 1 if one of them stands in the first n passages."""
    depths = sorted({min(depth, cache.manifest.k) for depth in ANSWER_DEPTHS})
    found: PerQuery = {f"Answer@{depth}": {} for depth in depths}
    for query_id in cache.query_ids():
        wanted = [text for text in map(normalised, answers.get(query_id, ())) if text]
        if not wanted:
            continue
        passages = [normalised(f"{p.title}\n{p.text}") for p in cache.passages_of(query_id)]
        first = next((rank for rank, text in enumerate(passages, 1) if any(map(text.__contains__, wanted))), None)
        for depth in depths:
            found[f"Answer@{depth}"][query_id] = float(first is not None and first <= depth)
    if not any(found.values()):
        raise CacheMismatch(f"no query of {cache.folder} has an answer.", "Use the answers of this data set.")
    return found


def _level(cache: Cache, qrels: Qrels) -> str:
    """Whether the qrels judge passages or articles: whichever more of their ids are."""
    judged_ids = pa.array(sorted({document for judgements in qrels.values() for document in judgements}))
    count = {
        level: pc.sum(pc.is_in(judged_ids, value_set=cache.passages.column(name))).as_py() or 0
        for level, name in (("passage", "id"), ("article", "article_id"))
    }
    level = max(count, key=lambda name: count[name])
    if not count[level]:
        raise CacheMismatch(
            f"the qrels judge {judged_ids[0].as_py()!r} and others, and none of them is the id of a passage or "
            f"article of {cache.folder}.",
            "Use the qrels of this corpus.",
        )
    return level


def _ranked(cache: Cache, query_id: str, level: str) -> Iterator[tuple[str, float]]:
    """Ids and falling scores of one ranking, each id once."""
    seen: set[str] = set()
    scores = falling(hit.score for hit in cache.ranking(query_id))
    for passage, score in zip(cache.passages_of(query_id), scores, strict=True):
        document = passage.id if level == "passage" else passage.article_id
        if document not in seen:
            seen.add(document)
            yield document, float(score)


def _means(k: int, level: str | None, values: PerQuery, languages: Mapping[str, str]) -> Evaluation:
    by_language: dict[str, dict[str, Mean]] = {}
    macro, micro = {}, {}
    for measure, of_query in values.items():
        parts: dict[str, list[float]] = defaultdict(list)
        for query_id, value in sorted(of_query.items()):
            parts[languages[query_id]].append(value)
        means = {language: _mean(part) for language, part in sorted(parts.items())}
        for language, mean in means.items():
            by_language.setdefault(language, {})[measure] = mean
        macro[measure] = _mean(mean.value for mean in means.values()).value
        micro[measure] = _mean(of_query.values())
    return Evaluation(k, level, dict(sorted(by_language.items())), macro, micro)


def _mean(values: Iterable[float]) -> Mean:
    listed = sorted(values)  # sums of floats depend on their order
    return Mean(sum(listed) / len(listed), len(listed))
