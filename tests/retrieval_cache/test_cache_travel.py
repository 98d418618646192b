"""Push and pull: what arrives is what was sent, or nothing does."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from huggingface_hub import errors

from retrieval_cache import (
    CacheCorrupt,
    CacheError,
    CacheMismatch,
    RemoteError,
    build_cache,
    default_spec,
    export_cache,
    find_cache,
    open_remote,
    pull_caches,
    push_caches,
    verify,
)
from retrieval_cache.files import file_sha256
from retrieval_cache.records import FORMAT_VERSION
from retrieval_cache.store.remote import FolderRemote, HubRemote


class Hub:
    """What of HfApi is used, over a folder: commits are copies of it."""

    def __init__(self, folder: Path, lfs: bool = True) -> None:
        self.folder, self.lfs, self.commits, self.asked = folder, lfs, [], []

    def _head(self) -> Path:
        if not self.commits:
            raise errors.RepositoryNotFoundError("404", response=_answer(404))
        return self.folder / self.commits[-1]

    def dataset_info(self, repository, revision=None):
        if revision not in (None, "main"):
            raise errors.RevisionNotFoundError("404", response=_answer(404))
        return SimpleNamespace(sha=self._head().name)

    def list_repo_files(self, repository, repo_type, revision):
        assert repo_type == "dataset"
        head = self.folder / revision
        return [path.relative_to(head).as_posix() for path in head.rglob("*") if path.is_file()]

    def get_paths_info(self, repository, paths, repo_type, revision):
        sha = file_sha256(self.folder / revision / paths[0])
        return [SimpleNamespace(lfs=SimpleNamespace(sha256=sha) if self.lfs else None)]

    def snapshot_download(self, repository, repo_type, revision, allow_patterns, local_dir):
        self.asked += allow_patterns
        (Path(local_dir) / ".cache" / "huggingface").mkdir(parents=True, exist_ok=True)
        for name in allow_patterns:
            if (self.folder / revision / name).is_file():
                (Path(local_dir) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.folder / revision / name, Path(local_dir) / name)

    def create_repo(self, repository, repo_type, private, exist_ok):
        assert private and exist_ok

    def create_commit(self, repository, operations, commit_message, repo_type, revision):
        assert commit_message.startswith("Retrieval caches: ")
        head = self.folder / f"{len(self.commits):040d}"
        if self.commits:
            shutil.copytree(self._head(), head)
        for addition in operations:
            (head / addition.path_in_repo).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(addition.path_or_fileobj, head / addition.path_in_repo)
        self.commits.append(head.name)


def _answer(status: int) -> httpx.Response:
    return SimpleNamespace(status_code=status, headers={}, request=None)


@pytest.fixture(params=["folder", "hub", "hub without lfs"])
def remote(request, tmp_path):
    if request.param == "folder":
        return FolderRemote(tmp_path / "remote")
    return HubRemote("us/caches", None, Hub(tmp_path / "remote", lfs=request.param == "hub"))


def arrived(root: Path, tree) -> dict[str, bytes]:
    """What can be seen under a root that was pulled to; staged files cannot."""
    return {name: content for name, content in tree(root).items() if not name.startswith(".incoming")}


def without_indexes(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.startswith("indexes/")}


def test_what_is_pulled_is_what_was_pushed(world, tree, remote, tmp_path):
    caches = [world.build("bm25"), world.build("pixel"), world.build("bm25", setting="second")]
    assert push_caches(remote, caches, world.root) == 3
    pulled = pull_caches(remote, tmp_path / "there")
    assert {cache.key for cache in pulled} == {cache.key for cache in caches}
    assert arrived(tmp_path / "there", tree) == without_indexes(tree(world.root))
    assert not list((tmp_path / "there" / ".incoming").iterdir())
    found = find_cache(tmp_path / "there", replace(world.wanted(), retriever=None))
    assert found.manifest.retriever.name == "pixel"  # the last build there, as here
    build_cache(world.spec(), world.queries, tmp_path / "there")  # goes on from what was pulled
    assert without_indexes(tree(tmp_path / "there")).keys() == without_indexes(tree(world.root)).keys()


def test_pushing_and_pulling_again_moves_nothing(world, tree, remote, tmp_path):
    caches = [world.build()]
    push_caches(remote, caches, world.root)
    pull_caches(remote, tmp_path / "there")
    before = tree(tmp_path / "there"), tree(tmp_path / "remote")
    remote.send = lambda files, message: pytest.fail(f"sent {files}")
    assert push_caches(remote, caches, world.root) == 0
    fetched = []
    fetch = remote.fetch
    remote.fetch = lambda names, folder: fetched.extend(names) or fetch(names, folder)
    pull_caches(remote, tmp_path / "there")
    assert {Path(name).suffix for name in fetched} == {".json"}
    assert before == (tree(tmp_path / "there"), tree(tmp_path / "remote"))


def test_only_what_is_asked_for_is_pulled(world, remote, tmp_path):
    push_caches(remote, [world.build(), world.build(setting="second")], world.root)
    pulled = pull_caches(remote, tmp_path / "there", lambda dataset, setting: setting == "second")
    assert [cache.manifest.setting for cache in pulled] == ["second"]
    with pytest.raises(RemoteError, match="holds no cache of what is asked for"):
        pull_caches(remote, tmp_path / "there", lambda dataset, setting: False)


@pytest.mark.parametrize("name", ["bm25", "hybrid"])
def test_indexes_travel_if_asked_for(world, tree, tmp_path, name):
    remote = FolderRemote(tmp_path / "remote")
    push_caches(remote, [world.build(name)], world.root, with_index=True)
    pull_caches(remote, tmp_path / "there", with_index=True)
    assert arrived(tmp_path / "there", tree) == tree(world.root)
    shutil.rmtree(tmp_path / "remote" / "indexes")
    with pytest.raises(RemoteError, match="has no file indexes/"):
        pull_caches(remote, tmp_path / "elsewhere", with_index=True)
    shutil.rmtree(world.root / "indexes")
    with pytest.raises(CacheMismatch, match="is not here"):
        push_caches(remote, [world.build(name)], world.root, with_index=True)


def test_an_export_travels(world, tree, remote, tmp_path):
    exported = export_cache(world.build("pixel", k=1), tmp_path / "out")
    push_caches(remote, [exported], tmp_path / "out")
    (pulled,) = pull_caches(remote, tmp_path / "there")
    assert arrived(tmp_path / "there", tree) == tree(tmp_path / "out") and verify(pulled.folder) == []
    pull_caches(remote, tmp_path / "there")


@pytest.mark.parametrize("kind", ["hits.arrow", "passages.arrow", "manifest.json"])
def test_a_flipped_bit_there_is_found_and_nothing_appears(world, tree, tmp_path, kind):
    remote = FolderRemote(tmp_path / "remote")
    push_caches(remote, [world.build()], world.root)
    path = next(remote.path.rglob(kind))
    good = path.read_bytes()
    content = bytearray(good)
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CacheError) as caught:
        pull_caches(remote, tmp_path / "there")
    assert kind in str(caught.value)
    assert not [name for name in arrived(tmp_path / "there", tree) if "hits/" in name]
    path.write_bytes(good)
    pull_caches(remote, tmp_path / "there")
    assert arrived(tmp_path / "there", tree) == without_indexes(tree(world.root))


def test_a_pull_that_broke_off_goes_on(world, tree, tmp_path):
    remote = FolderRemote(tmp_path / "remote")
    push_caches(remote, [world.build()], world.root)
    fetch, fetched, fails = remote.fetch, [], [True]

    def breaking(names, folder):
        for name in names:
            if name.startswith("passages/") and fails.pop():
                raise RemoteError("The line is cut.")
            fetched.append(name)
            fetch([name], folder)

    fails[:] = [False, True]
    remote.fetch = breaking
    with pytest.raises(RemoteError, match="cut"):
        pull_caches(remote, tmp_path / "there")
    pull_caches(remote, tmp_path / "there")
    assert arrived(tmp_path / "there", tree) == without_indexes(tree(world.root))
    assert sum(name.endswith("hits.arrow") for name in fetched) == 1


def test_damaged_files_here_are_replaced_by_a_pull(world, tree, remote, tmp_path):
    push_caches(remote, [world.build()], world.root)
    (cache,) = pull_caches(remote, tmp_path / "there")
    before = arrived(tmp_path / "there", tree)
    for path in (cache.passages.path, cache.folder / "hits.arrow"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    pull_caches(remote, tmp_path / "there")
    assert arrived(tmp_path / "there", tree) == before


def test_other_bytes_under_one_key_are_never_overwritten(world, tree, remote, tmp_path):
    cache = world.build()
    push_caches(remote, [cache], world.root)
    before = tree(tmp_path / "remote")
    passages = cache.passages.path
    content = passages.read_bytes().replace(b"Rendang is", b"Rendang at")
    passages.write_bytes(content)
    with pytest.raises(CacheCorrupt, match="not pushed"):
        push_caches(remote, [cache], world.root)
    # The manifest promises the other bytes too: equal keys, both sound in themselves.
    for name, path in (("manifest.json", cache.folder), ("meta.json", passages.parent)):
        text = (path / name).read_text()
        (path / name).write_text(text.replace(cache.manifest.files["passages.arrow"]["sha256"], file_sha256(passages)))
    with pytest.raises(CacheMismatch, match="holds other bytes under passages/"):
        push_caches(remote, [world.build()], world.root)
    assert tree(tmp_path / "remote") == before


def test_notes_of_other_builds_there_are_kept(world, remote, tmp_path):
    push_caches(remote, [world.build("bm25")], world.root)
    other = tmp_path / "other"
    push_caches(remote, [build_cache(world.spec("pixel"), world.queries, other)], other)
    pull_caches(remote, tmp_path / "there")
    for name in ("bm25", "pixel"):
        assert find_cache(tmp_path / "there", world.wanted(name)).manifest.retriever.name == name
    any_retriever = replace(world.wanted(), retriever=None)
    assert find_cache(tmp_path / "there", any_retriever).manifest.retriever.name == "pixel"


# --- remotes that mean harm -----------------------------------------------------


def placed(world, tmp_path) -> tuple[FolderRemote, Path]:
    remote = FolderRemote(tmp_path / "remote")
    push_caches(remote, [world.build()], world.root)
    return remote, next(remote.path.rglob("manifest.json"))


def test_a_manifest_under_the_name_of_another_is_refused(world, tree, tmp_path):
    remote, manifest = placed(world, tmp_path)
    moved = manifest.parents[2] / "evil" / manifest.parent.name
    moved.parent.mkdir()
    manifest.parent.rename(moved)
    with pytest.raises(CacheCorrupt, match="belongs to another folder"):
        pull_caches(remote, tmp_path / "there")
    assert arrived(tmp_path / "there", tree) == {}


@pytest.mark.parametrize("name", ["../evil.arrow", "/tmp/evil.arrow", "a/b", "..", "", ".hidden", "a\nb"])
def test_names_in_the_meta_of_an_index_cannot_leave_its_folder(world, tmp_path, name):
    remote = FolderRemote(tmp_path / "remote")
    push_caches(remote, [world.build()], world.root, with_index=True)
    path = next(remote.path.glob("indexes/*/meta.json"))
    meta = json.loads(path.read_text())
    meta["files"][name] = next(iter(meta["files"].values()))
    path.write_text(json.dumps(meta))
    before = {file for file in tmp_path.rglob("*") if "there" not in file.parts}
    with pytest.raises(CacheCorrupt, match="cannot be used"):
        pull_caches(remote, tmp_path / "there", with_index=True)
    assert {file for file in tmp_path.rglob("*") if "there" not in file.parts} == before
    assert not list((tmp_path / "there").glob("indexes/*/meta.json"))


@pytest.mark.parametrize("name", ["../x", "/abs", "hits/../../x"])
def test_data_set_names_in_a_manifest_cannot_leave_the_root(world, tree, tmp_path, name):
    remote, manifest = placed(world, tmp_path)
    manifest.write_text(manifest.read_text().replace('"dataset": "mini"', f'"dataset": "{name}"'))
    with pytest.raises(CacheCorrupt, match="dataset"):
        pull_caches(remote, tmp_path / "there")
    assert arrived(tmp_path / "there", tree) == {}


def test_links_out_of_a_folder_remote_are_not_followed(world, tree, tmp_path):
    remote, manifest = placed(world, tmp_path)
    secret = tmp_path / "secret"
    secret.write_bytes((manifest.parent / "hits.arrow").read_bytes())
    (manifest.parent / "hits.arrow").unlink()
    (manifest.parent / "hits.arrow").symlink_to(secret)
    with pytest.raises(CacheCorrupt, match="leads out of"):
        pull_caches(remote, tmp_path / "there")
    assert "hits/" not in "".join(arrived(tmp_path / "there", tree))


def test_a_newer_manifest_is_refused_with_a_sentence(world, tmp_path):
    remote, manifest = placed(world, tmp_path)
    newer = {**json.loads(manifest.read_text()), "format_version": FORMAT_VERSION + 1}
    manifest.write_text(json.dumps(newer))
    with pytest.raises(CacheMismatch, match=f"made by a newer program; this one reads format {FORMAT_VERSION}"):
        pull_caches(remote, tmp_path / "there")


# --- remotes that fail -----------------------------------------------------------


@pytest.mark.parametrize(
    "error, says",
    [
        (errors.OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE is set"),
        (errors.RepositoryNotFoundError("404", response=_answer(404)), "not there, or not for you to see"),
        (errors.GatedRepoError("403", response=_answer(403)), "only to those who were let in"),
        (errors.HfHubHTTPError("401", response=_answer(401)), r"refuses \(401\).*hf auth login"),
        (errors.HfHubHTTPError("403", response=_answer(403)), r"refuses \(403\).*hf auth login"),
        (errors.HfHubHTTPError("500", response=_answer(500)), r"answers with an error \(500\)"),
        (httpx.ConnectError("no route"), r"cannot be reached \(ConnectError\)"),
        (ConnectionError("no route"), "cannot be reached"),
    ],
)
def test_what_the_hub_answers_becomes_a_sentence(world, tmp_path, error, says):
    class Refusing:
        def __getattr__(self, name):
            def refuse(*args, **kwargs):
                raise error

            return refuse

    remote = HubRemote("us/caches", None, Refusing())
    with pytest.raises(RemoteError, match=says) as caught:
        pull_caches(remote, tmp_path / "there")
    assert "hf://datasets/us/caches" in str(caught.value)
    with pytest.raises(RemoteError, match=says):
        push_caches(remote, [world.build()], world.root)


def test_a_revision_that_does_not_exist(world, tmp_path):
    hub = Hub(tmp_path / "remote")
    push_caches(HubRemote("us/caches", None, hub), [world.build()], world.root)
    with pytest.raises(RemoteError, match="there is no revision 'v9'"):
        pull_caches(HubRemote("us/caches", "v9", hub), tmp_path / "there")


def test_the_real_client_offline_says_so_once(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(RemoteError, match="hf://datasets/us/caches was not asked: HF_HUB_OFFLINE is set"):
        pull_caches(open_remote("hf://datasets/us/caches"), tmp_path / "there")


def test_addresses(tmp_path):
    assert open_remote(f"file://{tmp_path}/a%20b").path == tmp_path / "a b"
    assert open_remote(str(tmp_path)).path == tmp_path
    hub = open_remote("hf://datasets/us/my.caches-1@v1/a")
    assert (hub.repository, hub.revision) == ("us/my.caches-1", "v1/a")
    assert open_remote("hf://datasets/us/caches").revision is None
    for wrong in ("hf://us/caches", "hf://datasets/us", "https://hub.example/us/caches", "s3://bucket"):
        with pytest.raises(RemoteError, match="not an address of caches"):
            open_remote(wrong)


def test_a_folder_that_is_none(tmp_path):
    for path in (tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(RemoteError, match="is not a folder"):
            pull_caches(open_remote(str(path)), tmp_path / "there")


def test_specs_this_version_does_not_know_cannot_bring_their_index(world, tmp_path, monkeypatch):
    cache = world.build()
    cache.manifest = replace(cache.manifest, retriever=replace(default_spec("bm25"), revision="older"))
    monkeypatch.setattr("retrieval_cache.push.verify", lambda folder, root: [])
    with pytest.raises(CacheMismatch, match="index cannot be told"):
        push_caches(FolderRemote(tmp_path / "remote"), [cache], world.root, with_index=True)
