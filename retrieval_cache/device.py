"""Where heavy arithmetic runs: a GPU where there is one, else the CPU."""

from __future__ import annotations

from pathlib import Path

_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def best_device() -> str:
    """ "cuda" where a GPU can be used, else "cpu". torch takes seconds to import, so a driver has to be there first."""
    if not any(Path(driver).exists() for driver in _DRIVERS):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
