"""What our two models have in common: they take text, need no device, and never look at images."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from tqdm import tqdm

from m4rag_tasks import images


class TextOnlyModel(lmms):
    """An lmms-eval model that answers each request by `answer`, on the CPU, in order.

    Under torch.distributed the harness gives each process its share of the
    questions; ranks and world size are set by the harness.
    """

    is_simple = True

    def __init__(self, batch_size: int | str = 1, max_batch_size: Any = None, device: Any = None) -> None:
        super().__init__()
        # With several processes the harness puts its counts there to exchange them.
        self.device = "cpu"
        images.show_images(False)

    @abc.abstractmethod
    def answer(self, request: Instance) -> str:
        """The answer text to one request."""

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Answers in the order of the requests."""
        quiet = None if self.rank == 0 else True  # None: quiet unless a terminal
        shown = tqdm(requests, desc=type(self).__name__, unit="question", delay=2, disable=quiet)
        return [self.answer(request) for request in shown]

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Not offered: these models write text and have no probabilities."""
        raise NotImplementedError(f"{type(self).__name__} has no likelihoods; use generate_until tasks.")

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        """Not offered: these models answer once."""
        raise NotImplementedError(f"{type(self).__name__} answers in one round only.")
