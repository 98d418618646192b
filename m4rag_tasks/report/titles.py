"""Names for people of what the tables are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from m4rag_tasks import suite

AXIS_TITLES = {
    "language": "Language variety",
    "base_language": "Language, varieties merged",
    "register": "Register",
    "resource": "Resource class",
    "country": "Country",
    "category": "Category",
    "prompt_type": "Prompt type",
}
_PROMPT_TYPES = {"1": "dish", "2": "place", "3": "dish, with context", "4": "dish, adversarial"}
_LISTED = 6


def run_name(setting: str, variant: str = "") -> str:
    """What tables call a setting in a variant, e.g. `norag_oe`."""
    return f"{setting}_{variant}" if variant else setting


def run_title(setting: str, variant: str = "", extra: str = "") -> str:
    """The same for people; `extra` is what a task of one's own adds to its name."""
    title = suite.SETTINGS[setting].title if setting in suite.SETTINGS else setting
    told = ", ".join(part for part in (variant_title(variant), extra) if part)
    return f"{title} ({told})" if told else title


def variant_title(variant: str) -> str:
    """A variant's name for people; "" for the plain one."""
    return suite.VARIANTS[variant].title if variant in suite.VARIANTS else variant


def dataset_title(dataset: str, asking: str = "") -> str:
    """A data set's name for people, with how it is asked where that is not the plain way."""
    title = suite.DATASETS[dataset].title if dataset in suite.DATASETS else dataset
    return f"{title}, {variant_title(asking)}" if asking else title


def names_of(varieties: Iterable[tuple[str, str | None]], names: Mapping[str, str]) -> dict[str, str]:
    """What people call some varieties and the languages they belong to (pairs of codes), where that is known.

    A language that has no name itself gets what precedes the bracket in its first variety's name.
    """
    found: dict[str, str] = {}
    for variety, language in sorted(varieties, key=str):
        # What is asked in English is no variety of English.
        if variety in names and language is not None and language != "en":
            found.setdefault(language, names[variety].partition(" (")[0])
        found.update({code: names[code] for code in (variety, language) if code in names})
    return found


def value_title(axis: str, value: str, names: Mapping[str, str]) -> str:
    """A row of a breakdown for people."""
    if axis == "language":
        return names.get(value, value)
    if axis == "base_language":
        # A language may share its code with one of its varieties, "Min Nan (romanised)".
        return names.get(value, value).partition(" (")[0]
    if axis == "prompt_type" and value in _PROMPT_TYPES:
        return f"{value}: {_PROMPT_TYPES[value]}"
    return value


def some(listed: Iterable[str], joint: str = ", ") -> str:
    """The first few of a list, and how many more there are."""
    every = list(listed)
    more = f" and {len(every) - _LISTED} more" if len(every) > _LISTED else ""
    return joint.join(every[:_LISTED]) + more
