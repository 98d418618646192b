"""Lines of long JSON files, read by orjson: three to five times as fast as Python's own module."""

from __future__ import annotations

import json
from typing import Any

import orjson


def loads(line: bytes | str) -> Any:
    """What the line holds. Raises `ValueError` where it is no JSON, `RecursionError` where it is too deep.

    orjson keeps to the standard; NaN, infinity and halves of surrogate pairs, which Python writes, Python reads.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)
