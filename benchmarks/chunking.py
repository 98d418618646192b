"""Chunking: ours against the paper's route, semantic-text-splitter and chonkie; sentence ends against spaCy's.

    python -m benchmarks.chunking [--quick]

All cut the same sections of the sample corpus into passages of at most 256 tokens with 50 overlap, in
one process, turn by turn. The tokenizer is XLM-R's for all: for the others as a
Hugging Face fast tokenizer with the vocabulary that ours reads. It remembers words
that it has met, so each turn has fresh instances: no corpus is cut twice. Loading
is not timed. Needs the extra `bench`.

The paper's route: spaCy's rule-based sentences (`blank(language)`, else `xx`),
each sentence tokenized by itself, sentences joined with spaces up to the
budget, the last of them repeated up to the overlap.
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import truediv
from typing import Any

from benchmarks import sentence_table
from benchmarks.common import SHARED, Row, apart, save
from retrieval_cache.chunking import segment
from retrieval_cache.chunking.chunker import Chunker, batches
from retrieval_cache.chunking.tokenizers import bundled_model, load_tokenizer
from retrieval_cache.chunking.xlm_roberta import read_vocabulary
from retrieval_cache.corpus.articles import read_articles
from retrieval_cache.records import Article, ChunkerSpec, Section

SPEC = ChunkerSpec()
CORPUS = SHARED / "corpus_sample" / "articles.jsonl.gz"
OTHERS = ("the paper's route (spaCy, Hugging Face)", "semantic-text-splitter", "chonkie SentenceChunker")

Cut = Callable[[list[Article]], list[str]]


def main(arguments: list[str]) -> None:
    """Measure, print and, unless --quick, save."""
    quick = "--quick" in arguments
    found = apart("benchmarks.chunking:speeds", 40 if quick else 1, 1 if quick else 5)
    ends = sentence_ends()
    streams = [apart("benchmarks.chunking:stream", rounds) for rounds in ((1, 2) if quick else (2, 12))]
    rows = [_speed_row(found, name) for name in OTHERS]
    rows += [_over_row(found, name) for name in OTHERS]
    worst = min(ends["ours"], key=ends["ours"].__getitem__)
    mean, beside = (statistics.mean(ends[who].values()) for who in ("ours", "spacy"))
    rows.append(
        Row(
            f"F1 of sentence ends, mean of {len(ends['ours'])} languages (lowest)",
            f"{mean:.3f} ({worst} {ends['ours'][worst]:.3f})",
            "spaCy's blank sentencizer",
            f"{beside:.3f} ({min(ends['spacy'].values()):.3f})",
            wanted="≥ 0.95 in every language",
            met=ends["ours"][worst] >= 0.95,
        )
    )
    rows.append(
        Row(
            f"peak memory, {' and '.join(format(run['articles'], ',') for run in streams)} articles streamed",
            " and ".join(f"{run['peak_bytes'] / 1e6:,.0f} MB" for run in streams),
        )
    )
    notes = [
        f"{found['articles']:,} articles of nine languages, {found['bytes'] / 1e6:.1f} MB of UTF-8, "
        f"{found['repeats']} runs each, medians.",
        "Thai is left out of the sentence ends: it marks none.",
    ]
    if quick:
        print(*rows, *notes, sep="\n")
    else:
        save("chunking", "Chunking, 256 tokens with 50 overlap, one process", rows, notes)


def speeds(every: int, repeats: int) -> dict[str, Any]:
    """MB/s of each way over every nth article, and how many of its passages are over the budget."""
    articles = list(read_articles(CORPUS))[::every]
    size = sum(len(p.encode("utf-8")) for a in articles for s in a.sections for p in s.paragraphs)
    languages = sorted({article.language for article in articles})
    papers = functools.partial(_papers_route, languages)
    ways: dict[str, Callable[[], Cut]] = {"ours": _ours}
    ways |= dict(zip(OTHERS, (papers, _semantic_text_splitter, _chonkie), strict=True))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    passages: dict[str, list[str]] = {}
    for _ in range(repeats):
        for name, loaded in ways.items():
            cut = loaded()
            start = time.perf_counter()
            passages[name] = cut(articles)
            seconds[name].append(time.perf_counter() - start)
    own, budget = seconds["ours"], SPEC.max_tokens
    counts = {name: load_tokenizer(SPEC.tokenizer).counts(texts) for name, texts in passages.items()}
    return {
        "articles": len(articles),
        "bytes": size,
        "repeats": repeats,
        "rate": {name: size / 1e6 / statistics.median(times) for name, times in seconds.items()},
        # Turn by turn, so that what else the machine does weighs on both.
        "ratio": {name: statistics.median(map(truediv, times, own)) for name, times in seconds.items()},
        "passages": {name: len(each) for name, each in counts.items()},
        "over": {name: sum(count > budget for count in each) for name, each in counts.items()},
    }


def stream(rounds: int) -> dict[str, int]:
    """Cut the sample corpus many times, with other words each time; returns how many articles that were."""

    def articles() -> Iterator[Article]:
        for number in range(rounds):
            for article in read_articles(CORPUS):
                yield replace(article, sections=tuple(_altered(section, number) for section in article.sections))

    chunker = Chunker(SPEC)
    done = 0
    for batch in batches(articles()):
        chunker.cut(batch)
        done += len(batch)
    return {"articles": done}


def sentence_ends() -> dict[str, dict[str, float]]:
    """F1 by language, ours and spaCy's."""
    table = {language: entry for language, entry in sentence_table.read().items() if language != "th"}
    found: dict[str, dict[str, float]] = {"ours": {}, "spacy": {}}
    for language, (sentences, text) in table.items():
        spans = segment.sentences(text, language)
        theirs = [(sent.start_char, sent.end_char) for sent in _sentencizer(language)(text).sents]
        found["ours"][language] = sentence_table.f1(sentences, text, spans)
        found["spacy"][language] = sentence_table.f1(sentences, text, theirs)
    return found


