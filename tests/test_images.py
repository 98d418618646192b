"""Images: found below their folders alone, checked without decoding, opened whole, and never another copy's."""

from __future__ import annotations

from pathlib import Path

import datasets as hf
import pytest
from local_copies import WorldCuisines, cvqa_rows, picture, wc_row
from PIL import Image, ImageFile

from m4rag_tasks import datasets, images, retrieval, sources
from m4rag_tasks.errors import DataError, MissingImageError
from m4rag_tasks.suite import DATASETS, SETTINGS, languages

CVQA, MINI, WC = DATASETS["cvqa"], DATASETS["mini"], DATASETS["wc"]
KENYA, EGYPT = languages()["sw_kenya"], languages()["arz_egypt"]


@pytest.fixture
def wc_folder(tmp_path, monkeypatch):
    return WorldCuisines(tmp_path, monkeypatch)


def save_cvqa(folder, table):
    hf.DatasetDict({"test": table}).save_to_disk(folder / "cvqa" / "test")


# --- files --------------------------------------------------------------------


def test_a_missing_image_is_an_error_unless_blanks_are_asked_for(wc_folder, monkeypatch):
    doc = wc_row(image_path="images/8_0.jpg")
    with pytest.raises(MissingImageError, match=r"question 1-nan: there is no image 'images/8_0\.jpg'"):
        images.load_image(WC, doc)
    monkeypatch.setenv("M4RAG_MISSING_IMAGES", "blank")
    assert images.image_status(WC, doc) == "blank"
    assert images.load_image(WC, doc).getextrema() == ((127, 127),) * 3


def test_only_blank_may_stand_for_missing_images(wc_folder, monkeypatch):
    monkeypatch.setenv("M4RAG_MISSING_IMAGES", "grey")
    with pytest.raises(DataError, match="'grey'; the only value it takes is 'blank'"):
        images.image_status(WC, wc_row(image_path="images/8_0.jpg"))
    with pytest.raises(DataError, match="'grey'; the only value it takes is 'blank'"):
        images.check_images(WC, sources.load(WC, 0))


def test_images_may_lie_elsewhere(wc_folder, tmp_path, monkeypatch):
    (tmp_path / "photos" / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "photos" / "images" / "9_0.jpg")
    monkeypatch.setenv("M4RAG_IMAGES", str(tmp_path / "photos"))
    assert images.load_image(WC, wc_row(image_path="images/9_0.jpg")).size == (8, 8)
    assert images.find_image(MINI, "images/injera.png") is not None


def test_an_image_path_cannot_leave_its_folder(wc_folder, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    assert images.find_image(WC, "../../secret.png") is None
    assert images.find_image(WC, str(tmp_path / "secret.png")) is None
    assert images.find_image(WC, "images/../images/7_0.jpg") is None


def test_an_unreadable_image_is_named(wc_folder, tmp_path):
    (tmp_path / "data/worldcuisines/images/7_0.jpg").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"7_0\.jpg cannot be read"):
        images.load_image(WC, wc_row())


def test_an_image_that_is_cut_off_is_an_error_inside_the_harness_too(wc_folder, tmp_path, monkeypatch):
    """lmms-eval lets Pillow fill up what is missing."""
    path = tmp_path / "data/worldcuisines/images/7_0.jpg"
    Image.effect_noise((64, 64), 60).save(path)
    path.write_bytes(path.read_bytes()[:-600])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataError, match=r"7_0\.jpg cannot be read .*truncated"):
        images.load_image(WC, wc_row())
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_model_that_takes_no_images_needs_none(wc_folder):
    images.show_images(False)
    assert images.image_status(WC, wc_row(image_path="images/8_0.jpg")) == "not shown"


def test_searching_by_image_writes_images_that_rows_hold_to_files_once(data):
    save_cvqa(data, cvqa_rows())
    made = list(retrieval.queries(CVQA, SETTINGS["mmrag"]))
    assert [query.image_id for query in made] == ["58659"] * 4
    (path,) = {query.image_path for query in made}
    assert Image.open(path).size == (8, 6)
    assert path.is_relative_to(sources.cache_root())
    assert images.searchable_image(CVQA, "58659") == path
    assert images.find_image(CVQA, "58659") is None
    written = path.stat().st_mtime_ns
    assert images.export_images(CVQA) == 0 and path.stat().st_mtime_ns == written


