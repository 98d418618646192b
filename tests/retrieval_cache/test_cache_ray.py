"""Builds over a Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import retrieval_cache
from benchmarks import tiny_encoders
from m4rag_tasks.cli import main
from retrieval_cache import CorpusError, DoesNotFit, build_cache, default_spec, estimate
from retrieval_cache.dense import shards
from retrieval_cache.ray_cluster import _actors, _rows, build_with_ray
from retrieval_cache.ray_worker import ClusterError, EmbeddingWork, libraries_of
from retrieval_cache.retriever import IndexFolder
from retrieval_cache.retrievers import DenseRetriever, Resources, make_retriever

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    pytest.importorskip("ray.data", reason="the extra `ray` is not installed")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    path = os.pathsep.join([str(Path(retrieval_cache.__file__).parents[1]), str(HERE)])
    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    made = Cluster(initialize_head=True, head_node_args=node)
    made.add_node(**node)
    ray.init(
        address=made.address,
        logging_level="warning",
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}, "worker_process_setup_hook": "ray_nodes.prepare"},
    )
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def units_of(tmp_path, monkeypatch):
    """Called with a number: units of so many passages or queries, here and for workers."""

    def small(size):
        monkeypatch.setattr(shards, "SHARD_ROWS", size)
        monkeypatch.setattr(DenseRetriever, "query_block", size)
        (tmp_path / "unit").write_text(str(size))

    return small


@pytest.fixture
def whole(world, tree, units_of):
    """The files of a build by one process, in units as small as the workers'."""
    units_of(1)
    root = world.root.parent / "whole"
    build_cache(world.spec("pixel"), world.queries, root)
    return tree(root)


def test_two_nodes_give_the_bytes_of_one_process(cluster, world, tree, whole):
    for kind in ("shard", "part"):
        (world.root.parent / f"both-{kind}").mkdir()
    lines = []
    build_with_ray(world.spec("pixel"), world.queries, world.root, lines.append)
    assert tree(world.root) == whole
    assert "embedding passages: 8 units on 2 nodes" in lines and "searching: 8 units on 2 nodes" in lines
    again = []
    build_with_ray(world.spec("pixel"), world.queries, world.root, again.append)
    assert not any("units" in line for line in again)


def test_killed_workers_cost_their_units(cluster, world, tree, whole):
    for kind in ("shard", "part"):
        (world.root.parent / f"die-{kind}").touch()
    build_with_ray(world.spec("pixel"), world.queries, world.root)
    assert not list(world.root.parent.glob("die-*"))
    assert tree(world.root) == whole


@pytest.mark.parametrize("retriever, killed", [("mme5", ()), ("b3", ("shard", "part"))])
def test_models_of_text_and_pictures(cluster, retriever, killed, units_of, tmp_path, tree, monkeypatch, capsys):
    """The command ends in the bytes of one process, also where a worker is killed while embedding and searching."""
    model = {"mme5": tiny_encoders.save_mllama, "b3": tiny_encoders.save_b3}[retriever](tmp_path / "model")
    asked = ["--dataset", "mini", "--setting", "mmrag", "--retriever", retriever, "--model", str(model)]
    units_of(300)
    for kind in ("shard", "part"):
        (tmp_path / f"both-{kind}").mkdir()
    for kind in killed:
        (tmp_path / f"die-{kind}").touch()
    for root, engine in (("whole", ()), ("ray", ("--engine", "ray"))):
        monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / root))
        assert main(["cache", "build", *asked, *engine]) == 0
    told = capsys.readouterr().err
    assert "embedding passages: 3 units on" in told and "searching: 2 units on" in told
    for kind in ("shard", "part"):
        assert len(list((tmp_path / f"both-{kind}").iterdir())) == 2
    assert not list(tmp_path.glob("die-*"))
    assert tree(tmp_path / "ray") == tree(tmp_path / "whole")


def test_what_is_there_is_not_made_again(cluster, world, tree, whole):
    made = world.root.parent / "whole"
    shard = next(made.glob("indexes/*/embeddings-00003.npy"))
    here = world.root / shard.relative_to(made)
    here.parent.mkdir(parents=True)
    here.write_bytes(shard.read_bytes())
    lines = []
    build_with_ray(world.spec("pixel"), world.queries, world.root, lines.append)
    assert any("embedding passages: 7 units" in line for line in lines)
    assert tree(world.root) == whole


