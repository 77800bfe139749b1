"""A step of a prepared measurement that is told what to do: `python -m tests.helpers.gpu_step`.

Words in turn: `write FILE JSON`, `wait SECONDS`, `say TEXT`, `end STATUS`.
"""

import sys
import time
from pathlib import Path


def main(words: list[str]) -> int:
    """Do it; returns the exit status."""
    rest = iter(words)
    for word in rest:
        if word == "write":
            path, text = next(rest), next(rest)
            Path(path).write_text(text, encoding="utf-8")
        elif word == "wait":
            time.sleep(float(next(rest)))
        elif word == "say":
            print(next(rest), flush=True)
        elif word == "end":
            return int(next(rest))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