def test_images_may_lie_in_a_clone_of_the_hub_s_repository(data):
    place = data / "davidanugraha" / "cvqa" / "images"
    place.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(place / "1.png")
    assert images.find_image(CVQA, "images/1.png") == place / "1.png"
    assert images.find_image(CVQA, "../../cvqa/images/1.png") is None


@pytest.mark.parametrize("name", ["a\0b.jpg", "a" * 5000, "\ud800.jpg", "", ".", "images", "images/7_0.jpg/x"])
def test_what_can_be_no_file_is_a_missing_image(wc_folder, name):
    doc = wc_row(image_path=name)
    assert images.find_image(WC, name) is None
    with pytest.raises(MissingImageError, match="there is no image"):
        images.load_image(WC, doc)


def test_an_images_folder_may_be_a_link_to_another_disk(wc_folder, tmp_path):
    here = wc_folder.folder / "images"
    here.rename(tmp_path / "disk")
    here.symlink_to(tmp_path / "disk")
    assert images.load_image(WC, wc_row()).size == (8, 8)


def test_each_distinct_image_is_looked_for_once(wc_folder, monkeypatch):
    wc_folder([wc_row(str(number)) for number in range(50)])
    looked = []
    monkeypatch.setattr(Path, "is_file", lambda path, _is_file=Path.is_file: looked.append(path) or _is_file(path))
    table = datasets.load_rows(WC, languages()["nan"])
    looked.clear()
    images.check_images(WC, table)
    assert [path.name for path in looked] == ["7_0.jpg"]
    images.check_images(WC, table)
    assert len(looked) == 1


def test_the_first_row_without_its_image_is_named(wc_folder):
    wc_folder([wc_row("1"), wc_row("2", image_path="images/8_0.jpg"), wc_row("3", image_path="images/8_0.jpg")])
    with pytest.raises(MissingImageError, match=r"question 2-nan: there is no image 'images/8_0\.jpg'"):
        images.check_images(WC, datasets.load_rows(WC, languages()["nan"]))


# --- images that rows hold ----------------------------------------------------


def test_a_null_in_the_image_column_is_found_before_the_run(data, monkeypatch):
    monkeypatch.setattr(hf.Image, "decode_example", lambda *_args, **_kwargs: pytest.fail("decoded an image"))
    save_cvqa(data, cvqa_rows(None, picture()))
    images.check_images(CVQA, datasets.load_rows(CVQA, EGYPT))
    kenya = datasets.load_rows(CVQA, KENYA)
    with pytest.raises(MissingImageError, match="question 58659_0-local: there is no image '58659'"):
        images.check_images(CVQA, kenya)
    monkeypatch.setenv("M4RAG_MISSING_IMAGES", "blank")
    images.check_images(CVQA, kenya)
    # The harness scores rows without their image column.
    assert images.image_status(CVQA, kenya.remove_columns("image")[0]) == "blank"
    assert images.image_status(CVQA, datasets.load_rows(CVQA, EGYPT).remove_columns("image")[0]) == "shown"
    assert images.load_image(CVQA, kenya[0]).getpixel((0, 0)) == (127, 127, 127)


def test_a_column_that_holds_no_pictures_is_refused(data):
    save_cvqa(data, cvqa_rows().remove_columns("image").add_column("image", ["a.png", "b.png"]))
    with pytest.raises(DataError, match="the column 'image' holds string, not pictures"):
        images.check_images(CVQA, datasets.load_rows(CVQA, KENYA))


def test_pictures_without_the_type_of_one_are_opened_all_the_same(data):
    """As pandas writes them: bytes and path, and no word that these are images."""
    table = cvqa_rows()
    plain = hf.Dataset(table.data.table.replace_schema_metadata(None))
    save_cvqa(data, plain)
    found = datasets.load_rows(CVQA, KENYA)
    images.check_images(CVQA, found)
    assert isinstance(found[0]["image"], dict)
    assert images.load_image(CVQA, found[0]).getpixel((0, 0)) == (255, 0, 0)