def _altered(section: Section, number: int) -> Section:
    return replace(section, paragraphs=tuple(p.replace(" ", f"{number} ") for p in section.paragraphs))


def _ours() -> Cut:
    chunker = Chunker(SPEC)
    return lambda articles: [passage.text for batch in batches(articles) for passage in chunker.cut(batch)]


def _papers_route(languages: list[str]) -> Cut:
    from transformers import PreTrainedTokenizerFast

    encode = PreTrainedTokenizerFast(tokenizer_object=_fast_tokenizer()).encode
    pipes = {language: _sentencizer(language) for language in languages}

    def cut(articles: list[Article]) -> list[str]:
        passages = []
        for language, text in _texts(articles):
            sentences = [sent.text.strip() for sent in pipes[language](text).sents]
            passages += _joined([(s, len(encode(s, add_special_tokens=False))) for s in sentences if s])
        return passages

    return cut


def _joined(sentences: list[tuple[str, int]]) -> list[str]:
    """Sentences joined with spaces up to the budget, the last of them repeated up to the overlap."""
    passages: list[str] = []
    current: list[tuple[str, int]] = []
    total = 0
    for sentence, tokens in sentences:
        if current and total + tokens > SPEC.max_tokens:
            passages.append(" ".join(text for text, _ in current))
            kept: list[tuple[str, int]] = []
            while current and sum(count for _, count in kept) + current[-1][1] <= SPEC.overlap:
                kept.insert(0, current.pop())
            current, total = kept, sum(count for _, count in kept)
        current.append((sentence, tokens))
        total += tokens
    return [*passages, " ".join(text for text, _ in current)] if current else passages


def _semantic_text_splitter() -> Cut:
    from semantic_text_splitter import TextSplitter

    splitter = TextSplitter.from_huggingface_tokenizer(_fast_tokenizer(), SPEC.max_tokens, overlap=SPEC.overlap)
    return lambda articles: [chunk for _, text in _texts(articles) for chunk in splitter.chunks(text)]


def _chonkie() -> Cut:
    from chonkie import SentenceChunker

    delimiters = [". ", "! ", "? ", "\n", "。", "।", "։ "]
    chunker = SentenceChunker(_fast_tokenizer(), SPEC.max_tokens, SPEC.overlap, delim=delimiters)
    return lambda articles: [chunk.text for _, text in _texts(articles) for chunk in chunker.chunk(text)]


def _texts(articles: list[Article]) -> list[tuple[str, str]]:
    texts = [(a.language, "\n".join(section.paragraphs)) for a in articles for section in a.sections]
    return [(language, text) for language, text in texts if text.strip()]


def _sentencizer(language: str):
    import spacy

    try:
        pipe = spacy.blank(language)
    except ImportError:  # no such language, or it needs a package of its own to find words
        pipe = spacy.blank("xx")
    pipe.add_pipe("sentencizer")
    pipe.max_length = 10**8
    return pipe


def _fast_tokenizer():
    """XLM-R's tokenizer as Hugging Face has it, but for the normal forms of rare characters."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = read_vocabulary(bundled_model())
    pieces = list(zip(vocabulary.pieces, vocabulary.scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=vocabulary.unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    return tokenizer


def _speed_row(found: dict[str, Any], name: str) -> Row:
    ratio, papers = found["ratio"][name], name == OTHERS[0]
    return Row(
        "speed",
        f"{found['rate']['ours']:.2f} MB/s",
        name,
        f"{found['rate'][name]:.2f} MB/s",
        f"{ratio:.1f} ×",
        "≥ 8 ×" if papers else "",
        ratio >= 8 if papers else None,
    )


def _over_row(found: dict[str, Any], name: str) -> Row:
    own, other = (f"{found['over'][who]:,} of {found['passages'][who]:,}" for who in ("ours", name))
    return Row("passages over the budget", own, name, other, wanted="0", met=found["over"]["ours"] == 0)


if __name__ == "__main__":
    main(sys.argv[1:])