def test_an_error_on_a_node_is_told_as_it_is(cluster, world, whole):
    world.queries[2].image_path.write_bytes(b"no picture")
    with pytest.raises(CorpusError, match=r"query 'q2'.*cannot be read"):
        build_with_ray(world.spec("pixel"), world.queries, world.root)


def test_an_error_that_is_not_ours_names_the_node(cluster, world, whole):
    (world.root.parent / "fail-shard").mkdir()
    with pytest.raises(ClusterError, match=r"the node .* failed with RuntimeError: out of order"):
        build_with_ray(world.spec("pixel"), world.queries, world.root)


def test_a_unit_that_kills_every_worker_ends_the_build(cluster, world, whole):
    (world.root.parent / "die-shard").mkdir()
    with pytest.raises(ClusterError, match=r"2 workers were killed .* while they made .*embeddings-0") as caught:
        build_with_ray(world.spec("pixel"), world.queries, world.root)
    assert "lack memory" in caught.value.fix


def test_what_ray_itself_says_is_an_error_of_ours():
    exceptions = pytest.importorskip("ray.exceptions", reason="the extra `ray` is not installed")

    class Made:
        def iter_rows(self):
            yield {"unit": 1}
            raise exceptions.RaySystemError("all nodes are gone")

    rows = _rows(Made())
    assert next(rows) == {"unit": 1}
    with pytest.raises(ClusterError, match=r"did not go on .*all nodes are gone"):
        next(rows)


def test_a_cluster_that_is_not_there_is_named(world, monkeypatch):
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

    def init(**options):
        raise ConnectionError("not a cluster")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with pytest.raises(ClusterError, match=r"no Ray cluster can be reached at local \(not a cluster\)"):
        build_with_ray(world.spec("pixel"), world.queries, world.root)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        for scheme in ("", "ray://"):
            monkeypatch.setenv("RAY_ADDRESS", f"{scheme}127.0.0.1:{nobody.getsockname()[1]}")
            told = rf"no Ray cluster can be reached at {scheme}127\.0\.0\.1:\d+ \(.*refused"
            with pytest.raises(ClusterError, match=told):
                build_with_ray(world.spec("pixel"), world.queries, world.root)


def test_without_ray_the_extra_is_named(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match="needs Ray") as caught:
        build_with_ray(world.spec("pixel"), world.queries, world.root)
    assert "m4rag-tasks[ray]" in caught.value.fix


@pytest.fixture
def work(world):
    cache = world.build("pixel")
    retriever = make_retriever(default_spec("pixel"))
    passages = next(world.root.glob("passages/*/passages.arrow"))
    index = IndexFolder(next(world.root.glob("indexes/*")))
    assert cache
    return EmbeddingWork(retriever.spec, Resources(), world.root, libraries_of(retriever), index, passages, None)


def test_a_node_like_the_driver_can_take_part(work):
    assert [unit.is_done() for unit in work.units()] == [True]


def test_a_node_that_does_not_see_the_cache_is_named(work):
    with pytest.raises(ClusterError, match=r"does not see the cache folder"):
        replace(work, passages=work.passages.with_name("elsewhere")).units()


def test_a_node_without_the_memory_refuses(work, monkeypatch):
    monkeypatch.setattr(estimate, "available_memory", lambda: 1)
    with pytest.raises(DoesNotFit, match=r"embedding with pixel on the node .* needs .* of memory more"):
        work.units()


def test_a_node_with_other_versions_is_named(work):
    with pytest.raises(ClusterError, match=r"it has numpy .* \(driver: 1\.0\)"):
        replace(work, libraries={**work.libraries, "numpy": "1.0"}).units()


@pytest.mark.parametrize(
    "nodes, expected",
    [
        ([{"CPU": 16, "GPU": 8}, {"CPU": 16, "GPU": 8}, {"CPU": 4}], (16, {"num_gpus": 1})),
        ([{"CPU": 16}, {"CPU": 8}], (2, {"num_cpus": 7})),
        ([{"CPU": 1}, {}], (1, {"num_cpus": 1})),
    ],
)
def test_an_actor_for_each_gpu_or_each_node(nodes, expected):
    gone = {"Alive": False, "Resources": {"CPU": 64, "GPU": 64}}
    assert _actors([gone, *({"Alive": True, "Resources": node} for node in nodes)]) == expected


def test_a_cluster_without_anything_to_work_on():
    with pytest.raises(ClusterError, match="neither GPUs nor CPUs"):
        _actors([{"Alive": True, "Resources": {}}])
