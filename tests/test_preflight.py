"""Preflight finds what would stop a run, before any model is loaded."""

from __future__ import annotations

import pytest

from m4rag_tasks import images, preflight, suite
from m4rag_tasks.errors import DataError


def test_a_ready_task_has_no_findings():
    assert preflight.preflight(suite.resolve("m4rag_mini_norag_en")) == []


def test_every_task_that_cannot_run_is_named_once():
    findings = preflight.preflight(suite.resolve("m4rag_mini_mmrag"))
    assert [finding.where for finding in findings] == [task.name for task in suite.resolve("m4rag_mini_mmrag")]
    assert all("m4rag cache build --dataset mini --setting mmrag" in finding.problem for finding in findings)


def test_a_broken_picture_is_found_unless_pictures_are_left_out(monkeypatch):
    def broken(*_args):
        raise DataError("images/injera.png cannot be read")

    monkeypatch.setattr(images, "load_image", broken)
    tasks = suite.resolve("m4rag_mini_norag_en")
    assert [finding.problem for finding in preflight.preflight(tasks)] == ["images/injera.png cannot be read"]
    assert preflight.preflight(tasks, open_images=False) == []


def test_a_run_is_stopped_with_one_line_per_problem():
    names = ["m4rag_mini_mmrag", "m4rag_mini_norag", "mmmu_val", "m4rag_somebody_elses"]
    with pytest.raises(SystemExit) as stopped:
        preflight.stop_unless_ready(names)
    assert len(str(stopped.value).splitlines()) == 1
    assert "--setting mmrag" in str(stopped.value)


def test_a_run_that_can_go_on_goes_on():
    preflight.stop_unless_ready(["m4rag_mini_norag", "m4rag_somebody_elses"])
