"""Options of runs on a cluster."""

from __future__ import annotations

import argparse

from results import cli

EXECUTORS = ("local", "slurm", "ray")


def add_cluster(to: argparse._ActionsContainer) -> None:
    """Add the options to a parser or a group of it."""
    to.add_argument(
        "--executor",
        choices=EXECUTORS,
        default=EXECUTORS[0],
        help="local (default): here, one run after another; slurm, ray: one job, alone on its "
        "node, for each block, that is for all frameworks of one seed or repeat",
    )
    to.add_argument(
        "--executor-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="Slurm: an option of sbatch, as in partition=gpu or gres=gpu:1; Ray: "
        "address=HOST:PORT of the cluster, resource=NAME that each node has one of; python=PATH: "
        "the interpreter on the nodes",
    )
    to.add_argument(
        "--max-jobs", type=cli.positive, metavar="N", help="blocks that may run at once"
    )
    to.add_argument(
        "--detach", action="store_true", help="queue the blocks and return; --attach waits for them"
    )
    to.add_argument(
        "--attach",
        nargs="?",
        const="",
        metavar="SESSION",
        help="wait for the blocks that an earlier call has queued from this store; Ctrl-C cancels "
        "them",
    )
    to.add_argument(
        "--write-blocks",
        type=cli.output_directory,
        metavar="DIR",
        help="run nothing, write a file for each block there: python -m benchmarks.block FILE runs "
        "it on any machine that shares the store",
    )
