"""The error tree of the suite.

M4ragError
├── UnknownNameError    a task, dataset, setting or language that does not exist
├── GridError           languages.toml, or what else makes the grid, cannot be used
├── DataError           a row, file or image that cannot be used as it is
│   ├── HiddenLabelError    labels are withheld (Label = -1): nothing can be scored
│   └── MissingImageError   an image named by a row is not there
├── TemplateError       a prompt template that is missing, broken or unreadable
├── ContextError        a stored context (oracle, caption) that is missing or empty
├── ResponsesError      a responses file for the replay model that cannot be used
├── GradesError         grades of passages that cannot be read, or do not fit
└── RunError            a run folder that cannot be reported
    │   (in metrics; each is a ValueError as well)
    ├── NoRecordsError      a figure over nothing: no records, or none that was scored
    ├── RecordError         a record without a key it needs, or with a value that is no score
    ├── IdsError            question ids that are there twice, missing, or not part of the task
    └── PairingError        two runs that cannot be compared question by question

The retrieval cache has a tree of its own (`retrieval_cache.records.CacheError`),
because that package stands alone. The command line and the task hooks catch
both roots and print the message without a traceback: every message says what
is wrong, where, and what to do next.
"""

import difflib
from collections.abc import Iterable


class M4ragError(Exception):
    """Root of every error this suite raises on purpose; the message is for people."""


class UnknownNameError(M4ragError):
    """A task, dataset, setting or language that does not exist."""


class GridError(M4ragError):
    """What makes the grid cannot be used, such as a faulty row of languages.toml."""


class DataError(M4ragError):
    """A row, file or image that cannot be used as it is."""


class HiddenLabelError(DataError):
    """Labels are withheld (Label = -1), so nothing can be scored."""


class MissingImageError(DataError):
    """An image named by a row is not there."""


class TemplateError(M4ragError):
    """A prompt template that is missing, broken or unreadable."""


class ContextError(M4ragError):
    """A stored context (oracle, caption) that is missing or empty."""


class ResponsesError(M4ragError):
    """A responses file for the replay model that cannot be used."""


class GradesError(M4ragError):
    """Grades of passages that cannot be read, or do not fit."""


class RunError(M4ragError):
    """A run folder that cannot be reported."""


def unknown(kind: str, value: str, known: Iterable[str]) -> UnknownNameError:
    """An error that names the nearest known values and the command that lists them all."""
    near = difflib.get_close_matches(value, list(known), n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return UnknownNameError(f"There is no {kind} {value!r}.{hint} List them with: m4rag tasks")
