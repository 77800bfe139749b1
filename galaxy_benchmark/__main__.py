# PYTHON_ARGCOMPLETE_OK
"""The one command of an installation: `galaxy-benchmark run ...` is `python -m benchmarks.run ...`.

This process and its children find our folders by a path that is theirs alone; an installation puts
`galaxy_benchmark` into site-packages and nothing else.
"""

import os
import runpy
import sys

from galaxy_benchmark import ROOT, environment

MODULES = {
    "run": ("benchmarks.run", "train a matrix of runs, then draw the report"),
    "block": ("benchmarks.block", "run one block of a planned session, on any node"),
    "fidelity": ("benchmarks.fidelity", "do the frameworks train the same network?"),
    "port": ("benchmarks.port", "two programs of your own: do they train the same?"),
    "track": ("benchmarks.track", "did speed or memory change since last time?"),
    "micro": ("benchmarks.micro", "a framework's step beside a bare loop of it"),
    "limits": ("benchmarks.limits", "the machine's peak speeds"),
    "gpu": ("benchmarks.gpu", "all that is to be measured on a GPU, in nine minutes"),
    "results": ("results", "show, export, merge and pack stored runs"),
    "report": ("report", "figures, tables and one page of stored runs"),
    "datasets": ("datasets", "make and check files of galaxies"),
}
_EPILOG = """\
commands:
{commands}

galaxy-benchmark COMMAND --help: its options. In a checkout also: python -m benchmarks.run, ...
"""


def main() -> None:
    """Run the command that the first argument names, in this process; exits with its status."""
    os.environ.update(environment())
    sys.path.insert(0, str(ROOT))
    from results import interrupts

    interrupts.begin()
    from results import cli

    cli.INSTALLED = True
    lines = [f"  {name:10}{words}" for name, (_, words) in MODULES.items()]
    parser = cli.parser(
        "galaxy_benchmark",
        "Train one network in Keras, PyTorch and JAX on the same galaxies, and compare.",
        epilog=_EPILOG.format(commands="\n".join(lines)),
        usage="galaxy-benchmark COMMAND [OPTIONS]",
    )
    parser.prog = "galaxy-benchmark"
    parser.add_argument("command", choices=list(MODULES), metavar="COMMAND", help="as below")
    typed = os.environ.get("COMP_LINE", "").split(" ")  # the shell asks what could stand next
    if len(typed) > 2 and typed[1] in MODULES:
        os.environ["_ARGCOMPLETE"] = "2"  # words ahead of the command's own
        name = typed[1]
    else:
        name = parser.parse_args(sys.argv[1:2] or ["--help"]).command
    sys.argv = [f"galaxy-benchmark {name}", *sys.argv[2:]]
    runpy.run_module(MODULES[name][0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
