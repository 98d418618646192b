"""Where rows come from: every form of a local copy, pinned revisions, and clear words where nothing is found."""

from __future__ import annotations

import datasets as hf
import pytest
from huggingface_hub import HfApi
from local_copies import cvqa_rows, wc_row

from m4rag_tasks import datasets, images, retrieval, revisions, rows, sources
from m4rag_tasks.errors import DataError
from m4rag_tasks.suite import DATASETS, SETTINGS, languages
from retrieval_cache.corpus.files import Corpus

CVQA, WC, WC_LARGE = DATASETS["cvqa"], DATASETS["wc"], DATASETS["wc_large"]
KENYA, EGYPT = languages()["sw_kenya"], languages()["arz_egypt"]


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
    with pytest.raises(DataError, match=r"no local copy, .*cvqa/test cannot serve: its splits are \['train'\]"):
        sources.load(CVQA, 0)


def wc_table(name):
    return hf.Dataset.from_list([wc_row(name)])


def save_alone(table, split, place):
    """As `load_dataset(…, split=…).save_to_disk(place)` does."""
    hf.Dataset(table.data, split=split and hf.NamedSplit(split)).save_to_disk(place)


def test_one_split_saved_where_several_may_lie_serves_that_one_alone(data):
    save_alone(wc_table("small"), "test_small", data / "worldcuisines" / "task1")
    assert sources.load(WC, 0)["qa_id"] == ["small"]
    with pytest.raises(DataError, match=r"task1 cannot serve: the split .* is 'test_small', not 'test_large'"):
        sources.load(WC_LARGE, 0)


def test_a_split_that_nobody_noted_needs_a_place_that_names_it(data):
    save_alone(wc_table("small"), None, data / "worldcuisines" / "task1")
    for dataset in (WC, WC_LARGE):
        with pytest.raises(DataError, match=r"task1 cannot serve: the split .* is None"):
            sources.load(dataset, 0)
    save_alone(wc_table("own"), None, data / "worldcuisines" / "test_small_task1")
    assert sources.load(WC, 0)["qa_id"] == ["own"]


def test_what_cannot_serve_does_not_hide_what_can(data):
    save_alone(wc_table("small"), "test_small", data / "worldcuisines" / "task1")
    place = data / "worldcuisines" / "vqa-v1.1"
    (place / "data").mkdir(parents=True)
    wc_table("large").to_parquet(place / "data" / "test_large.parquet")
    files = "[{split: test_large, path: data/test_large.parquet}]"
    (place / "README.md").write_text(f"---\nconfigs:\n- config_name: task1\n  data_files: {files}\n---\n")
    assert sources.load(WC_LARGE, 0)["qa_id"] == ["large"]


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_notes_of_save_to_disk_that_cannot_be_read_are_said(data, content):
    save_alone(wc_table("small"), "test_small", data / "worldcuisines" / "task1")
    (data / "worldcuisines" / "task1" / "state.json").write_text(content)
    with pytest.raises(DataError, match=r"state\.json cannot be read"):
        sources.load(WC, 0)


def test_parquet_files_of_a_shared_place_serve_the_split_that_they_name(data):
    place = data / "worldcuisines" / "task1"
    place.mkdir(parents=True)
    for name in ("test_small-00000-of-00002", "test_small-00001-of-00002", "test_large-00000-of-00001"):
        wc_table(name).to_parquet(place / f"{name}.parquet")
    assert sources.load(WC, 0)["qa_id"] == ["test_small-00000-of-00002", "test_small-00001-of-00002"]
    assert sources.load(WC_LARGE, 0)["qa_id"] == ["test_large-00000-of-00001"]
    (place / "test_large-00000-of-00001.parquet").rename(place / "0000.parquet")
    with pytest.raises(DataError, match=r"task1 cannot serve: none of its files is a \*\.parquet with 'test_large'"):
        sources.load(WC_LARGE, 0)


@pytest.mark.parametrize("name", ["test.parquet", "test.jsonl"])
@pytest.mark.parametrize("content", [b"", b"junk"])
def test_a_local_file_that_cannot_be_read_is_named(data, name, content):
    path = data / "cvqa" / name
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        sources.load(CVQA, 0)
    assert f"{path} cannot be loaded (" in str(raised.value) and "()" not in str(raised.value)
    assert "M4RAG_DATA" not in str(raised.value)


def test_saved_files_that_cannot_be_read_are_named(data):
    save_split(data)
    (path,) = (data / "cvqa" / "test").glob("data-*.arrow")
    path.write_bytes(b"junk")
    with pytest.raises(DataError, match=rf"{path.name}\) cannot be loaded"):
        sources.load(CVQA, 0)


