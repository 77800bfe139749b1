# PYTHON_ARGCOMPLETE_OK
"""The main command: `python -m benchmarks.run` trains a matrix of runs and draws the report.

Exit status: 0 all well, 1 a run failed (its row says why), 2 bad input, 130 interrupted, 143 asked
to end (SIGTERM).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from benchmarks.config.artifacts import Keeping, described
from benchmarks.config.artifacts import asked as kept
from benchmarks.config.cluster import EXECUTORS
from benchmarks.config.listing import listed
from benchmarks.config.options import parser
from benchmarks.process.turns import descriptors as in_turns
from results import cli, writer
from results.forms import data_alone, tell
from results.output import say
from results.words import count

if TYPE_CHECKING:
    from benchmarks.cluster.scheduler import Scheduler
    from benchmarks.data.cache import OneView
    from benchmarks.runner.prepare import Prepared
    from benchmarks.runner.session import Tally
    from results.store import Store

OK, RUN_FAILED = cli.OK, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = parser().parse_args(arguments)
    finished = "what was finished is kept, --resume does the rest"
    unread = OK if options.dry_run or options.list else RUN_FAILED
    return cli.run(partial(_main, options), finished, unread)


def _main(options: argparse.Namespace) -> int:
    with data_alone(options.form) as out:
        return _asked(options, out)


def _asked(options: argparse.Namespace, out: IO[str]) -> int:
    """Do what the options ask for; out: standard output, for the data that --json and --csv ask."""
    if options.list:
        tell([listed(options.list)], options.form, out)
        return OK
    if options.attach is not None:
        return _attached(options, out)
    from benchmarks.config.request import asked_for, first_line

    asked = asked_for(options)
    say(first_line(asked), flush=True)

    from benchmarks.data.cache import OneView
    from benchmarks.runner.announce import announce, announce_each, plan_tables, time_needed
    from benchmarks.runner.prepare import Preparing, prepare_each
    from results.store import Store
    from results.writer import scratch_directory

    together = max(one.suite.side_by_side for one in asked)
    scheduler = _scheduler(options, together)
    blocks = scheduler is not None or options.write_blocks is not None
    store = Store(options.store)
    threads = max(one.suite.threads for one in asked)
    with scratch_directory() as scratch:
        views = OneView(scratch, None if options.dry_run else store)
        preparing = Preparing(
            store,
            views,
            named=options.frameworks is not None,
            resume=options.resume and not blocks,
            dry_run=options.dry_run,
            python=options.python,
            elsewhere=None if scheduler is None else scheduler.nodes(threads),
        )
        prepared = prepare_each(asked, preparing)
        if blocks and options.resume:
            from benchmarks.cluster.plan import without_whole

            prepared = without_whole(prepared, store)
        if len(asked) > 1 or options.experiments:
            announce_each(asked, prepared)
        announce(prepared)
        if options.dry_run:
            tell(plan_tables(prepared), options.form, out)
        say(time_needed(prepared), flush=True)
        if options.dry_run:
            return OK
        keeping = kept(
            store.path,
            checkpoint_every=options.checkpoint_every,
            resume=options.resume,
            models=options.save_models,
            machine_id=prepared[0].session.machine_id,
            self_check=not options.no_self_check,
        )
        if blocks:
            return _run_blocks(prepared, store, keeping, scheduler, options, out)
        return _run_all(prepared, views, store, scratch, keeping, options, out)


def _run_all(
    prepared: list[Prepared],
    views: OneView,
    store: Store,
    scratch: Path,
    keeping: Keeping,
    options: argparse.Namespace,
    out: IO[str],
) -> int:
    """Run what is to be run, one suite after another, then show table and report."""
    from benchmarks.runner.live import ToldProgress
    from benchmarks.runner.preflight import opened
    from benchmarks.runner.progress import Tracker, progress_for
    from benchmarks.runner.session import Tally, check_checkpoints, execute
    from results.given import stored

    for one in prepared:
        check_checkpoints(one.runs, keeping)
    sessions = [
        opened(
            one.session,
            one.runs,
            one.suite,
            scratch=scratch,
            tell=lambda text: say(text, flush=True),
        )
        for one in prepared
    ]
    tally = Tally()
    tracker = Tracker([run for one in prepared for run in one.runs], prepared[0].estimator)
    progress = ToldProgress(progress_for(tracker), tracker, store.path, sessions[0].session_id)
    try:
        for one, session in zip(prepared, sessions, strict=True):
            if not one.runs:
                continue
            galaxies = views.galaxies(one.suite)
            about = described(one.suite, galaxies.class_names)
            execute(
                one.runs,
                galaxies=galaxies,
                store=store,
                session=session,
                scratch=scratch,
                timeout=one.suite.timeout,
                tracker=tracker,
                progress=progress,
                tally=tally,
                first=len(tally.rows) + 1,
                keeping=msgspec.structs.replace(
                    keeping, about=about, initial_weights=one.suite.initial_weights or ""
                ),
            )
    except (OSError, ValueError) as error:  # the store, or galaxies that were there before
        progress.close()
        rest = f"kept: {len(tally.rows)} finished before; --resume does the rest"
        say(f"error: {cli.message(error)}\n{rest}", error=True)
        return cli.BAD_INPUT
    finally:
        progress.close()

    done = {run.run_id for one in prepared for run in one.done}
    earlier = stored(store, done, prepared[0].session.machine_id)
    asked = done | {run.run_id for one in prepared for run in one.runs}
    return _ended(tally, earlier, asked, store, options, out)


def _scheduler(options: argparse.Namespace, together: int) -> Scheduler | None:
    """The scheduler that the options ask for, looked at; None where the runs are made here.

    Args:
        together: blocks that may share a node.

    Raises:
        ValueError: there is none here, or an option is of another executor.
    """
    if options.executor == "local":
        for name in ("executor_option", "max_jobs", "detach"):
            if getattr(options, name):
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"{option}: it is of --executor {' or '.join(EXECUTORS[1:])}")
        if together > 1 and options.write_blocks is None:
            raise ValueError(
                f"--side-by-side {together}: runs come one after another here; it is of --executor "
                f"{' or '.join(EXECUTORS[1:])}"
            )
        return None
    if options.write_blocks is not None:
        raise ValueError("--write-blocks and --executor: name one of the two")
    from benchmarks.cluster.session import options_of, scheduler_of

    scheduler = scheduler_of(options.executor, options_of(options.executor_option), together)
    scheduler.check()
    return scheduler


def _run_blocks(
    prepared: list[Prepared],
    store: Store,
    keeping: Keeping,
    scheduler: Scheduler | None,
    options: argparse.Namespace,
    out: IO[str],
) -> int:
    """Write the blocks; with a scheduler, queue them and wait for their rows."""
    from benchmarks.cluster.plan import planned_blocks, write_blocks
    from benchmarks.cluster.session import submit, watched
    from benchmarks.runner.session import Tally
    from results.given import stored

    blocks = planned_blocks(prepared, keeping, engine="block", store=store)
    if scheduler is None:
        write_blocks(blocks, options.write_blocks)
        say(f"{count(len(blocks), 'block')} in {options.write_blocks}")
        return OK
    tally = Tally()
    if blocks:
        session = prepared[0].session.session_id
        blocks = [msgspec.structs.replace(one, engine=options.executor) for one in blocks]
        directory = submit(blocks, store, scheduler, most=options.max_jobs or 0)
        attach = f"python -m benchmarks.run --attach {session} --store {options.store}"
        say(f"session {session}: {count(len(blocks), 'block')} are queued; {attach}", flush=True)
        if options.detach:
            return OK
        watched(directory, store, tally)
    done = {run.run_id for one in prepared for run in one.done}
    asked = done | {run.run_id for one in prepared for run in one.runs}
    return _ended(tally, stored(store, done, None), asked, store, options, out)


def _attached(options: argparse.Namespace, out: IO[str]) -> int:
    """Wait for the blocks that an earlier call has queued, and end as it would have."""
    from benchmarks.cluster.session import attached, watched
    from benchmarks.runner.session import Tally
    from results.store import Store

    store = Store(options.store)
    tally = Tally()
    blocks = watched(attached(store, options.attach), store, tally)
    asked = {run.run_id for block in blocks for run in block.runs}
    return _ended(tally, [], asked, store, options, out)


def _ended(
    tally: Tally,
    earlier: list[dict[str, Any]],
    asked: set[str],
    store: Store,
    options: argparse.Namespace,
    out: IO[str],
) -> int:
    """Show what came of a session; returns the exit status.

    In turns nothing is shown: the gate reads the store, and answers and tables take a sixth of this
    process's own time.

    Args:
        earlier: rows that were in the store before, and belong to what was asked for.
        asked: the run_ids of all.
    """
    from results.given import disagreements

    store.tidy()
    if options.write_ids is not None:
        ids = [row["execution_id"] for row in (*earlier, *tally.rows)]
        writer.write(options.write_ids, "".join(f"{one}\n" for one in ids))
    if not in_turns():
        _show_results(asked, store, options, out)
    different = disagreements([*earlier, *tally.rows])
    for sentence in different:
        say(f"NOT COMPARABLE: {sentence}", error=True)
    failed = tally.failed()
    if failed:
        say(f"{len(failed)} of {count(len(tally.rows), 'run')} failed", error=True)
    return RUN_FAILED if failed or different else OK


def _show_results(asked: set[str], store: Store, options: argparse.Namespace, out: IO[str]) -> None:
    """Say and print what this call was about, and write the report of the store."""
    from report.console import summary
    from results.forms import write_rows
    from results.parquet import findings
    from results.views.answers import answers
    from results.views.console import print_answers
    from results.views.views import Frames

    runs = store.runs()
    climbed = findings.read(store.path)
    frames = Frames.of_runs(runs, climbed).only(asked)
    made = summary(frames)
    if options.form:
        write_rows(made.tables, options.form, out)
    else:
        say()
        print_answers(answers(frames))
        made.show()
    if not options.no_report:
        from report import page

        say(f"report: {page.write(store, options.report).page}")


if __name__ == "__main__":
    sys.exit(main())
