"""Two models' published answers to WorldCuisines, set against each other language by language."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pyarrow.parquet as pq
import pytest
from published import PROMPT_TYPES, RENAMED
from scipy import stats

from m4rag_tasks import records, rows, suite
from m4rag_tasks.analysis import Columns, answer_positions, columns, compare_by_language, parse_size, size_effect

QWEN, PANGEA = "qwen2-vl-7b-instruct", "pangea-7b"


def answered(shared_data: Path, model: str) -> Columns:
    """A run as the harness's records would give it, read under the published rule."""
    folder, wc = shared_data / "worldcuisines", suite.DATASETS["wc"]
    said = {
        row["ID"]: row["prediction"]
        for row in pq.read_table(folder / "predictions" / f"{model}_mc_small.parquet").to_pylist()
    }
    made = []
    for task in (1, 2):
        for doc in pq.read_table(folder / f"test_small_task{task}.parquet").to_pylist():
            row = rows.row(wc, doc)
            variety = suite.language(row.language)
            record = {
                "question_id": row.question_id,
                "language": row.language,
                "base_language": variety.language,
                "resource": variety.resource,
                "image_id": row.image_id,
                "options": list(row.options),
                "gold": row.gold,
            }
            made.append({**record, **records.scored(record, said[row.question_id], "worldcuisines")})
    return columns(made)


@pytest.fixture(scope="module")
def runs(shared_data: Path) -> dict[str, Columns]:
    return {model: answered(shared_data, model) for model in (QWEN, PANGEA)}


def published(shared_data: Path, model: str) -> dict[str, float]:
    """Published accuracy by language, from 0 to 1: the mean over the prompt types, of 100 questions each."""
    path = shared_data / "worldcuisines" / "published_scores" / f"{model}_mc_small.json"
    found = defaultdict(list)
    ours = {theirs: code for code, theirs in RENAMED.items()}
    content = json.loads(path.read_text(encoding="utf-8"))
    for scores in (content[title] for title in PROMPT_TYPES.values()):
        for language, figure in scores.items():
            if language != "avg_score":
                found[ours.get(language, language)].append(figure / 100)
    return {language: mean(figures) for language, figures in found.items()}


def test_differences_by_language_are_those_of_the_published_scores(runs, shared_data):
    found = compare_by_language(runs[QWEN], runs[PANGEA])
    qwen, pangea = published(shared_data, QWEN), published(shared_data, PANGEA)
    assert len(found.rows) == found.tests == len(qwen) == 30
    for row in found.rows:
        difference = row.difference
        assert difference.estimate.value == pytest.approx(qwen[row.language] - pangea[row.language], abs=1e-4)
        assert difference.estimate.n == 400
        assert difference.estimate.low < difference.estimate.value < difference.estimate.high
        assert row.adjusted_p >= difference.p_value
        exact = stats.binomtest(difference.only_a, difference.only_a + difference.only_b).pvalue
        assert difference.mcnemar_p == pytest.approx(exact)
    assert found.overall.estimate.value == pytest.approx(0.6121 - 0.5603, abs=2e-4)
    # All languages ask about the same 144 pictures: far less certain than 12,000 questions would be.
    assert found.overall.estimate.clusters == 144
    assert found.overall.mcnemar_p < 1e-20
    assert 0.001 < found.overall.p_value < 0.01
    assert set(found.resources) == {"high", "mid", "low"}


def test_the_corrected_tests_tell_some_languages_apart_and_not_all(runs):
    rows_ = compare_by_language(runs[QWEN], runs[PANGEA]).rows
    told_apart = {row.language for row in rows_ if row.significant}
    alone = {row.language for row in rows_ if row.difference.p_value < 0.05}
    assert told_apart < alone < {row.language for row in rows_}
    assert told_apart


def test_positions_of_five_options_are_compared(runs):
    for run in runs.values():
        found = answer_positions(run)
        assert len(found.rows) == 5 and found.freedom == 4
        assert sum(row.gold for row in found.rows) == 12_000
        assert 0 <= found.p_value <= 1


def test_two_models_of_one_size_give_no_line(runs):
    sizes = {name: parse_size(name) for name in runs}
    effect = size_effect({name: (run, run) for name, run in runs.items()}, sizes)
    assert effect.slope is None
    assert effect.problem == "a line needs models of at least 3 sizes; there are 1"
