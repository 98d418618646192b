"""Where rows come from: every form of a local copy, pinned revisions, and clear words where nothing is found."""

from __future__ import annotations

import io

import datasets as hf
import pytest
from huggingface_hub import HfApi
from PIL import Image

from m4rag_tasks import datasets, images, retrieval, revisions, rows, sources
from m4rag_tasks.errors import DataError
from m4rag_tasks.suite import DATASETS, SETTINGS, languages

CVQA, WC = DATASETS["cvqa"], DATASETS["wc"]
KENYA, EGYPT = languages()["sw_kenya"], languages()["arz_egypt"]


def cvqa_rows():
    picture = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(picture, "PNG")

    def made(number, subset, label):
        return {
            "image": {"bytes": picture.getvalue(), "path": None},
            "ID": f"58659_{number}",
            "Subset": str(subset),
            "Question": "Hii ni nini?",
            "Translated Question": "What is this?",
            "Options": ["moja", "mbili", "tatu", "nne"],
            "Translated Options": ["one", "two", "three", "four"],
            "Label": label,
            "Category": "Cooking and food",
        }

    found = [made(0, ("Swahili", "Kenya"), 2), made(1, ("Egyptian_Arabic", "Egypt"), 0)]
    table = hf.Dataset.from_list(found)
    return table.cast_column("image", hf.Image())


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty folder for local copies."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("M4RAG_DATA", str(folder))
    return folder


def save_parquet(folder):
    (folder / "cvqa").mkdir()
    cvqa_rows().to_parquet(folder / "cvqa" / "test.parquet")


def save_dict(folder):
    hf.DatasetDict({"test": cvqa_rows()}).save_to_disk(folder / "cvqa" / "test")


def save_split(folder):
    cvqa_rows().save_to_disk(folder / "cvqa" / "test")


def save_clone(folder):
    place = folder / "davidanugraha" / "cvqa" / "data"
    place.mkdir(parents=True)
    cvqa_rows().to_parquet(place / "test-00000-of-00001.parquet")


@pytest.mark.parametrize("save", [save_parquet, save_dict, save_split, save_clone])
def test_every_form_of_a_local_copy_gives_the_same_rows_and_pictures(data, save):
    save(data)
    place = sources.source(CVQA)
    # As the harness does it.
    if place.kwargs.get("load_from_disk"):
        table = hf.load_from_disk(dataset_path=place.path)["test"]
    else:
        table = hf.load_dataset(path=place.path, name=place.name, num_proc=1, **place.kwargs)["test"]
    picked = datasets.rows_of_language(table, CVQA, KENYA)
    images.check_images(CVQA, picked)
    (doc,) = picked
    row = rows.row(CVQA, doc)
    assert (row.question_id, row.language, row.country, row.gold) == ("58659_0-local", "sw_kenya", "Kenya", 3)
    assert (row.answer, row.image_id, row.category) == ("tatu", "58659", "Cooking and food")
    english = rows.row(CVQA, doc, "en")
    assert (english.question_id, english.question, english.answer) == ("58659_0-en", "What is this?", "three")
    assert images.image_status(CVQA, doc) == "shown"
    assert images.load_image(CVQA, doc).size == (8, 6)
    assert datasets.rows_digest(picked, CVQA) == datasets.rows_digest(datasets.load_rows(CVQA, KENYA), CVQA)
    assert datasets.rows_digest(picked, CVQA) != datasets.rows_digest(datasets.load_rows(CVQA, EGYPT), CVQA)
    assert [row.question_id for row in datasets.all_rows(CVQA)] == [
        "58659_0-local",
        "58659_0-en",
        "58659_1-local",
        "58659_1-en",
    ]


def test_no_image_is_decoded_or_copied_to_pick_rows(data, monkeypatch):
    save_dict(data)
    monkeypatch.setattr(hf.Image, "decode_example", lambda *_args, **_kwargs: pytest.fail("decoded an image"))
    picked = datasets.load_rows(CVQA, KENYA)
    assert picked.cache_files == sources.load(CVQA, 0).cache_files
    images.check_images(CVQA, picked)
    assert len(list(datasets.all_rows(CVQA))) == 4
    assert datasets.rows_digest(picked, CVQA)


def test_searching_by_image_writes_images_that_rows_hold_to_files_once(data):
    save_dict(data)
    made = list(retrieval.queries(CVQA, SETTINGS["mmrag"]))
    assert [query.image_id for query in made] == ["58659"] * 4
    (path,) = {query.image_path for query in made}
    assert Image.open(path).size == (8, 6)
    assert path.is_relative_to(sources.cache_root())
    assert images.find_image(CVQA, "58659") == path
    written = path.stat().st_mtime_ns
    assert images.export_images(CVQA) == 0 and path.stat().st_mtime_ns == written