@pytest.mark.parametrize("content", [b"", b"junk"])
def test_a_knowledge_base_that_cannot_be_read_is_named(data, content):
    path = data / "worldcuisines" / "food_kb.parquet"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"food_kb\.parquet cannot be loaded"):
        sources.load_knowledge_base(WC)


def test_a_knowledge_base_without_ids_says_what_it_has(data):
    (data / "worldcuisines").mkdir()
    hf.Dataset.from_list([{"id": "7"}]).to_parquet(data / "worldcuisines" / "food_kb.parquet")
    with pytest.raises(DataError, match="no column food_id; it has id"):
        sources.load_knowledge_base(WC)


@pytest.mark.parametrize("named", ["~nobody-of-this-name/data", "a" * 5000])
@pytest.mark.parametrize("variable", ["M4RAG_DATA", "M4RAG_IMAGES"])
def test_a_variable_that_can_be_no_folder_is_an_error(monkeypatch, variable, named):
    monkeypatch.setenv(variable, named)
    with pytest.raises(DataError, match=f"{variable} is .* which can be no folder"):
        images.image_folders(CVQA)


def test_a_relative_folder_is_taken_from_where_one_stands(data, monkeypatch):
    save_parquet(data)
    monkeypatch.chdir(data.parent)
    monkeypatch.setenv("M4RAG_DATA", data.name)
    assert len(sources.load(CVQA, 0)) == 2
    monkeypatch.setenv("M4RAG_DATA", "C:\\data")
    with pytest.raises(DataError, match="is not a folder"):
        sources.source(CVQA)


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


def test_overrides_of_what_no_data_set_is_read_from_are_refused(monkeypatch):
    monkeypatch.setenv("M4RAG_REVISIONS", "davidanugraha/cvqua=refs/pr/1")
    for read in (lambda: sources.source(CVQA), lambda: sources.load_knowledge_base(WC)):
        with pytest.raises(
            DataError, match=r"names 'davidanugraha/cvqua', .* It may name davidanugraha/M4-RAG, davidan"
        ):
            read()


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


# --- the corpora of the hub --------------------------------------------------


def test_a_corpus_of_the_hub_is_pinned_as_the_data_sets_are(monkeypatch):
    monkeypatch.setattr(revisions, "pinned", lambda: {sources.CORPUS_ID: "c0ffee"})
    assert sources.hub_corpus(CVQA) == "hf://datasets/davidanugraha/M4-RAG@c0ffee/cvqa"
    assert sources.hub_corpus(WC_LARGE) == "hf://datasets/davidanugraha/M4-RAG@c0ffee/worldcuisines"
    monkeypatch.setenv("M4RAG_REVISIONS", "davidanugraha/M4-RAG=refs/pr/1")
    assert sources.hub_corpus(WC).startswith("hf://datasets/davidanugraha/M4-RAG@refs%2Fpr%2F1/")
    assert sources.CORPUS_ID in sources.HUB_IDS


def test_the_corpus_that_lies_with_the_data_comes_before_the_hub(data, monkeypatch):
    asked = []
    commit = "hf://datasets/davidanugraha/M4-RAG@" + "c0" * 20 + "/cvqa"
    monkeypatch.setattr(revisions, "pinned", lambda: {sources.CORPUS_ID: "c0ffee"})
    monkeypatch.setattr(
        retrieval, "open_corpus", lambda address: asked.append(address) or Corpus(address, (), source=commit)
    )
    bm25, mmrag = SETTINGS["textrag_question_bm25"], SETTINGS["mmrag"]
    spec = retrieval.build_spec(CVQA, bm25)
    assert (spec.corpus, spec.image_root) == (commit, None)
    assert asked == ["hf://datasets/davidanugraha/M4-RAG@c0ffee/cvqa"]
    assert retrieval.build_spec(CVQA, mmrag, retriever="pixel").image_root is None
    own = data / "cvqa" / "corpus"
    own.mkdir(parents=True)
    spec = retrieval.build_spec(CVQA, mmrag, retriever="pixel")
    assert (spec.corpus, spec.image_root) == (own, data / "cvqa")
    (data / "cvqa" / "corpus.jsonl.zst").write_bytes(b"")
    assert retrieval.build_spec(CVQA, bm25).corpus == data / "cvqa" / "corpus.jsonl.zst"
    named = retrieval.build_spec(CVQA, mmrag, retriever="pixel", corpus=str(own.parent))
    assert (named.corpus, named.image_root) == (own.parent, own.parent)
    assert len(asked) == 2


def test_without_hub_and_local_copy_the_missing_corpus_is_named(data):
    with pytest.raises(DataError, match=r"No corpus lies with CVQA, and hf://.*M4-RAG.*--corpus FILE"):
        retrieval.build_spec(CVQA, SETTINGS["textrag_question_bm25"])
