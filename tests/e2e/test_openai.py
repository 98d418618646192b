"""A model behind an OpenAI-compatible server: what is sent, and what becomes of a dead request."""

from __future__ import annotations

import base64
import http.server
import io
import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from harness import results, run_lmms_eval, samples
from PIL import Image, ImageChops

from m4rag_tasks import datasets, suite
from m4rag_tasks.cells import cell as cell_named
from m4rag_tasks.rows import Row
from m4rag_tasks.sources import MINI_FOLDER

pytestmark = pytest.mark.e2e

MINI, NORAG = suite.DATASETS["mini"], cell_named("mini", "norag")
GROUP, BROKEN = "m4rag_mini_norag", "m4rag_mini_norag_en"
# The first three questions are about one picture, the fourth about another.
LIMIT = 4
ANSWER = 2


def parts(request: dict, kind: str) -> list[dict]:
    """The parts of one kind ("text", "image_url") in a chat request."""
    return [part for message in request["messages"] for part in message["content"] if part["type"] == kind]


@contextmanager
def stub_server(dead: str) -> Iterator[tuple[str, list[dict]]]:
    """A server that answers option 2 to everything, and HTTP 500 where the prompt is `dead`.

    Yields its address and the requests it got.
    """
    requests: list[dict] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append(request)
            if parts(request, "text")[0]["text"] == dead:
                self.reply(500, {"error": {"message": "out of memory on device 3", "type": "server_error"}})
                return
            message = {"role": "assistant", "content": json.dumps({"answer": ANSWER})}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
            completion = {"id": "1", "object": "chat.completion", "created": 0, "model": "stub"}
            self.reply(200, {**completion, "choices": [choice], "usage": usage})

        def reply(self, status: int, body: dict) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> SimpleNamespace:
    """A run over all languages in which the first English question's request always fails."""
    folder = tmp_path_factory.mktemp("openai")
    dead = next(row for row in datasets.all_rows(MINI) if row.language == "en")
    with stub_server(NORAG.prompt(dead)) as (address, requests):
        server = f"model=stub,base_url={address},api_key=none,httpx_trust_env=False"
        done = run_lmms_eval(
            *("--model", "openai", "--model_args", f"{server},max_retries=1,retry_backoff_s=0"),
            *("--tasks", GROUP, "--limit", str(LIMIT), "--log_samples", "--output_path", str(folder)),
        )
    output = done.stdout + done.stderr
    found = samples(folder)
    assert BROKEN in found, output[-4000:]
    return SimpleNamespace(samples=found, results=results(folder), requests=requests, output=output, dead=dead)


@pytest.fixture
def rows() -> dict[str, Row]:
    """The rows of the mini benchmark by question id."""
    return {row.question_id: row for row in datasets.all_rows(MINI)}


def records(run) -> list[dict]:
    """All records of a run."""
    return [sample["accuracy"] for task in run.samples.values() for sample in task]


def test_prompt_and_picture_are_sent(run, rows):
    assert len(records(run)) == LIMIT * len(suite.select("mini", "norag", variant=""))
    by_prompt = {parts(request, "text")[0]["text"]: request for request in run.requests}
    for record in records(run):
        row = rows[record["question_id"]]
        request = by_prompt[NORAG.prompt(row)]
        (picture,) = parts(request, "image_url")
        header, data = picture["image_url"]["url"].split(",", 1)
        assert header in {"data:image/png;base64", "data:image/jpeg;base64"}
        sent = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        assert sent.format == header.removeprefix("data:image/").removesuffix(";base64").upper()
        shown = Image.open(MINI_FOLDER / row.image_id).convert("RGB")
        assert ImageChops.difference(sent.convert("RGB"), shown).getbbox() is None
        assert request["temperature"] == 0
        assert record["image"] == "shown"


def test_an_answer_is_scored(run):
    answered = [record for record in records(run) if record["question_id"] != run.dead.question_id]
    for record in answered:
        assert (record["prediction"], record["parse"]) == (ANSWER, "json")
        assert record["score"] == float(record["gold"] == ANSWER)
    for task, task_samples in run.samples.items():
        if task != BROKEN:
            scores = [sample["accuracy"]["score"] for sample in task_samples]
            assert run.results["results"][task]["accuracy,none"] == pytest.approx(sum(scores) / len(scores))
            assert run.results["results"][task]["failed,none"] == 0


def test_a_failed_request_is_no_wrong_answer(run):
    (sample,) = [sample for sample in run.samples[BROKEN] if sample["accuracy"]["question_id"] == run.dead.question_id]
    # The harness hands its own marker on as the answer; it even holds a number.
    assert sample["filtered_resps"].startswith("[LMMS_EVAL_REQUEST_FAILED")
    record = sample["accuracy"]
    assert (record["prediction"], record["parse"]) == (None, "failed_request")
    assert "score" not in record


def test_a_failed_request_leaves_the_task_visibly_incomplete(run):
    broken = run.results["results"][BROKEN]
    assert math.isnan(broken["accuracy,none"])
    assert math.isnan(broken["micro,none"])
    assert broken["failed,none"] == 1
    assert broken["invalid,none"] == 0
    assert f"1 of {LIMIT} questions have no answer or no score" in run.output
    assert run.dead.question_id in run.output


def test_a_failed_request_leaves_the_group_visibly_incomplete(run):
    group = run.results["groups"][GROUP]
    assert math.isnan(group["accuracy,none"])
    assert math.isnan(group["micro,none"])
