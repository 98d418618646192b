"""Run a module as `python -m` does, writing down what Qwen's processor is given.

    python watch_processor.py LOG -m lmms_eval …

Each call of the processor becomes one line of JSON in LOG: its text, the size and
digest of each picture, and how many image tokens and patches went on to the model.
"""

from __future__ import annotations

import hashlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any


def digest(image: Any) -> str:
    """SHA-256 of the pixels of a picture."""
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def watch(log: Path) -> None:
    """From now on every call of the processor is written to `log`."""
    from transformers import Qwen2_5_VLProcessor

    process = Qwen2_5_VLProcessor.__call__

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = process(self, *args, **kwargs)
        entry = {
            "text": kwargs["text"],
            "images": [{"size": image.size, "digest": digest(image)} for image in kwargs["images"] or []],
            "image_tokens": int((inputs["input_ids"] == self.image_token_id).sum()),
            "patches": len(inputs["pixel_values"]) if "pixel_values" in inputs else 0,
        }
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(entry) + "\n")
        return inputs

    Qwen2_5_VLProcessor.__call__ = watched


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    module = sys.argv[3]
    sys.argv = [module, *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
