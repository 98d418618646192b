"""Where heavy arithmetic runs: a GPU where there is one, else the CPU; and which of several processes this is.

`torchrun`, `accelerate launch` and `srun` start the same command several times
and say in the environment which one is which.
"""

from __future__ import annotations

import gc
import os
from functools import cache
from pathlib import Path

_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def best_device() -> str:
    """A GPU where one can be used, else "cpu"; processes of one machine take one GPU each.

    torch takes seconds to import, so a driver has to be there first.
    """
    if not any(Path(driver).exists() for driver in _DRIVERS):
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    count = torch.cuda.device_count()
    return f"cuda:{_number('LOCAL_RANK', 'SLURM_LOCALID') % count}" if count > 1 else "cuda"


def free_memory() -> int | None:
    """Bytes that are free on the GPU that `best_device` names; None on a CPU."""
    device = best_device()
    if device == "cpu":
        return None
    import torch

    # What an earlier build of this process had there, torch keeps for the next.
    gc.collect()
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(torch.device(device).index)[0]


@cache
def has_int8_products() -> bool:
    """Whether the CPU is known to multiply 8-bit numbers several times faster than float32 ones."""
    about = Path("/proc/cpuinfo")
    return about.exists() and "avx512_vnni" in about.read_text().split()


def rank() -> int:
    """The number of this process among those that were started together, from 0; 0 if it was started alone."""
    return _number("RANK", "SLURM_PROCID")


def _number(*names: str) -> int:
    """The first of these environment variables that holds a number, else 0."""
    values = (os.environ.get(name, "") for name in names)
    return next((int(value) for value in values if value.isdecimal()), 0)
