"""TOML files of this package, which contributors edit: read, or explained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from m4rag_tasks.errors import GridError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises `GridError` naming file and line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GridError(f"{path.name} cannot be read: {error}. Mend the file.") from error
