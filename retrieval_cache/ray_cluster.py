"""One build over the machines of a Ray cluster (the extra `ray`).

The driver cuts the passages, makes what is made in one piece and finishes the
hits. Between, Ray Data hands out the same units that processes of one machine
share (`units`), first shards of embeddings and then blocks of searches, to
actors that hold the encoder: one for each GPU, or one for each node where
there is none (`ray_worker`). An actor that dies is started anew by Ray and costs its unit.

Cache root, images and weights must lie on storage that all nodes see under the
same path, and all nodes must have the same versions of what shapes the vectors;
both are checked. Nothing but the numbers of units goes through Ray's object store,
beside what is asked (Ray sends it pickled, within the cluster).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval_cache.build import Build
from retrieval_cache.dense.embed import EMBEDDING
from retrieval_cache.estimate import gigabytes, refuse_what_cannot_fit
from retrieval_cache.files import Progress
from retrieval_cache.ray_worker import ClusterError, EmbeddingWork, SearchWork, Tries, Worker, libraries_of
from retrieval_cache.records import BuildSpec, CacheError, Query
from retrieval_cache.retriever import IndexFolder, Retriever, key_of_index
from retrieval_cache.retrievers import Resources
from retrieval_cache.searches import SEARCHING
from retrieval_cache.store.cache import Cache
from retrieval_cache.store.caches import index_folder, passages_folder
from retrieval_cache.store.manifest import Manifest
from retrieval_cache.store.passages import FILE as PASSAGES_FILE
from retrieval_cache.store.passages import PassageTable
from retrieval_cache.units import Unit, progress_bar

if TYPE_CHECKING:
    from ray.data import Dataset


def build_with_ray(
    spec: BuildSpec,
    queries: Iterable[Query],
    root: Path,
    progress: Progress = lambda line: None,
    resources: Resources = Resources(),  # noqa: B008  it is frozen
) -> Cache:
    """`build_cache` with the nodes of a Ray cluster; the files are those of a build by one process.

    Joins the cluster that RAY_ADDRESS names or that runs here, else starts one
    of this machine alone. Raises ClusterError too.
    """
    # Nodes have working folders of their own.
    resources = replace(resources, model=resources.model and resources.model.resolve())
    asked = [replace(query, image_path=query.image_path and query.image_path.resolve()) for query in queries]
    build = Build(spec, asked, Path(root).resolve(), progress, resources=resources)
    manifest = build.manifest()
    folder = build.folder(manifest)
    if build.finished(folder) is None:
        _join(progress)
        index = _index(build, build.retriever, manifest)
        searches, blocks = build.searches(manifest)
        units = searches.units(blocks, folder, folder, lambda: build.retriever.open(index), progress)
        work = SearchWork(
            spec.retriever, build.resources, build.root, libraries_of(build.retriever), index, searches, blocks, folder
        )
        _spread(work, units, SEARCHING, "queries", progress)
    return build.run()


def _index(build: Build, retriever: Retriever, manifest: Manifest) -> IndexFolder:
    """The index of a retriever and those of its components: shards by the cluster, all else here."""
    parts = tuple(_index(build, part, manifest) for part in retriever.components)
    place = IndexFolder(index_folder(build.root, key_of_index(retriever, manifest)), parts)
    passages = passages_folder(build.root, manifest.passages_key) / PASSAGES_FILE
    image_root = build.image_root.resolve() if build.image_root and retriever.passage_images else None
    table = PassageTable(passages)
    units = retriever.units(table, place, image_root)
    if not all(unit.is_done() for unit in units):
        build.progress(f"index: {retriever.spec.name}, {retriever.plan(len(table))}")
        # The model is loaded by the nodes that embed: whether it fits there, they say; how fast they are, nobody knows.
        needs = replace(retriever.needs(table, place, image_root), memory=0, gpu=0)
        refuse_what_cannot_fit(f"the index of {retriever.spec.name}", needs, place.path)
        build.progress(
            f"index: {retriever.spec.name} takes {gigabytes(needs.disk)} of disk; how long the nodes take shows when "
            "the first shards are made"
        )
    work = EmbeddingWork(
        retriever.spec, build.resources, build.root, libraries_of(retriever), place, passages, image_root
    )
    _spread(work, units, EMBEDDING, "passages", build.progress)
    return build.index(retriever, manifest)


def _spread(work: Any, units: Sequence[Unit], title: str, items: str, progress: Progress) -> None:
    """Have the units that are not done made by actors all over the cluster."""
    left = [number for number, unit in enumerate(units) if not unit.is_done()]
    if not left:
        return
    total = sum(unit.items for unit in units)
    nodes = set()
    with progress_bar(total, total - sum(units[number].items for number in left), title, items) as bar:
        for number, node in _made(work, left):
            nodes.add(node)
            bar.update(units[number].items)
    progress(f"{title}: {len(left):,} units on {len(nodes):,} nodes")


def _made(work: Any, numbers: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Number of each unit and the node that made it, in the order they are finished."""
    import ray
    from ray.data import ActorPoolStrategy

    actors, needs = _actors(ray.nodes())
    tries = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Tries).remote()
    rows = ray.data.from_items([{"unit": number} for number in numbers], override_num_blocks=len(numbers))
    made = rows.map_batches(
        Worker,
        fn_constructor_args=(ray.put(work), tries),
        batch_size=1,
        # Units are long: one that waits behind another would be missing where an actor is free.
        compute=ActorPoolStrategy(size=min(actors, len(numbers)), max_tasks_in_flight_per_actor=1),
        **needs,
    )
    for row in _rows(made):
        if row["error"]:
            kinds = {kind.__name__: kind for kind in _kinds(CacheError)}
            raise kinds.get(row["error"], CacheError)(row["message"], row["fix"])
        yield row["unit"], row["node"]


