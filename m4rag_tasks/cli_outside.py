"""`--include_path`: the verbs that know language varieties of the user's own (`outside`)."""

from __future__ import annotations

import argparse
from pathlib import Path

from m4rag_tasks.errors import DataError


def add_include_path(action: argparse.ArgumentParser) -> None:
    """Add the option to a verb."""
    action.add_argument(
        "--include_path",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a folder with templates of varieties outside the package; may be repeated",
    )


def use_include_path(options: argparse.Namespace) -> None:
    """Make the varieties in the named folders known. Raises `DataError` for what is no folder."""
    from m4rag_tasks import outside

    for folder in options.include_path:
        if not folder.is_dir():
            raise DataError(f"--include_path names {folder}, which is not a folder. Correct it, or make the folder.")
    outside.use_folders(options.include_path)
