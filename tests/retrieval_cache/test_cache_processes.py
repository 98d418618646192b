"""Several processes build one cache: they share the work, and it ends as if one had done it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tqdm import tqdm

import retrieval_cache
from benchmarks import tiny_encoders
from retrieval_cache import build_cache, device
from retrieval_cache.dense import shards
from retrieval_cache.files import artefact_lock, atomic_file, lock_path
from retrieval_cache.units import make_unit, share_units

PACKAGE = Path(retrieval_cache.__file__).parents[1]

# Says a line for each shard and part it makes; `dies_after` of them it kills itself in the middle of the next.
WORKER = """
import json, os, signal, sys
from pathlib import Path
from retrieval_cache import BuildSpec, Query, build_cache, default_spec, retrievers, searches
from retrieval_cache.dense import embed, shards
from retrieval_cache.encoders.weights import resolve_weights
from retrieval_cache.retrievers import Resources
from retrieval_cache.specs import with_weights
job = json.loads(sys.argv[1])
retrievers.Bm25Retriever.query_block = retrievers.DenseRetriever.query_block = shards.SHARD_ROWS = 1
made = 0

def counted(make):
    def counting(unit, advance):
        global made
        print(unit.path.name, flush=True)
        if made == job["dies_after"]:
            (unit.path.parent / "half.tmp").write_bytes(b"half of i")
            os.kill(os.getpid(), signal.SIGKILL)
        made += 1
        if job["waits"]:
            sys.stdin.readline()
        make(unit, advance)
    return counting

for unit in (embed.EmbeddingShard, searches.PartOfHits):
    unit.make = counted(unit.make)
queries = [Query(i, t, m, Path(p)) for i, t, m, p in job["queries"]]
model = job["model"] and Path(job["model"])
retriever = default_spec(job["retriever"])
if model:
    retriever = with_weights(retriever, resolve_weights(str(model)).revision)
spec = BuildSpec("mini", "test", Path(job["corpus"]), retriever, Path(job["image_root"]), k=3)
build_cache(spec, queries, Path(job["root"]), resources=Resources(model))
print("done", flush=True)
"""


def start(world, retriever="pixel", dies_after=None, waits=False, model=None, **environment) -> subprocess.Popen:
    job = {
        "corpus": str(world.corpus), "image_root": str(world.image_root), "root": str(world.root),
        "queries": [[q.id, q.text, q.image_id, str(q.image_path)] for q in world.queries],
        "retriever": retriever, "dies_after": dies_after, "waits": waits, "model": model and str(model),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, json.dumps(job)], text=True, cwd=PACKAGE, env=os.environ | environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture
def whole(world, tree, monkeypatch):
    """The files of a build by one process, with shards as small as the workers'."""
    monkeypatch.setattr(shards, "SHARD_ROWS", 1)
    root = world.root.parent / "whole"
    build_cache(world.spec("pixel"), world.queries, root)
    return tree(root)


def test_two_processes_make_each_shard_and_part_once(world, tree, whole):
    first = start(world, waits=True)
    held = first.stdout.readline().strip()  # it sits on this shard until it is told to go on
    second = start(world)
    others = [second.stdout.readline().strip() for _ in range(7)]
    print("go", file=first.stdin, flush=True)
    print("\n" * 20, file=first.stdin, flush=True)
    made = [held, *others]
    for worker in (first, second):
        out, error = worker.communicate(timeout=120)
        assert worker.returncode == 0, error
        made += [line for line in out.split() if line != "done"]
    assert held.startswith("embeddings-") and len(set(made[:8])) == 8
    assert len(made) == len(set(made)) == 16  # 8 shards, 8 parts
    assert tree(world.root) == whole
    assert not [path for path in (world.root / ".locks").iterdir() if "embeddings-" in path.name]


@pytest.mark.parametrize("dies_after", [2, 10])  # while embedding, while searching
def test_a_killed_worker_costs_what_it_was_making(world, tree, whole, dies_after):
    killed = start(world, dies_after=dies_after)
    out, _ = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    lost = out.split()[-1]
    assert list(world.root.rglob("half.tmp"))
    other = start(world)
    out, error = other.communicate(timeout=120)
    assert other.returncode == 0, error
    made = out.split()
    assert made[0] == lost and len(made) == 16 - dies_after + 1  # and "done"
    assert tree(world.root) == whole


def test_a_model_of_text_and_pictures_goes_on_where_it_was_killed(make_world, tmp_path, tree):
    model = tiny_encoders.save_b3(tmp_path / "model")
    whole, killed = make_world(tmp_path), make_world(tmp_path)
    killed.root = tmp_path / "killed"
    made = []
    # While embedding, again while searching, and then to the end.
    for world, dies_after in ((whole, None), (killed, 2), (killed, 8), (killed, None)):
        worker = start(world, "b3", dies_after, model=model)
        out, error = worker.communicate(timeout=300)
        assert worker.returncode == (0 if dies_after is None else -signal.SIGKILL), error
        made.append(out.split())
    assert len(made[0]) == 16 + 1  # and "done"
    assert [len(lines) for lines in made[1:]] == [2 + 1, 8 + 1, 16 - 2 - 8 + 1]
    assert tree(killed.root) == tree(whole.root)


