"""What the plugin adds to the harness beside tasks and models: answers are kept as they come."""

from __future__ import annotations

import sys

import pytest
from lmms_eval.api.instance import Instance
from lmms_eval.caching.response_cache import ResponseCache

from m4rag_tasks import plugin


class Killed(Exception):
    """Stands for the end of a process."""


class Model:
    """Answers by the request's number; is gone at a given call."""

    def __init__(self, gone_at=None):
        self.gone_at, self.asked = gone_at, []

    def generate_until(self, requests):
        if len(self.asked) == self.gone_at:
            raise Killed
        self.asked.append([request.doc_id for request in requests])
        return [f"answer {request.doc_id}" for request in requests]


def requests(task, count):
    return [
        Instance(
            "generate_until",
            (f"prompt {number}", {"temperature": 0, "do_sample": False}, None, number, task, "test"),
            0,
            {"task": task, "doc_id": number, "repeats": 1},
        )
        for number in range(count)
    ]


@pytest.fixture
def opened(tmp_path, monkeypatch):
    plugin.register()
    monkeypatch.setattr(plugin, "KEPT_AT_ONCE", 10)
    return lambda: ResponseCache(str(tmp_path / "rank_0.db"), str(tmp_path / "rank_0.audit.jsonl"))


def test_a_killed_run_is_gone_on_with_where_its_last_block_ended(opened):
    model = Model(gone_at=2)
    with pytest.raises(Killed):
        opened().execute(model, "generate_until", requests("m4rag_mini_judge_mmrag_am", 35))
    again = Model()
    answers = opened().execute(again, "generate_until", requests("m4rag_mini_judge_mmrag_am", 35))
    assert again.asked == [list(range(20, 30)), list(range(30, 35))]
    assert answers == [f"answer {number}" for number in range(35)]


def test_what_fills_up_a_process_is_asked_with_the_last_block(opened):
    asked = requests("m4rag_mini_norag_am", 20)
    filler = requests("m4rag_mini_norag_am", 20)[-1]
    filler.metadata["__padding_only__"] = True
    model = Model()
    answers = opened().execute(model, "generate_until", [*asked, filler])
    assert model.asked == [list(range(10)), [*range(10, 20), 19]]
    assert answers == [f"answer {number}" for number in [*range(20), 19]]


def test_other_tasks_are_asked_as_the_harness_does(opened):
    model = Model()
    opened().execute(model, "generate_until", requests("mmmu_val", 35))
    assert model.asked == [list(range(35))]


def test_a_harness_without_that_cache_still_gets_tasks_and_models(monkeypatch):
    monkeypatch.setitem(sys.modules, "lmms_eval.caching.response_cache", None)
    assert [manifest.model_id for manifest in plugin.register()] == list(plugin.OUR_MODELS)


def test_registering_again_changes_nothing():
    plugin.register()
    execute = ResponseCache.execute
    assert [manifest.model_id for manifest in plugin.register()] == list(plugin.OUR_MODELS)
    assert ResponseCache.execute is execute
