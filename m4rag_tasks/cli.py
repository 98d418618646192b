"""The `m4rag` command: verbs only. Each verb imports what it needs when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from m4rag_tasks import suite
from m4rag_tasks.cli_cache import add_cache_verbs
from m4rag_tasks.cli_cache.choose import resolve_all
from m4rag_tasks.cli_context import add_context_verbs
from m4rag_tasks.cli_corpus import add_corpus_verbs
from m4rag_tasks.cli_encoder import add_encoder_verbs
from m4rag_tasks.cli_judge import add_judge_verbs
from m4rag_tasks.cli_outside import add_include_path, use_include_path
from m4rag_tasks.errors import M4ragError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code: 0 done, 1 found something wrong, 2 misused."""
    from retrieval_cache import CacheError

    options = _parser().parse_args(arguments)
    try:
        return options.verb(options)
    except (M4ragError, CacheError) as error:
        print(f"m4rag: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output (head, less) has left: not an error of ours.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("m4rag: interrupted; run the same command again to go on from here.", file=sys.stderr)
        return 130


# --- verbs ------------------------------------------------------------------


def demo(options: argparse.Namespace) -> int:
    from m4rag_tasks.demo import run_demo

    return run_demo(Path(options.output_dir))


def tasks(options: argparse.Namespace) -> int:
    chosen = suite.select(options.dataset, options.setting, options.language, options.variant, options.work)
    if options.groups:
        leaves = {task.name for task in chosen}
        names = [name for name in suite.groups() if leaves.issuperset(task.name for task in suite.resolve(name))]
        print("\n".join(names))
        return 0
    width = max((len(task.name) for task in chosen), default=0)
    for task in chosen:
        retriever = task.dataset.retriever(task.setting) or "-"
        variant = f" ({task.variant.title})" if task.variant.title else ""
        print(f"{task.name:<{width}}  {task.setting.title:<28}  {retriever:<8}  {task.language.name}{variant}")
    if not chosen:
        print("No task matches.", file=sys.stderr)
    return 0 if chosen else 1


def check_language(options: argparse.Namespace) -> int:
    from m4rag_tasks import check_language as checker

    use_include_path(options)
    codes = options.codes or list(suite.languages())
    found = {code: checker.problems(suite.language(code)) for code in codes}
    for code, problems in found.items():
        print("\n".join(f"{code}: {problem}" for problem in problems) or f"{code}: ok")
    faulty = sum(map(bool, found.values()))
    print(f"{len(found) - faulty} of {len(found)} varieties pass.")
    return 1 if faulty else 0


def pin(options: argparse.Namespace) -> int:
    from m4rag_tasks import revisions, sources

    for hub_id, commit in revisions.pin(sources.HUB_IDS).items():
        print(f"{hub_id} {commit}")
    return 0


def generate(options: argparse.Namespace) -> int:
    from m4rag_tasks import generate as generator

    differences = generator.check() if options.check else generator.write()
    for difference in differences:
        print(f"{difference.kind}: {os.path.relpath(difference.path)}")
    if options.check and differences:
        print(f"{len(differences)} generated files are not as they should be. Mend: m4rag generate", file=sys.stderr)
        return 1
    print("All generated files are up to date." if not differences else f"{len(differences)} files written.")
    return 0


def preflight(options: argparse.Namespace) -> int:
    from m4rag_tasks import preflight as flight

    chosen = resolve_all(options.tasks)
    findings = flight.preflight(chosen, open_images=not options.no_images)
    for line in flight.in_lines(findings):
        print(line)
    print(f"{len(chosen) - len(findings)} of {len(chosen)} tasks are ready.")
    return 1 if findings else 0


def report(options: argparse.Namespace) -> int:
    from m4rag_tasks import images
    from m4rag_tasks.report import text_table, write_report

    page, written = write_report(
        [Path(path) for path in options.runs],
        Path(options.output_dir),
        lambda dataset, image_id: images.find_image(suite.DATASETS[dataset], image_id),
        suite.language_names(),
        rule=options.rule,
        grades=options.grades,
        judge=options.judge,
        sizes=dict(options.size),
    )
    print(text_table(written))
    print(f"Report: {page}")
    return 0


def compare(options: argparse.Namespace) -> int:
    from m4rag_tasks.report import compare as compare_runs

    text, page = compare_runs(options.a, options.b, suite.language_names(), options.output_dir, options.rule)
    print(text)
    if page:
        print(f"Comparison: {page}")
    return 0


# --- arguments --------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="m4rag", description="The M4-RAG task suite for lmms-eval: caches, checks and reports around it."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add_verbs_to_run(verbs)
    add_context_verbs(verbs)
    add_corpus_verbs(verbs)
    add_encoder_verbs(verbs)
    add_cache_verbs(verbs)
    add_judge_verbs(verbs)
    _add_verbs_of_the_grid(verbs)
    return parser


def _add_verbs_to_run(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("demo", help="build the mini caches, evaluate the reader in every setting, report")
    verb.add_argument("--output-dir", default="out/demo", help="folder for runs and report (default: %(default)s)")
    verb.set_defaults(verb=demo)

    verb = verbs.add_parser("preflight", help="can these tasks run? (data, images, templates, cache; no model)")
    verb.add_argument("tasks", nargs="+", metavar="TASK", help="task or group names, or patterns as lmms-eval's")
    verb.add_argument("--no-images", action="store_true", help="do not look at the images")
    verb.set_defaults(verb=preflight)

    verb = verbs.add_parser("report", help="tables and one HTML page from lmms-eval output folders")
    verb.add_argument("runs", nargs="+", metavar="RUN_DIR")
    verb.add_argument("--output-dir", default="report", help="folder to write to (default: %(default)s)")
    verb.add_argument(
        "--rule",
        choices=("m4rag", "reference", "worldcuisines"),
        help="score the stored answers again under this parsing rule (default: as they were scored)",
    )
    verb.add_argument(
        "--grades", nargs="+", type=Path, default=[], metavar="FILE", help="grades of the passages (m4rag judge import)"
    )
    verb.add_argument("--judge", help="whose grades count, where the files hold those of several")
    verb.add_argument(
        "--size",
        action="append",
        default=[],
        type=_size,
        metavar="MODEL=7B",
        help="how many parameters a model has, where its name does not say (30B-A3B: with its active ones)",
    )
    verb.set_defaults(verb=report)

    verb = verbs.add_parser("compare", help="what changed from run A to run B, where, and is it more than chance")
    verb.add_argument("a", type=Path, metavar="A", help="output folder, model folder or samples file, of one model")
    verb.add_argument("b", type=Path, metavar="B", help="likewise; differences are B minus A")
    verb.add_argument("--output-dir", type=Path, help="also write a page, Markdown, CSV and JSON there")
    verb.add_argument("--rule", choices=("m4rag", "reference", "worldcuisines"), help="as for report")
    verb.set_defaults(verb=compare)


def _size(text: str) -> tuple[str, str]:
    """MODEL=SIZE; what is on the right is read, and what is on the left looked up, where the models are known."""
    model, equals, size = text.rpartition("=")
    if not (model and equals and size):
        raise argparse.ArgumentTypeError(f"{text!r} does not say MODEL=SIZE, such as Pangea=7B")
    return model, size


def _add_verbs_of_the_grid(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("tasks", help="list our tasks")
    verb.add_argument("--dataset")
    verb.add_argument("--setting")
    verb.add_argument(
        "--variant", help='how a task differs from the plain one: oe, en, enprompt, …; "" is the plain one'
    )
    verb.add_argument(
        "--work",
        choices=("answer", "write", "judge", "any"),
        help="tasks that answer (default), write contexts (captions, oracle contexts, queries), or grade passages",
    )
    verb.add_argument("--language", help="a variety, or a language with all its varieties")
    verb.add_argument("--groups", action="store_true", help="the groups that hold nothing but such tasks")
    verb.set_defaults(verb=tasks)

    verb = verbs.add_parser("check-language", help="is the template of a variety as it must be?")
    verb.add_argument("codes", nargs="*", metavar="CODE", help="varieties (default: all of languages.toml)")
    add_include_path(verb)
    verb.set_defaults(verb=check_language)

    verb = verbs.add_parser("generate", help="write the task YAMLs and the table of languages")
    verb.add_argument("--check", action="store_true", help="only say what differs; exit code 1 if anything does")
    verb.set_defaults(verb=generate)

    verb = verbs.add_parser("pin", help="pin the hub's data sets at the commits they are at now")
    verb.set_defaults(verb=pin)


if __name__ == "__main__":
    sys.exit(main())
