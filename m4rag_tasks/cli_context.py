"""`m4rag context …`: texts that models wrote become context sets; which sets there are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m4rag_tasks import suite
from m4rag_tasks.cli_outside import add_include_path, use_include_path
from m4rag_tasks.errors import ContextError

if TYPE_CHECKING:
    from m4rag_tasks.context_import import Looked
    from m4rag_tasks.context_sets import ContextSet

_LIMITS = {
    "missing": "missing",
    "picture": "without-picture",
    "cut-off": "cut-off",
    "language": "wrong-language",
    "leak": "leaks",
}
"""The option `--max-…` of each check."""


def add_context_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `context` and its actions to the command's verbs."""
    from m4rag_tasks.context_checks import CHECKS

    group = verbs.add_parser("context", help="captions and oracle contexts: import what a model wrote, list, show")
    actions = group.add_subparsers(required=True, metavar="ACTION")

    action = actions.add_parser("import", help="the samples of a writing task become a context set, if they are sound")
    action.add_argument("samples", nargs="+", type=Path, metavar="SAMPLES", help="samples files, or output folders")
    action.add_argument("--name", help="what the set is called (default: the model's name)")
    action.add_argument("--model", metavar="NAME", help="who wrote the texts, where no results file says it")
    action.add_argument("--revision", help="of the model, where the run's model arguments do not say it")
    add_include_path(action)
    for check, option in _LIMITS.items():
        action.add_argument(
            f"--max-{option}",
            dest=check,
            type=_limit,
            default=0,
            metavar="N|N%",
            help=f"accept so many: {CHECKS[check]} (default: none)",
        )
    action.set_defaults(verb=context_import)

    action = actions.add_parser("list", help="all context sets; * marks those that tasks read")
    action.add_argument("--dataset", choices=suite.DATASETS)
    action.set_defaults(verb=context_list)

    action = actions.add_parser("show", help="who wrote a set, and some of its texts")
    action.add_argument("set", metavar="SET", help="as records name it, e.g. cvqa:caption:qwen2.5-vl-72b")
    action.add_argument("questions", nargs="*", metavar="QUESTION_ID", help="whose texts (default: the first three)")
    action.set_defaults(verb=context_show)


def context_import(options: argparse.Namespace) -> int:
    """Check and store; 1 with a line for each finding if there are more than accepted."""
    from m4rag_tasks import context_import as importing
    from m4rag_tasks.written_samples import read_written

    use_include_path(options)
    looked = importing.look(read_written(options.samples, options.model, options.revision))
    for finding in looked.findings:
        print(f"{finding.question_id}: {finding.check}: {finding.what}")
    if refused := looked.refused({check: getattr(options, check) for check in _LIMITS}):
        for line in _refusal(looked, refused):
            print(f"m4rag: {line}", file=sys.stderr)
        return 1
    kept = importing.store(looked, options.name)
    print(f"{kept.title}: {_described(kept)}\n{kept.path}")
    return 0


def _refusal(looked: Looked, refused: dict[str, tuple[int, int | float]]) -> list[str]:
    from m4rag_tasks.context_checks import CHECKS

    whole = len(looked.expected)
    lines = [
        f"{count} of {whole} questions ({count / whole:.1%}): {CHECKS[check]};"
        f" to accept them: --max-{_LIMITS[check]} {count}"
        for check, (count, _) in refused.items()
    ]
    if "missing" in refused:
        missing = {finding.question_id for finding in looked.findings if finding.check == "missing"}
        lines.append(f"missing by language: {_by_language(looked, missing)}")
    return [*lines, "nothing was stored. Mend what is named above, or accept it."]


def _by_language(looked: Looked, missing: set[str]) -> str:
    of: dict[str, list[int]] = {}
    for asked in looked.expected:
        counts = of.setdefault(asked.language, [0, 0])
        counts[0] += asked.question_id in missing
        counts[1] += 1
    return ", ".join(f"{code} {lacking} of {whole}" for code, (lacking, whole) in of.items() if lacking)


def context_list(options: argparse.Namespace) -> int:
    """One line for each set that is there."""
    from m4rag_tasks import context_sets

    found: dict[str, str] = {}
    for dataset in suite.DATASETS.values():
        if options.dataset not in (None, dataset.key):
            continue
        for kind in context_sets.KINDS:
            try:
                read = context_sets.in_use(dataset, kind).title
            except ContextError as error:
                read = ""
                print(f"m4rag: {error}", file=sys.stderr)
            for one in context_sets.all_sets(dataset, kind):
                found.setdefault(one.title, f"{'*' if one.title == read else ' '} {one.title}  {_described(one)}")
    print("\n".join(found.values()) or "There is no context set. Let a model write one: m4rag tasks --work write")
    return 0


def context_show(options: argparse.Namespace) -> int:
    """The manifest and some texts of one set; 1 if a question that was named has none."""
    import json

    from m4rag_tasks import context_sets, contexts

    one = context_sets.by_title(options.set)
    texts = contexts.texts_of(one)
    manifest = one.manifest()
    print(one.path)
    print(
        json.dumps(manifest, indent=2, ensure_ascii=False) if manifest else "(no manifest: nobody noted who wrote it)"
    )
    names: Sequence[str] = options.questions or list(texts)[:3]
    for name in names:
        print(f"\n{name}\n{texts.get(name, '(no text)')}")
    return 0 if all(name in texts for name in names) else 1


def _described(one: ContextSet) -> str:
    try:
        manifest = one.manifest()
    except ContextError as error:
        return f"(unusable: {error})"
    if manifest is None:
        return "(no manifest)"
    accepted = ", ".join(f"{len(ids)} {check}" for check, ids in manifest["accepted"].items())
    return (
        f"{manifest['texts']} of {manifest['questions']} texts in {len(manifest['languages'])} languages,"
        f" by {manifest['model']['name']}, sha256 {manifest['sha256'][:12]}"
        + (f", accepted: {accepted}" if accepted else "")
    )


def _limit(text: str) -> int | float:
    """ "20" → 20 questions, "0.5%" → the share 0.005."""
    try:
        limit = float(text.removesuffix("%")) / 100 if text.endswith("%") else int(text)
    except ValueError:
        limit = -1
    if not (0 <= limit < 1 if isinstance(limit, float) else limit >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of questions, nor a percentage below 100")
    return limit
