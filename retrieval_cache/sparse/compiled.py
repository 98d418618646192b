"""Numba, set up the same way for every kernel.

Compiling takes some seconds once; the result is kept in `__pycache__`, or in
the user's own cache folder where that cannot be written, or nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as machine code that lets go of Python's lock; floats as IEEE 754 says, nothing fused."""
    try:
        return numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # "no locator available": no folder can be written
        return numba.njit(function, nogil=True)
