"""When does an answer stand in a text? Pure."""

from __future__ import annotations

import unicodedata


def normalised(text: str) -> str:
    """Text for comparing: NFKC, caseless, any white space one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