def _rows(made: Dataset) -> Iterator[dict[str, Any]]:
    """The rows of a data set as they are made. Raises ClusterError if Ray gives up."""
    from ray.data.exceptions import SystemException
    from ray.exceptions import RayError

    try:
        yield from made.iter_rows()
    except (RayError, SystemException) as error:
        raise ClusterError(
            f"the Ray cluster did not go on ({' '.join(str(error).split())[:300]}).",
            "Look at `ray status` and at Ray's logs. Build again when it is mended: what was made is kept.",
        ) from error


def _kinds(error: type[CacheError]) -> Iterator[type[CacheError]]:
    """A class of errors and all below it."""
    yield error
    for kind in error.__subclasses__():
        yield from _kinds(kind)


def _actors(nodes: Sequence[Mapping[str, Any]]) -> tuple[int, dict[str, float]]:
    """How many actors, and what each needs: a GPU, or a node without one (less a CPU, for Ray's own work)."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = int(sum(node.get("GPU", 0) for node in alive))
    if gpus:
        return gpus, {"num_gpus": 1}
    cpus = [node["CPU"] for node in alive if node.get("CPU", 0) >= 1]
    if not cpus:
        raise ClusterError("the Ray cluster has neither GPUs nor CPUs.", "Add nodes: ray start --address=…")
    return len(cpus), {"num_cpus": max(1, min(cpus) - 1)}


def _join(progress: Progress) -> None:
    """Connect to a cluster. Raises ClusterError without Ray."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ClusterError("a build over a cluster needs Ray.", "pip install 'm4rag-tasks[ray]'") from error
    address = os.environ.get("RAY_ADDRESS", "")
    try:
        if not ray.is_initialized():
            host, _, port = address.removeprefix("ray://").rpartition(":")
            if host and port.isdecimal():
                # Where nobody answers, Ray itself goes on trying for many minutes.
                socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
            ray.init(logging_level="warning")
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"no Ray cluster can be reached at {address or 'this machine'} ({error}).",
            "Start one (ray start --head), and name it by RAY_ADDRESS, or leave that out for one of this machine.",
        ) from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    progress(f"ray: {sum(node['Alive'] for node in ray.nodes()):,} nodes")
