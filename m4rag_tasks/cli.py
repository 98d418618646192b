"""The `m4rag` command: verbs only. Each verb imports what it needs when it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m4rag_tasks import suite
from m4rag_tasks.errors import M4ragError, UnknownNameError

if TYPE_CHECKING:
    from retrieval_cache import CacheEntry

MAX_K = 1000


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
    chosen = suite.select(options.dataset, options.setting, options.language)
    if options.groups:
        names = list(dict.fromkeys(task.group for task in chosen))
        print("\n".join(names))
        return 0
    width = max((len(task.name) for task in chosen), default=0)
    for task in chosen:
        retriever = task.setting.retriever or "-"
        print(f"{task.name:<{width}}  {task.setting.title:<28}  {retriever:<8}  {task.language.name}")
    if not chosen:
        print("No task matches.", file=sys.stderr)
    return 0 if chosen else 1


def generate(options: argparse.Namespace) -> int:
    from m4rag_tasks import generate as generator

    differences = generator.check() if options.check else generator.write()
    for difference in differences:
        print(f"{difference.kind}: {difference.path}")
    if options.check and differences:
        print(f"{len(differences)} generated files differ from the grid. Mend: m4rag generate", file=sys.stderr)
        return 1
    print("The generated files agree with the grid." if not differences else f"{len(differences)} files written.")
    return 0


def preflight(options: argparse.Namespace) -> int:
    from m4rag_tasks.preflight import preflight as look

    chosen = _resolve_all(options.tasks)
    findings = look(chosen, images=not options.no_images)
    for finding in findings:
        print(f"{finding.where}: {finding.problem}")
    ready = len(chosen) - len({finding.where for finding in findings})
    print(f"{ready} of {len(chosen)} tasks are ready.")
    return 1 if findings else 0


def cache_build(options: argparse.Namespace) -> int:
    from m4rag_tasks import retrieval
    from retrieval_cache import build_cache

    for dataset, setting in _datasets_and_settings(options):
        spec = retrieval.build_spec(dataset, setting, corpus=options.corpus, retriever=options.retriever, k=options.k)
        queries = retrieval.queries(dataset, setting)
        cache = build_cache(spec, queries, retrieval.cache_root(), progress=lambda line: print(line, file=sys.stderr))
        print(f"{dataset.key} {setting.name}: {len(cache.query_ids())} queries, key {cache.key[:16]}")
    return 0


def cache_info(options: argparse.Namespace) -> int:
    from m4rag_tasks import retrieval
    from retrieval_cache import list_caches

    root = retrieval.cache_root()
    entries = list_caches(root)
    for entry in entries:
        print(f"{entry.dataset} {entry.setting}  {entry.folder.name}  {_described(entry)}")
    print(f"{sum(entry.manifest is not None for entry in entries)} complete caches in {root}")
    return 0


def _described(entry: CacheEntry) -> str:
    manifest = entry.manifest
    if manifest is None:
        return entry.problem
    return (
        f"retriever {manifest.retriever.name} ({manifest.retriever.revision}), k {manifest.k},"
        f" {manifest.queries['count']} queries ({manifest.queries['unmatched']} match nothing),"
        f" {manifest.corpus['passages']} passages"
        f" of {manifest.corpus['articles']} articles (corpus {manifest.corpus['sha256'][:12]})"
    )


def cache_verify(options: argparse.Namespace) -> int:
    from m4rag_tasks import retrieval
    from retrieval_cache import list_caches, verify

    root = retrieval.cache_root()
    entries = list_caches(root)
    bad = 0
    for entry in entries:
        problems = [entry.problem] if entry.manifest is None else verify(entry.folder, root)
        bad += bool(problems)
        print(f"{entry.dataset} {entry.setting} {entry.folder.name}: {'; '.join(problems) or 'ok'}")
    print(f"{len(entries) - bad} of {len(entries)} caches in {root} are sound.")
    return 0 if entries and not bad else 1


def report(options: argparse.Namespace) -> int:
    from m4rag_tasks import datasets
    from m4rag_tasks.report import text_table, write_report

    names = {language.code: language.name for language in suite.languages().values()}
    page, written = write_report(
        [Path(path) for path in options.runs],
        Path(options.output_dir),
        lambda dataset, image_id: datasets.find_image(suite.DATASETS[dataset], image_id),
        names,
        rule=options.rule,
    )
    print(text_table(written))
    print(f"Report: {page}")
    return 0


# --- arguments --------------------------------------------------------------


def _resolve_all(names: Sequence[str]) -> list[suite.Task]:
    chosen = {task.name: task for name in ",".join(names).split(",") if name for task in suite.resolve(name)}
    if not chosen:
        raise UnknownNameError("No task is named. List them with: m4rag tasks")
    return list(chosen.values())


def _datasets_and_settings(options: argparse.Namespace) -> list[tuple[suite.Dataset, suite.Setting]]:
    """The (data set, setting) pairs that a build is asked for: by axes or by task names."""
    if options.tasks and (options.dataset or options.setting):
        raise UnknownNameError("Name tasks, or --dataset and --setting, not both.")
    if options.tasks:
        chosen = _resolve_all(options.tasks)
    elif options.dataset:
        chosen = suite.select(options.dataset, options.setting)
    else:
        raise UnknownNameError("Say what to build: task or group names, or --dataset with or without --setting.")
    pairs = dict.fromkeys((task.dataset, task.setting) for task in chosen)
    searching = [pair for pair in pairs if pair[1].retriever]
    if not searching:
        raise UnknownNameError("Nothing to build: the chosen settings search no corpus.")
    return searching


def _passages(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_K:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_K}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="m4rag", description="The M4-RAG task suite for lmms-eval: caches, checks and reports around it."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("demo", help="build the mini caches, evaluate the reader in every setting, report")
    verb.add_argument("--output-dir", default="out/demo", help="folder for runs and report (default: %(default)s)")
    verb.set_defaults(verb=demo)

    verb = verbs.add_parser("tasks", help="list our tasks")
    verb.add_argument("--dataset")
    verb.add_argument("--setting")
    verb.add_argument("--language")
    verb.add_argument("--groups", action="store_true", help="only the groups over languages")
    verb.set_defaults(verb=tasks)

    verb = verbs.add_parser("generate", help="write the task YAMLs from the grid")
    verb.add_argument("--check", action="store_true", help="only say what differs; exit code 1 if anything does")
    verb.set_defaults(verb=generate)

    verb = verbs.add_parser("preflight", help="can these tasks run? (data, images, templates, cache; no model)")
    verb.add_argument("tasks", nargs="+", metavar="TASK", help="task or group names")
    verb.add_argument("--no-images", action="store_true", help="do not open the images")
    verb.set_defaults(verb=preflight)

    _add_cache_verbs(verbs)

    verb = verbs.add_parser("report", help="tables and one HTML page from lmms-eval output folders")
    verb.add_argument("runs", nargs="+", metavar="RUN_DIR")
    verb.add_argument("--output-dir", default="report", help="folder to write to (default: %(default)s)")
    verb.add_argument(
        "--rule",
        choices=("m4rag", "reference", "worldcuisines"),
        help="score the stored answers again under this parsing rule (default: as they were scored)",
    )
    verb.set_defaults(verb=report)
    return parser


def _add_cache_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from retrieval_cache import retriever_names

    group = verbs.add_parser("cache", help="the retrieval cache: build, info, verify")
    actions = group.add_subparsers(required=True, metavar="ACTION")

    action = actions.add_parser("build", help="corpus → passages → index → top-k; goes on where it was stopped")
    action.add_argument("tasks", nargs="*", metavar="TASK", help="task or group names, instead of --dataset")
    action.add_argument("--dataset")
    action.add_argument("--setting")
    action.add_argument("--corpus", type=Path, help="articles as JSONL, plain or .gz (default: the data set's own)")
    action.add_argument(
        "--retriever",
        choices=retriever_names(),
        help="another retriever than the setting's own (tasks will not read it)",
    )
    action.add_argument("--k", type=_passages, default=suite.TOP_K, help="passages per question (default: %(default)s)")
    action.set_defaults(verb=cache_build)

    action = actions.add_parser("info", help="what is in the cache folder")
    action.set_defaults(verb=cache_info)

    action = actions.add_parser("verify", help="check all passages and hits against their checksums")
    action.set_defaults(verb=cache_verify)


if __name__ == "__main__":
    sys.exit(main())
