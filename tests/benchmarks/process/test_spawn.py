"""The one way to start a child: whatever it does, it ends, it is told how, and it harms nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmarks.process import spawn
from benchmarks.process.channel import Lines, check
from benchmarks.process.spawn import Child, ask
from benchmarks.system import machine
from tests.helpers.processes import ended

Start = Callable[..., Child]
PRELUDE = """
import os, signal, sys, time
from benchmarks.process.channel import Channel
channel = Channel()
def tell(**values): channel.send("facts", values=values)
"""


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """A function that starts a script as a child."""

    def started(script: str, *arguments: str, **options: object) -> Child:
        (tmp_path / "script.py").write_text(PRELUDE + textwrap.dedent(script))
        path = os.pathsep.join([str(tmp_path), str(machine.ROOT)])
        variables = os.environ | {"PYTHONPATH": path}
        return Child("script", arguments, variables, **options)  # type: ignore[arg-type]

    return started


def told(child: Child, limit: float = 0.0) -> list[dict]:
    return [event["values"] for event in child.events(limit)]


def test_a_child_tells_facts_and_ends_well(start: Start) -> None:
    with start("tell(said=sys.argv[1:], main=__name__); print('printed')", "a", "b") as child:
        assert told(child) == [{"said": ["a", "b"], "main": "__main__"}]
    assert (child.status, child.failure(), child.log) == (0, "", "printed")


def test_what_it_says_last_is_why_it_failed(start: Start) -> None:
    with start("print('on stdout'); sys.exit('no luck')") as child:
        assert told(child) == []
    assert (child.status, child.failure()) == (1, "no luck")
    with start("sys.exit(3)") as child:
        told(child)
    assert child.failure() == "the process ended with status 3 without a result"


def test_a_hung_child_is_killed_and_says_where_it_hung(start: Start) -> None:
    script = """
    def hangs():
        tell(pid=os.getpid())
        time.sleep(600)
    hangs()
    """
    with start(script) as child:
        pid = next(iter(child.events()))["values"]["pid"]  # it has begun, however slow the machine
        assert told(child, 0.1) == []
        assert child.late
        assert re.fullmatch(
            r"not done after 0.1 s, in hangs \(.*script\.py, line \d+\)", child.failure()
        )
    assert not psutil.pid_exists(pid)


def test_the_limit_may_be_for_the_time_without_an_event(start: Start, monkeypatch) -> None:
    """The clock is pretended: six seconds pass between events, of which there are three."""
    now = [0.0]
    monkeypatch.setattr(spawn.time, "perf_counter", lambda: now[0])
    for idle, late in ((True, False), (False, True)):
        monkeypatch.setattr(spawn, "_LAST_WORDS_SECONDS", 0.0)
        with start("for number in range(3): tell(number=number); time.sleep(0.1)") as child:
            for _ in child.events(10.0, idle=idle):
                now[0] += 6.0
            assert child.late is late


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", r"the process was killed by SIGKILL"),
        (
            "def crashes():\n    import ctypes\n    ctypes.string_at(0)\ncrashes()",
            r"the process was killed by SIGSEGV, in string_at \(.*\)",
        ),
    ],
    ids=["killed", "crashed"],
)
def test_a_child_that_was_killed_is_told_as_such(start: Start, monkeypatch, script, reason) -> None:
    monkeypatch.setattr(machine, "killed_for_memory", lambda: 0)
    with start(script) as child:
        told(child)
    assert re.fullmatch(reason, child.failure())


def test_a_child_that_the_kernel_killed_for_memory_is_told_as_such(
    start: Start, monkeypatch
) -> None:
    counts = iter([3, 4])
    monkeypatch.setattr(machine, "killed_for_memory", lambda: next(counts))
    with start("os.kill(os.getpid(), signal.SIGKILL)") as child:
        told(child)
    assert child.failure() == "killed by the kernel: the machine ran out of memory"


def test_of_a_flood_the_end_alone_is_kept(start: Start, tmp_path: Path) -> None:
    script = """
    for _ in range(64):
        for stream in (1, 2):
            os.write(stream, b"x" * 2**20)
    tell(done=True)
    print("the end", file=sys.stderr)
    """
    tracemalloc.start()
    try:
        with start(script) as child:
            assert told(child) == [{"done": True}]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert child.log.endswith("xthe end")
    assert len(child.log) <= 8000
    assert peak < 2**24
    assert {file.name for file in tmp_path.iterdir()} <= {"script.py", "__pycache__"}


MALFORMED: dict[str, dict] = {
    "no such event": {"event": "nonsense"},
    "an event that is no word": {"event": 5},
    "a phase without a name": {"event": "phase"},
    "a phase of a number": {"event": "phase", "name": 5},
    "facts without values": {"event": "facts"},
    "facts that are a list": {"event": "facts", "values": [1]},
    "extra that is text": {"event": "facts", "values": {"extra": "x"}},
    "seconds that are text": {
        "event": "facts",
        "values": {"extra": {"waited_for_turn_seconds": "x"}},
    },
    "an epoch without rows": {"event": "epoch"},
    "a row without a loss": {
        "event": "epoch",
        "rows": [{"epoch": 1, "split": "train", "accuracy": 0.5}],
    },
    "a row of no epoch": {
        "event": "epoch",
        "rows": [{"epoch": "1", "split": "train", "loss": 1.0, "accuracy": 0.5}],
    },
    "an end without a status": {"event": "end", "reason": None},
    "an end of no known status": {"event": "end", "status": "fine", "reason": None},
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_event_is_noticed(case: str) -> None:
    with pytest.raises(ValueError, match="it sent a malformed event: "):
        check(MALFORMED[case])


def test_a_malformed_event_is_the_child_s_error(start: Start) -> None:
    script = "channel.send('phase', name='train'); channel.send('phase'); time.sleep(600)"
    with start(script) as child:
        assert [event["name"] for event in child.events()] == ["train"]
    assert child.failure().startswith("it sent a malformed event: ")
    assert child.ending("train") == ("error", child.failure())


def test_an_event_of_any_size_is_joined_in_one_go_up_to_a_bound() -> None:
    lines, block = Lines(), b"x" * 2**16
    event = {"event": "facts", "values": {"x": "x" * 2**23}}
    text = json.dumps(event).encode() + b"\n"
    pieces = [text[start : start + 2**16] for start in range(0, len(text), 2**16)]
    assert [one for piece in pieces for one in lines.feed(piece)] == [event]
    with pytest.raises(ValueError, match="more than 16 MiB"):
        _ = [list(lines.feed(block)) for _ in range(2**9)]
    many, long = Lines(), b'{"event": "turn"' + b" " * 2**23 + b"}\n"
    with pytest.raises(ValueError, match="more than 256 MiB"):
        _ = [list(many.feed(long)) for _ in range(2**5)]


@pytest.mark.parametrize(
    "line",
    [b"noise", b"[1]", b"{}", b'"event"', b"", b"\xff", b"[" * 100_000, b'{"event": 1'],
    ids=["a word", "a list", "nothing told", "text", "empty", "no UTF-8", "nested", "cut short"],
)
def test_a_line_that_is_no_event_is_noticed(line: bytes) -> None:
    with pytest.raises(ValueError, match="it sent what is no event: ") as raised:
        list(Lines().feed(line + b"\n"))
    assert len(str(raised.value)) < 120


def test_a_line_that_comes_byte_by_byte_costs_its_bytes() -> None:
    """With every byte the parts of a line were once added up anew: a minute for this one."""
    lines = Lines()
    start = time.process_time()
    for _ in range(400_000):
        assert not list(lines.feed(b"x"))
    assert time.process_time() - start < 20


DAEMON = """
    tell(pid=os.getpid())
    if not os.fork():
        os.setsid()
        if not os.fork():
            if not os.fork():
                tell(pid=os.getpid())
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(600)
            tell(pid=os.getpid())
            time.sleep(600)
        os._exit(0)
    os.wait()
    time.sleep(0.2 if sys.argv[1] == "ends" else 600)
    """


def daemons(child: Child) -> list[psutil.Process]:
    events = iter(child.events())
    return [psutil.Process(next(events)["values"]["pid"]) for _ in range(3)]


@pytest.mark.skipif(sys.platform != "linux", reason="a subreaper is Linux's")
@pytest.mark.parametrize(
    "how", ["ends", "is killed", "its first process is killed", "is left", "hangs"]
)
def test_a_daemon_ends_with_the_child(start: Start, how: str) -> None:
    """It is forked twice, in a session of its own, and has a child itself."""
    with start(DAEMON, how) as child:
        running = daemons(child)
        if how.endswith("is killed"):
            psutil.Process(child._process.pid).kill() if "first" in how else running[0].kill()
        if how != "is left":
            told(child, 0.2 if how == "hangs" else 0.0)
            assert ended(running)
            assert child.status == (0 if how == "ends" else -9)
    assert ended(running)


def test_a_daemon_that_left_the_group_and_floods_the_log_is_not_waited_for(start: Start) -> None:
    script = """
    if not os.fork():
        os.setsid()
        tell(pid=os.getpid())
        while True:
            os.write(1, b"x" * 2**16)
    time.sleep(0.2)
    os._exit(0)
    """
    with start(script) as child:
        (daemon,) = told(child)
    assert child.failure() == ""
    assert ended([psutil.Process(daemon["pid"])] if psutil.pid_exists(daemon["pid"]) else [])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child notices when it writes")
def test_a_child_and_its_daemons_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "sleeps.py").write_text(PRELUDE + textwrap.dedent(DAEMON))
    parent = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import os\nfrom benchmarks.process.spawn import Child\n"
            "child = Child('sleeps', ['on'], os.environ)\n"
            "for event in child.events(): print(event['values']['pid'], flush=True)",
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(machine.ROOT)])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    forked = [psutil.Process(int(parent.stdout.readline())) for _ in range(3)]
    (child,) = psutil.Process(parent.pid).children()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert ended([child, *forked])


def test_a_child_whose_parent_is_gone_does_not_begin(tmp_path: Path) -> None:
    command = [sys.executable, machine.ROOT / "benchmarks/process/child.py", "0", "no_such_module"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["the process that started this one is gone"]


def test_an_interpreter_that_cannot_be_started_is_the_reason(tmp_path: Path) -> None:
    before = os.listdir("/dev/fd")
    found, reason = ask("x", [], "torch", limit=9.0, python=str(tmp_path / "nowhere"))
    assert found == []
    assert reason.startswith("cannot be started: ")
    assert os.listdir("/dev/fd") == before, "a pipe was left open"


def test_a_child_is_kept_to_the_cpus_of_its_threads(start: Start) -> None:
    with start("tell(cpus=len(os.sched_getaffinity(0)))", threads=1) as child:
        assert told(child) == [{"cpus": 1}]


# Who may start a process by itself, and why.
STARTERS = {
    "benchmarks/process/spawn.py": "the one way",
    "benchmarks/process/child.py": "the other end of it, whose fork runs the module",
    "benchmarks/port/convert/convert.py": "nothing: the text of a test that it writes",
    "benchmarks/system/machine.py": "sysctl, which answers in a moment and changes nothing",
    "benchmarks/cluster/scheduler.py": "its commands, which answer in a moment or are given up",
    "benchmarks/cluster/ray_queue.py": "a block, on a node that has no more than Ray",
    "frameworks/torch/ranks.py": "replicas, below the harness; they end with their worker",
    "results/door/apart.py": "a library in C that reads a user's file, in a fork with limits",
    "results/version.py": "git, which answers in a moment and changes nothing",
    "galaxy_benchmark/api.py": "the command, from a user's process that imports no harness",
    "report/feature_maps.py": "a command of ours on the user's own terminal; it imports no harness",
}
STARTS = re.compile(
    r"^\s*(import|from)\s+(subprocess|multiprocessing|asyncio|pty)\b"
    r"|\bos\.(fork|forkpty|system|popen|posix_spawnp?|exec\w+|spawn\w+)\(",
    re.MULTILINE,
)


def test_nothing_else_of_the_product_starts_a_process() -> None:
    folders = ("benchmarks", "datasets", "frameworks", "galaxy_benchmark", "report", "results")
    starters = {
        str(file.relative_to(machine.ROOT))
        for folder in folders
        for file in (machine.ROOT / folder).rglob("*.py")
        if STARTS.search(file.read_text(encoding="utf-8"))
    }
    assert starters == set(STARTERS)
