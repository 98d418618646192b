"""`m4rag judge …`: grades out of judges' samples, and how far judges agree."""

from __future__ import annotations

import argparse
import csv
import functools
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m4rag_tasks.cli_outside import add_include_path, use_include_path

if TYPE_CHECKING:
    from m4rag_tasks.judging.agreement import AgreementReport, PairAgreement
    from m4rag_tasks.judging.kappa import Agreement

_FLEISS = "Fleiss"
_WEIGHTED = "weighted"
_COLUMNS = ("kappa", "judges", "language", "items", "images", "value", "low", "high", "equal", "near")


def add_judge_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `judge` and its actions to the command's verbs."""
    group = verbs.add_parser("judge", help="grades of passages: import, agreement")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("import", help="grades out of the samples of judging tasks")
    action.add_argument(
        "samples", nargs="+", type=Path, metavar="SAMPLES", help="samples files, or lmms-eval's --output_path"
    )
    action.add_argument("--output", type=Path, default=Path("grades.jsonl"), help="grades file (default: %(default)s)")
    action.add_argument("--judge", metavar="NAME", help="the judge, where no results file says it")
    action.add_argument("--revision", help="of the judge, where the run's model arguments do not say it")
    action.add_argument("--partial", action="store_true", help="write what is there although grades are missing")
    add_include_path(action)
    action.set_defaults(verb=judge_import)

    action = actions.add_parser("agreement", help="how far judges agree, with each other and with people")
    action.add_argument("files", nargs="+", type=Path, metavar="FILE", help="grades files, JSONL or CSV")
    action.add_argument("--csv", type=Path, metavar="FILE", help="write the table to this file too")
    action.add_argument("--json", type=Path, metavar="FILE", help="write everything, confusions too, to this file")
    action.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    action.set_defaults(verb=judge_agreement)


def judge_import(options: argparse.Namespace) -> int:
    """Write a grades file; says how many there are of what, and what is missing."""
    import sys

    from m4rag_tasks.grades import write_grades
    from m4rag_tasks.judge_import import import_grades, summary

    use_include_path(options)
    grades, missing = import_grades(options.samples, options.judge, options.revision, options.partial)
    write_grades(options.output, grades)
    print("\n".join(_aligned(summary(grades), names=3)))
    for line in missing:
        print(f"missing: {line}", file=sys.stderr)
    print(f"Grades: {options.output}")
    return 0


def judge_agreement(options: argparse.Namespace) -> int:
    """Print Fleiss' and weighted kappa of all judges by language."""
    from dataclasses import asdict

    from tqdm import tqdm

    from m4rag_tasks.grades import read_grades
    from m4rag_tasks.judging.agreement import agreement
    from retrieval_cache.files import atomic_file, write_json

    shown = functools.partial(tqdm, desc="kappas", delay=2, disable=None)
    report = agreement(read_grades(options.files), seed=options.seed, progress=shown)
    print("\n".join(agreement_lines(report)))
    if options.csv:
        with atomic_file(options.csv) as file:
            file.write(agreement_csv(report).encode("utf-8"))
    if options.json:
        write_json(options.json, {"seed": options.seed, **asdict(report)})
    return 0


def agreement_lines(report: AgreementReport) -> list[str]:
    """The report for people: judges, kappas by language, and of each pair which grades stand against which."""
    judges = [["judge", "graded", "invalid", "graded otherwise again"]]
    judges += [[one.judge, *map(str, (one.graded, one.invalid, one.contradicted))] for one in report.judges]
    kappas = [["judges", "language", "items", "images", "kappa", "95 % interval", "equal", "at most 1 apart"]]
    kappas += [_kappa_row("Fleiss, all", one.language, one.kappa, None) for one in report.fleiss]
    kappas += [_kappa_row(_names(pair), pair.language, pair.kappa, pair) for pair in report.pairs]
    lines = [
        *_aligned(judges, names=1),
        "",
        "Fleiss' kappa of all, quadratic weighted kappa of two:",
        "",
        *_aligned(kappas, names=2),
    ]
    for pair in report.pairs:
        if pair.language == "all" and pair.confusion:
            lines += ["", f"{pair.first} (rows) and {pair.second} (columns):", "", *_confusion(pair)]
    return lines


def _kappa_row(judges: str, language: str, kappa: Agreement, pair: PairAgreement | None) -> list[str]:
    shares = ["-" if share is None else f"{share:.0%}" for share in (pair.equal, pair.near)] if pair else ["", ""]
    value = "-" if kappa.value is None else f"{kappa.value:.3f}"
    interval = "-" if kappa.low is None else f"{kappa.low:.3f} to {kappa.high:.3f}"
    return [judges, language, str(kappa.items), str(kappa.images), value, interval, *shares]


def _confusion(pair: PairAgreement) -> list[str]:
    levels = range(1, len(pair.confusion) + 1)
    rows = [[str(level), *map(str, row)] for level, row in zip(levels, pair.confusion, strict=True)]
    return _aligned([["", *map(str, levels)], *rows], names=0)


def agreement_csv(report: AgreementReport) -> str:
    """One line for each kappa; empty where there is no value."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    everybody = " | ".join(one.judge for one in report.judges)
    for one in report.fleiss:
        writer.writerow([_FLEISS, everybody, one.language, *_figures(one.kappa), None, None])
    for pair in report.pairs:
        writer.writerow([_WEIGHTED, _names(pair), pair.language, *_figures(pair.kappa), pair.equal, pair.near])
    return buffer.getvalue()


def _figures(kappa: Agreement) -> list[Any]:
    return [kappa.items, kappa.images, kappa.value, kappa.low, kappa.high]


def _names(pair: PairAgreement) -> str:
    return f"{pair.first} | {pair.second}"


def _aligned(rows: Sequence[Sequence[str]], names: int) -> list[str]:
    """Rows as lines with aligned columns: the first ones, names, to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" if place < names else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