def test_whoever_waits_for_a_killed_worker_makes_its_unit(world, tree, whole):
    killed = start(world, waits=True)
    held = killed.stdout.readline().strip()
    other = start(world)
    assert held not in [other.stdout.readline().strip() for _ in range(7)]
    killed.kill()
    out, error = other.communicate(timeout=120)
    assert other.returncode == 0, error
    assert out.split()[0] == held
    assert tree(world.root) == whole
    killed.communicate()


class Letters:
    """A unit that writes its letters."""

    def __init__(self, path: Path, letters: str) -> None:
        self.path, self.letters, self.items, self.made = path, letters, len(letters), 0

    def is_done(self) -> bool:
        return self.path.exists()

    def make(self, advance) -> None:
        with atomic_file(self.path) as file:
            file.write(self.letters.encode())
        self.made += 1
        advance(self.items)


def test_a_unit_that_another_has_is_waited_for_and_said(tmp_path):
    units = [Letters(tmp_path / "a" / name, name * 3) for name in "xyz"]
    lines = []

    def say(line):
        lines.append(line)
        with atomic_file(units[1].path) as file:  # the other one is done
            file.write(b"yyy")
        other.release()

    other = retrieval_cache.units.filelock.FileLock(lock_path(tmp_path, units[1].path))
    lock_path(tmp_path, units[1].path).parent.mkdir()
    other.acquire()
    share_units(units, tmp_path, "writing", "letters", say)
    assert [unit.made for unit in units] == [1, 0, 1] and units[1].is_done()
    assert len(lines) == 1 and "another process is making" in lines[0] and str(units[1].path) in lines[0]
    make_unit(units[0], tmp_path, say)
    assert units[0].made == 1


def test_an_error_leaves_the_unit_to_others(tmp_path):
    unit = Letters(tmp_path / "a" / "x", "x")
    real = unit.make
    unit.make = lambda advance: 1 / 0
    with pytest.raises(ZeroDivisionError):
        share_units([unit], tmp_path, "writing", "letters", print)
    unit.make = real
    share_units([unit], tmp_path, "writing", "letters", print)
    assert unit.made == 1


def test_locks_of_units_lie_beside_those_of_artefacts(tmp_path):
    with artefact_lock(tmp_path, tmp_path / "a", print):
        share_units([Letters(tmp_path / "a" / "x", "x")], tmp_path, "writing", "letters", print)
    assert {path.parent for path in tmp_path.rglob("*.lock")} <= {tmp_path / ".locks"}


def test_the_rate_counts_passages_and_not_what_was_there_before(tmp_path, monkeypatch):
    units = [Letters(tmp_path / "a" / name, name * 300) for name in "xyz"]
    units[0].make(lambda count: None)
    shown = []

    def shown_bar(**options):
        shown.append(tqdm(**{**options, "disable": False}))
        return shown[-1]

    monkeypatch.setattr(retrieval_cache.units, "tqdm", shown_bar)
    share_units(units, tmp_path, "writing", "letters", print)
    told = shown[0].format_dict
    assert (told["total"], told["initial"], told["unit"], told["prefix"]) == (900, 300, " letters", "writing")


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({}, 0),
        ({"RANK": "3"}, 3),
        ({"SLURM_PROCID": "2"}, 2),
        ({"RANK": "1", "SLURM_PROCID": "2"}, 1),
        ({"RANK": "x"}, 0),
    ],
)
def test_which_of_several_processes_this_is(monkeypatch, variables, expected):
    for name in ("RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert device.rank() == expected


def test_processes_of_one_machine_take_a_gpu_each(monkeypatch):
    import torch

    monkeypatch.setattr(device, "_DRIVERS", ("/dev/null",))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for count, local, expected in [(1, "0", "cuda"), (1, "3", "cuda"), (4, "3", "cuda:3"), (4, "5", "cuda:1")]:
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        monkeypatch.setenv("LOCAL_RANK", local)
        assert device.best_device() == expected


def test_what_torch_keeps_of_an_earlier_build_counts_as_free(monkeypatch):
    import torch

    kept = {"blocks": 300, "model": 400}

    class Encoder:
        def __init__(self):
            self.itself = self  # as models refer to themselves

        def __del__(self):
            kept["blocks"] += kept.pop("model")

    monkeypatch.setattr(device, "best_device", lambda: "cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (1000 - sum(kept.values()), 1000))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: kept.pop("blocks"))
    Encoder()
    assert device.free_memory() == 1000


def launch(arguments: list[str], root: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"M4RAG_CACHE": str(root), "PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, *arguments, "-m", "m4rag_tasks.cli", "cache", "build"]
    command += ["--dataset", "mini", "--setting", "mmrag", "--retriever", "pixel"]
    return subprocess.run(command, check=False, env=environment, cwd=PACKAGE, capture_output=True, text=True)


def test_torchrun_with_two_processes_gives_the_bytes_of_one(tmp_path, tree):
    alone = launch([], tmp_path / "alone")
    assert alone.returncode == 0, alone.stderr
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    both = launch(torchrun, tmp_path / "both")
    assert both.returncode == 0, both.stderr
    assert both.stdout == alone.stdout and both.stderr.count("ready: ") == 1
    assert tree(tmp_path / "both") == tree(tmp_path / "alone")
