"""What is made of rows that arrive, and of jobs that end without them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.cluster.scheduler import GONE, Job, SchedulerError
from benchmarks.cluster.watch import Queued, Watch, lost_row
from benchmarks.config.artifacts import Keeping
from benchmarks.config.suite import Suite
from benchmarks.runner.block import Block, blocks_of
from results.store import Store
from tests.helpers.planning import plan

SUITE = Suite(frameworks=("torch", "jax"), seeds=(0, 1))
RUNNING, DONE = Job("RUNNING", "None", "n1"), Job("COMPLETED", "None", "n1")


class Told:
    """A scheduler that says of all jobs one after another what it was given."""

    def __init__(self, *said: dict[str, Job] | Exception) -> None:
        self.said = list(said)

    def states(self, directory: Path, jobs: Sequence[str]) -> dict[str, Job]:
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        return {job: said[job] for job in jobs}


@pytest.fixture
def queued(tmp_path) -> list[Queued]:
    """Two blocks of two runs."""
    made = []
    for number, runs in enumerate(blocks_of(plan(SUITE)), start=1):
        block = Block(
            name=runs[0].block,
            number=number,
            session_id="s",
            engine="slurm",
            store=str(tmp_path / "runs"),
            suite=SUITE,
            runs=tuple(runs),
            executions=tuple(f"{run.run_id}-{number}" for run in runs),
            seconds=(1.0, 1.0),
            class_names=("a", "b"),
            class_counts=(1, 1),
            keeping=Keeping(),
        )
        made.append(Queued(block, f"7_{number}", tmp_path / f"7_{number}.log"))
    return made


class Watched:
    """A watch over queued blocks; each pause appends the next rows.

    said: what it told; rows: for each pause the executions that arrive, by block and place.
    """

    def __init__(
        self, queued: list[Queued], scheduler: Told, rows: list[list[tuple[int, int]]]
    ) -> None:
        self.store = Store(queued[0].block.store)
        self.store.check_writable()
        self.said: list[str] = []
        self._queued, self._rows = queued, rows
        self.watch = Watch(queued, scheduler, self.store, self.said.append, sleep=self.pause)

    def pause(self, _: float) -> None:
        for block, place in self._rows.pop(0):
            self.append(block, place)

    def append(self, number: int, place: int) -> None:
        block = self._queued[number].block
        row = lost_row(block, block.runs[place], block.executions[place], "", "", "n1")
        self.store.append(row | {"status": "ok", "reason": None, "wall_seconds": 2.0})


def test_rows_are_told_as_they_arrive(queued) -> None:
    said = [{"7_1": RUNNING, "7_2": Job("PENDING", "Priority")}, {"7_1": RUNNING, "7_2": RUNNING}]
    made = Watched(queued, Told(*said), [[(0, 0)], [(0, 1), (1, 1)], [(1, 0)]])
    tally = made.watch.until_all_ended()
    assert [row["status"] for row in tally.rows] == ["ok"] * 4
    assert [line.partition("]")[0] for line in made.said] == ["[1/4", "[2/4", "[3/4", "[4/4"]
    assert all(line.endswith("| n1 | ok in 2.0 s") for line in made.said)


def test_a_queue_is_told_once(queued) -> None:
    wait = Job("PENDING", "Priority")
    told = Told(*[{"7_1": wait, "7_2": wait}] * 3, {"7_1": DONE, "7_2": DONE})
    made = Watched(queued, told, [[], [], [(0, 0), (0, 1), (1, 0), (1, 1)]])
    made.watch.until_all_ended()
    assert made.said[0] == "2 blocks in the queue: PENDING (Priority)"
    assert len(made.said) == 5


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Job("NODE_FAIL", "NodeDown", "n2"), "job 7_2: NODE_FAIL (NodeDown) on n2"),
        (Job("CANCELLED", "None", "n2"), "job 7_2: CANCELLED on n2"),
        (Job("PREEMPTED", "", ""), "job 7_2: PREEMPTED"),
        (Job("TIMEOUT", "TimeLimit", "n2"), "job 7_2: TIMEOUT (TimeLimit) on n2"),
        (GONE, "job 7_2: GONE (the scheduler does not know the job any more)"),
        (DONE, "job 7_2: COMPLETED on n1"),
    ],
)
def test_what_a_job_leaves_undone_is_lost(queued, said: Job, reason: str) -> None:
    told = Told({"7_1": RUNNING, "7_2": RUNNING}, {"7_1": DONE, "7_2": said})
    made = Watched(queued, told, [[(0, 0), (0, 1), (1, 0)]])
    tally = made.watch.until_all_ended()
    assert sorted(row["status"] for row in tally.rows) == ["lost", "ok", "ok", "ok"]
    (row,) = made.store.runs().query("status == 'lost'").to_dict("records")
    assert row["reason"] == reason
    assert row["execution_id"] == queued[1].block.executions[1]
    assert (row["engine"], row["job_id"], row["block"]) == ("slurm", "7_2", queued[1].block.name)
    assert row["task_id"] == queued[1].block.runs[1].task_id
    assert len(tally.failed()) == 1


def test_rows_that_another_session_has_packed_are_found(queued) -> None:
    told = Told({"7_1": DONE, "7_2": DONE})
    made = Watched(queued, told, [])
    for block in range(2):
        for place in range(2):
            made.append(block, place)
    made.store.compact()
    assert [row["status"] for row in made.watch.until_all_ended().rows] == ["ok"] * 4


def test_a_scheduler_that_is_away_loses_nothing(queued) -> None:
    away = SchedulerError("squeue: no answer")
    told = Told({"7_1": RUNNING, "7_2": RUNNING}, away, away, {"7_1": DONE, "7_2": DONE})
    made = Watched(queued, told, [[(0, 0)], [(0, 1), (1, 0)], [(1, 1)]])
    assert [row["status"] for row in made.watch.until_all_ended().rows] == ["ok"] * 4
    assert made.said.count("squeue: no answer; asking again until it answers") == 1


def failed(queued: list[Queued], rows: list[tuple[int, int]]) -> Watched:
    end = Job("FAILED", "NonZeroExitCode", "n2")
    told = Told({"7_1": RUNNING, "7_2": RUNNING}, {"7_1": DONE, "7_2": end})
    return Watched(queued, told, [rows])


def test_what_no_node_could_begin_ends_the_session_with_its_words(queued) -> None:
    queued[1].log.write_text("block 2\nerror: the store is read-only\n")
    end = Job("FAILED", "NonZeroExitCode", "n2")
    made = Watched(queued, Told({"7_1": RUNNING, "7_2": end}), [])
    with pytest.raises(SchedulerError, match=r"block 2: .*, job 7_2: the store is read-only"):
        made.watch.until_all_ended()
    assert made.store.runs().empty


def test_a_store_that_nodes_do_not_see_is_named(queued) -> None:
    queued[1].log = Path("/nonexistent/7_2.log")
    end = Job("FAILED", "NonZeroExitCode", "n2")
    made = Watched(queued, Told({"7_1": RUNNING, "7_2": end}), [])
    with pytest.raises(SchedulerError, match="keep the store where the nodes see it, with --store"):
        made.watch.until_all_ended()


def test_one_node_that_refuses_among_others_loses_its_block(queued) -> None:
    queued[1].log.write_text("error: the galaxies are others\n")
    made = failed(queued, [(0, 0), (0, 1)])
    statuses = [row["status"] for row in made.watch.until_all_ended().rows]
    assert statuses == ["ok", "ok", "lost", "lost"]
    (reason,) = set(made.store.runs().query("status == 'lost'")["reason"])
    assert reason == "job 7_2: FAILED (NonZeroExitCode) on n2; the galaxies are others"
