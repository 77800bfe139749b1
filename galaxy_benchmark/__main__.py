"""The one command of an installation: `galaxy-benchmark run ...` is `python -m benchmarks.run ...`.

This process and its children find our folders by a path that is theirs alone; an installation puts
`galaxy_benchmark` into site-packages and nothing else.
"""

import os
import runpy
import sys

from galaxy_benchmark import ROOT, environment

_MODULES = {
    "run": ("benchmarks.run", "train a matrix of runs, then draw the report"),
    "fidelity": ("benchmarks.fidelity", "do the frameworks train the same network?"),
    "track": ("benchmarks.track", "did speed or memory change since last time?"),
    "micro": ("benchmarks.micro", "a framework's step beside a bare loop of it"),
    "limits": ("benchmarks.limits", "the machine's peak speeds"),
    "results": ("results", "show, export, merge and pack stored runs"),
    "report": ("report", "figures, tables and one page of stored runs"),
    "datasets": ("datasets", "make and check files of galaxies"),
}
_HELP = """\
usage: galaxy-benchmark COMMAND [OPTIONS]

Train one network in Keras, PyTorch and JAX on the same galaxies, and compare.

commands:
{commands}

galaxy-benchmark COMMAND --help: its options. In a checkout: python -m benchmarks.run, ...
"""
BAD_INPUT = 2  # exit status


def main() -> None:
    """Run the command that the first argument names, in this process; exits with its status."""
    name, *rest = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        lines = [f"  {name:10}{words}" for name, (_, words) in _MODULES.items()]
        print(_HELP.format(commands="\n".join(lines)), end="")
        return
    os.environ.update(environment())
    sys.path.insert(0, str(ROOT))
    if name == "--version":
        from results.version import commit, version

        print(f"galaxy-benchmark {version()} (commit {commit()[0] or 'unknown'})")
        return
    if name not in _MODULES:
        from frameworks.spec.reading import near_miss

        print(f"error: unknown command '{name}'{near_miss(name, list(_MODULES))}", file=sys.stderr)
        print("See galaxy-benchmark --help", file=sys.stderr)
        raise SystemExit(BAD_INPUT)
    sys.argv = [f"galaxy-benchmark {name}", *rest]
    runpy.run_module(_MODULES[name][0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
