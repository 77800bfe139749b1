"""A worker's start: every run waits for it."""

import subprocess
import sys


def test_a_worker_imports_nothing_that_only_some_runs_need() -> None:
    code = (
        "import sys\nimport benchmarks.worker.__main__\n"
        "print(*{'scipy', 'pandas', 'pyarrow', 'matplotlib', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