def test_images_may_lie_in_a_clone_of_the_hub_s_repository(data):
    place = data / "davidanugraha" / "cvqa" / "images"
    place.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(place / "1.png")
    assert images.find_image(CVQA, "images/1.png") == place / "1.png"
    assert images.find_image(CVQA, "../../cvqa/images/1.png") is None


def test_parts_of_worldcuisines_may_be_saved_by_configuration(data):
    table = hf.Dataset.from_list([{"qa_id": "1", "lang": "nan"}])
    hf.DatasetDict({"test_small": table}).save_to_disk(data / "worldcuisines" / "task1")
    assert sources.load(WC, 0)["lang"][0] == "nan"
    with pytest.raises(DataError, match=r"no local copy, none of .*test_small_task2\.parquet.*task2.*vqa-v1\.1"):
        sources.load(WC, 1)


def test_rows_in_another_layout_name_the_missing_columns(data):
    (data / "cvqa").mkdir()
    cvqa_rows().rename_column("Subset", "subset").to_parquet(data / "cvqa" / "test.parquet")
    with pytest.raises(DataError, match="no column Subset; it has image, ID, subset"):
        datasets.load_rows(CVQA, KENYA)


def test_a_copy_without_the_split_says_so(data):
    hf.DatasetDict({"train": cvqa_rows()}).save_to_disk(data / "cvqa" / "test")
    with pytest.raises(DataError, match=r"cvqa/test cannot be loaded .*'test'"):
        sources.load(CVQA, 0)


# --- revisions --------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch):
    """A hub whose repositories are all at the commit "c0ffee"; says what it was asked."""
    asked = []

    def dataset_info(_self, hub_id, **_kwargs):
        asked.append(hub_id)
        return type("Info", (), {"sha": "c0ffee"})()

    monkeypatch.setattr(HfApi, "dataset_info", dataset_info)
    revisions._newest.cache_clear()
    yield asked
    revisions._newest.cache_clear()


def test_the_hub_is_read_at_a_named_commit(hub, monkeypatch):
    monkeypatch.setattr(revisions, "pinned", lambda: {})
    assert sources.source(CVQA).kwargs == {"revision": "c0ffee"}
    assert (sources.source(WC, 1).path, sources.source(WC, 1).name) == ("worldcuisines/vqa-v1.1", "task2")
    assert hub == ["davidanugraha/cvqa", "worldcuisines/vqa-v1.1"]


def test_a_pinned_revision_asks_nobody_and_the_environment_overrides_it(hub, monkeypatch):
    monkeypatch.setattr(revisions, "pinned", lambda: {"davidanugraha/cvqa": "f00d"})
    assert revisions.revision("davidanugraha/cvqa") == "f00d"
    monkeypatch.setenv("M4RAG_REVISIONS", "worldcuisines/vqa-v1.1=v2, davidanugraha/cvqa=refs/pr/1")
    assert revisions.revision("davidanugraha/cvqa") == "refs/pr/1"
    assert revisions.revision("worldcuisines/vqa-v1.1") == "v2"
    assert not hub


@pytest.mark.parametrize("value", ["davidanugraha/cvqa", "=x", "a=b,c"])
def test_overrides_that_cannot_be_read_are_explained(monkeypatch, value):
    monkeypatch.setenv("M4RAG_REVISIONS", value)
    with pytest.raises(DataError, match="holds <hub id>=<revision>"):
        revisions.revision("davidanugraha/cvqa")


def test_without_a_hub_the_commit_downloaded_before_is_used(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(revisions, "pinned", lambda: {})
    revisions._newest.cache_clear()
    assert revisions.revision("davidanugraha/cvqa") is None
    noted = tmp_path / "datasets--davidanugraha--cvqa" / "refs"
    noted.mkdir(parents=True)
    (noted / "main").write_text("beef")
    revisions._newest.cache_clear()
    assert revisions.revision("davidanugraha/cvqa") == "beef"
    revisions._newest.cache_clear()


def test_pinning_writes_the_commits_and_keeps_the_comment(hub, tmp_path, monkeypatch):
    path = tmp_path / "revisions.toml"
    path.write_bytes(revisions.REVISIONS_FILE.read_bytes())
    assert revisions.pin({"b/b", "a/a"}, path) == {"a/a": "c0ffee", "b/b": "c0ffee"}
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ") and text.endswith('[revisions]\n"a/a" = "c0ffee"\n"b/b" = "c0ffee"\n')
    monkeypatch.setattr(revisions, "REVISIONS_FILE", path)
    revisions.pinned.cache_clear()
    assert revisions.pinned() == {"a/a": "c0ffee", "b/b": "c0ffee"}
    monkeypatch.undo()
    revisions.pinned.cache_clear()


def test_pinning_without_a_hub_writes_nothing(tmp_path):
    path = tmp_path / "revisions.toml"
    path.write_text("[revisions]\n")
    with pytest.raises(DataError, match="Nothing was written"):
        revisions.pin({"a/a"}, path)
    assert path.read_text() == "[revisions]\n"
