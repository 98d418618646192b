"""Names for people of what the tables are about."""

from __future__ import annotations

from m4rag_tasks import suite


def setting_title(setting: str) -> str:
    """A setting's name for people; a variant keeps its own name behind it."""
    if setting in suite.SETTINGS:
        return suite.SETTINGS[setting].title
    bases = [name for name in suite.SETTINGS if setting.startswith(f"{name}_")]
    if not bases:
        return setting
    base = max(bases, key=len)
    return f"{suite.SETTINGS[base].title} ({setting[len(base) + 1 :]})"


def dataset_title(dataset: str) -> str:
    """A data set's name for people."""
    return suite.DATASETS[dataset].title if dataset in suite.DATASETS else dataset
