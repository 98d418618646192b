"""Language varieties kept outside this package: a template in a folder that the user names.

`lmms-eval --include_path FOLDER` (or a verb of `m4rag` that has this option)
makes the templates in FOLDER known; each that is no variety of ours becomes one,
described by the comment at its top. The YAML beside it names the task.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from m4rag_tasks import prompts, suite
from m4rag_tasks.suite import Language

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"

# How the headers of templates begin to name a script → ISO 15924.
SCRIPTS = {
    "Arabic": "Arab",
    "Bengali": "Beng",
    "Cyrillic": "Cyrl",
    "Devanagari": "Deva",
    "Ethiopic": "Ethi",
    "Han and kana": "Jpan",
    "Han, simplified": "Hans",
    "Han, traditional": "Hant",
    "Hangul": "Kore",
    "Latin": "Latn",
    "Sinhala": "Sinh",
    "Tamil": "Taml",
    "Telugu": "Telu",
    "Thai": "Thai",
}


def use_folders(folders: Sequence[Path]) -> None:
    """Make the templates in these folders known, and forget those of folders named before.

    Left out with a warning: a file that cannot be used (it may be there for something
    else), and one under a name of ours, which would change what our own tasks ask.
    """
    prompts.search_also(folders)
    found = {path.stem: path for folder in folders for path in sorted(folder.glob("*.jinja"))}
    for code in sorted(found):
        if (prompts.templates_dir() / f"{code}.jinja").is_file():
            logger.warning("%s is not used: this suite has a template of that name. Rename it.", found[code])
            del found[code]
    suite.add_outside(filter(None, map(_described, sorted(found))))


def _described(code: str) -> Language | None:
    try:
        prompts.words(code)
        header = prompts.header(code)
    except Exception as error:  # It runs inside every command: nobody's file may stop the others.
        logger.warning("%s is no language variety: %s", code, error)
        return None
    script = header.get("script", UNKNOWN)
    return Language(
        code=code,
        name=header.get("language", code),
        script=next((iso for name, iso in SCRIPTS.items() if script.startswith(name)), script),
        resource=UNKNOWN,
        datasets={},
        template=code,
        language=code,
        register=header.get("register"),
    )