def test_opening_all_names_the_question_whose_picture_is_broken(data, monkeypatch):
    whole = picture()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for broken in (b"not a picture", whole[:-30], whole[:40], b""):
        images.show_images(True)
        sources._loaded.cache_clear()
        folder = data / str(len(broken))
        folder.mkdir()
        monkeypatch.setenv("M4RAG_DATA", str(folder))
        save_cvqa(folder, cvqa_rows(whole, broken))
        opened = set()
        images.open_all(CVQA, datasets.load_rows(CVQA, KENYA), opened)
        with pytest.raises(DataError, match="question 58659_1-local"):
            images.open_all(CVQA, datasets.load_rows(CVQA, EGYPT), opened)


def test_opening_all_opens_each_image_once(wc_folder, monkeypatch):
    wc_folder([wc_row("1"), wc_row("2")], [wc_row("3", "en")])
    opened, pictures = set(), []
    monkeypatch.setattr(Image, "open", lambda path, _open=Image.open: pictures.append(path) or _open(path))
    for code in ("nan", "en", "nan"):
        images.open_all(WC, datasets.load_rows(WC, languages()[code]), opened)
    assert [path.name for path in pictures] == ["7_0.jpg"]
    (wc_folder.folder / "images" / "7_0.jpg").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"question 1-nan: the image .*7_0\.jpg cannot be read"):
        images.open_all(WC, datasets.load_rows(WC, languages()["nan"]), set())


def test_opening_all_minds_missing_images_unless_they_may_be_blank(wc_folder, monkeypatch):
    wc_folder([wc_row(image_path="images/8_0.jpg")])
    with pytest.raises(MissingImageError, match="question 1-nan"):
        images.open_all(WC, datasets.load_rows(WC, languages()["nan"]), set())
    monkeypatch.setenv("M4RAG_MISSING_IMAGES", "blank")
    images.open_all(WC, datasets.load_rows(WC, languages()["nan"]), set())


# --- searched with ------------------------------------------------------------


def test_exported_pictures_of_one_copy_never_serve_another(data, monkeypatch):
    found = {}
    for name, held in (("first", picture("red")), ("second", picture("blue")), ("third", None)):
        folder = data / name
        folder.mkdir()
        monkeypatch.setenv("M4RAG_DATA", str(folder))
        save_cvqa(folder, cvqa_rows(held, held))
        images.export_images(CVQA)
        found[name] = images.searchable_image(CVQA, "58659")
    assert Image.open(found["first"]).getpixel((0, 0)) == (255, 0, 0)
    assert Image.open(found["second"]).getpixel((0, 0)) == (0, 0, 255)
    assert found["third"] is None
    # Nor is a model shown them.
    with pytest.raises(MissingImageError):
        images.check_images(CVQA, datasets.load_rows(CVQA, KENYA))


def test_an_exported_file_that_was_removed_is_written_again(data):
    save_cvqa(data, cvqa_rows())
    assert images.export_images(CVQA) == 1
    images.searchable_image(CVQA, "58659").unlink()
    assert images.searchable_image(CVQA, "58659") is None
    assert images.export_images(CVQA) == 1
    assert images.searchable_image(CVQA, "58659").is_file()


def test_images_that_rows_name_are_searched_with_where_they_lie(wc_folder):
    assert images.searchable_image(WC, "images/7_0.jpg") == images.find_image(WC, "images/7_0.jpg") is not None


# --- which pictures -----------------------------------------------------------


def test_the_summary_tells_other_pictures_apart(wc_folder, monkeypatch):
    def summary():
        return images.summary(WC, datasets.load_rows(WC, languages()["nan"]))

    first, path = summary(), wc_folder.folder / "images" / "7_0.jpg"
    assert first == summary()
    Image.new("RGB", (80, 80), "blue").save(path)
    second = summary()
    path.unlink()
    images.show_images(True)
    assert len({first, second, summary()}) == 3
    images.show_images(False)
    assert summary() == "not shown"


def test_the_summary_of_held_images_is_of_their_bytes_alone(data, monkeypatch):
    def summary(name, *held):
        folder = data / name
        folder.mkdir()
        monkeypatch.setenv("M4RAG_DATA", str(folder))
        save_cvqa(folder, cvqa_rows(*held))
        return images.summary(CVQA, datasets.load_rows(CVQA, KENYA))

    red, blue = picture("red"), picture("blue")
    first = summary("first", red, red)
    assert first == summary("second", red, blue)
    assert len({first, summary("third", blue, red), summary("fourth", None, red)}) == 3
