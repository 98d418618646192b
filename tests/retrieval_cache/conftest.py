"""A tiny world for the tests: eight articles in several scripts, pictures, queries."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw

from retrieval_cache import BuildSpec, Query, Wanted, build_cache, default_spec

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

ARTICLES = [
    ("en", "Rendang", "Rendang is a slow cooked beef dish of the Minangkabau. It uses coconut milk."),
    ("id", "Gamelan", "Gamelan adalah ansambel musik tradisional. Alat musiknya dari perunggu."),
    ("hi", "दीवाली", "दीवाली रोशनी का त्योहार है। लोग दीये जलाते हैं।"),
    ("zh", "长城", "长城是中国古代的军事防御工程。它长达两万多公里。"),
    ("th", "ต้มยำกุ้ง", "ต้มยำกุ้งเป็นอาหารไทยที่มีรสเปรี้ยวและเผ็ด"),
    ("arz", "كشري", "الكشري اكله مصريه من الرز والعدس والمكرونه. هل تحبه؟ نعم."),
    ("am", "እንጀራ", "እንጀራ የኢትዮጵያ ምግብ ነው። ከጤፍ ይሠራል።"),
    ("en", "Sauna", "A sauna is a hot room. Finns throw water on the stones. Then they cool down in a lake."),
]


def article_row(number: int, language: str, title: str, text: str, image: str = "") -> dict:
    images = [{"src": image, "alt": "", "caption": ""}] if image else []
    section = {"heading": "Introduction", "content": [text], "images": images, "access_time": ""}
    return {
        "id": f"a{number}",
        "pageid": number,
        "title": title,
        "url": f"https://{language}.encyclopedia.example/wiki/{number}",
        "content": [section],
    }


def draw(path: Path, seed: int, *, shift: int = 0, size: int = 96, paper: str = "white") -> Path:
    """A coloured figure on plain paper; the same seed gives the same figure."""
    picture = Image.new("RGB", (96, 96), paper)
    pen = ImageDraw.Draw(picture)
    left, top = 24 + shift + 5 * (seed % 3), 22 + shift
    colour = ((seed * 67) % 200, (seed * 131) % 200, (seed * 29) % 200)
    pen.ellipse((left, top, left + 34, top + 30), fill=colour)
    pen.rectangle((left + 8, top + 22, left + 14 + 3 * (seed % 5), top + 44), fill=colour[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.resize((size, size)).save(path)
    return path


def make_world(tmp_path: Path) -> SimpleNamespace:
    """corpus, image_root, queries, root and builders; nothing is built yet."""
    image_root = tmp_path / "pictures"
    rows = []
    for number, (language, title, text) in enumerate(ARTICLES):
        draw(image_root / f"{number}.png", number)
        rows.append(article_row(number, language, title, text, f"{number}.png"))
    rows.append({**article_row(99, "en", "Gone", ""), "content": ""})
    corpus = tmp_path / "articles.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    queries = []
    for number, (_, title, text) in enumerate(ARTICLES):
        shifted = draw(tmp_path / "asked" / f"{number}.png", number, shift=4)
        queries.append(Query(f"q{number}", f"{title} {text[:20]}?", f"{number}.png", shifted))
    made = SimpleNamespace(corpus=corpus, image_root=image_root, queries=queries, root=tmp_path / "caches")

    def spec(name: str = "bm25", **other) -> BuildSpec:
        return BuildSpec(**{
            "dataset": "mini", "setting": "test", "corpus": corpus,
            "retriever": default_spec(name), "image_root": image_root, "k": 3, **other,
        })  # fmt: skip

    made.spec = spec
    made.build = lambda name="bm25", **other: build_cache(spec(name, **other), queries, made.root)
    made.wanted = lambda name="bm25", **other: Wanted(
        **{"dataset": "mini", "setting": "test", "retriever": default_spec(name), "k": 3, **other}
    )
    return made


@pytest.fixture
def world(tmp_path: Path) -> SimpleNamespace:
    return make_world(tmp_path)


@pytest.fixture
def data() -> Path:
    """The shared sample data, which not every checkout has."""
    if not DATA.is_dir():
        pytest.skip(f"no sample data at {DATA}")
    return DATA


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, those left out that only help builds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {".locks", ".known", ".vectors"} & set(path.parts)
    }


# Tests get these as fixtures: importing from a conftest depends on how pytest was started.
@pytest.fixture(name="tree")
def tree_fixture():
    return tree


@pytest.fixture(name="make_world", scope="session")
def make_world_fixture():
    return make_world


@pytest.fixture(name="draw")
def draw_fixture():
    return draw
