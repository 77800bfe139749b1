"""The main command from outside: bad input, and what it imports."""

import os
import subprocess
import sys

import pytest

from benchmarks.run import main
from benchmarks.system import machine
from tests.helpers.fake_backend import command
from tests.helpers.refusals import refusal

HEAVY = ("pandas", "pyarrow", "matplotlib", "scipy", "h5py", "rich", "jinja2", "pooch")


FRAMEWORKS = ("keras", "tensorflow", "torch", "jax", "flax", "optax")


BAD = {
    "unknown framework": (["--frameworks", "tortch"], "did you mean 'torch'"),
    "a framework that is not installed": (
        ["--frameworks", "fake", "fake-absent"],
        "fake-absent needs no_such_package_anywhere. Install with: python -m pip install",
    ),
    "unknown architecture": (["--architectures", "unma"], "did you mean 'unam'"),
    "malformed architecture": (["--architectures", "broken.toml"], "broken.toml: layer 1 (conv)"),
    "pictures too small": (["--architectures", "unam"], "runs out of pixels at layer"),
    "unknown suite": (["--suite", "quik"], "did you mean 'quick'"),
    "missing suite": (["--suite", "missing.toml"], "missing.toml"),
    "unknown data set": (["--dataset", "galaxy01"], "galaxy10"),
    "missing file": (["--dataset", "missing.h5"], "missing.h5"),
    "truncated file": (["--dataset", "truncated.h5"], "truncated.h5"),
    "a list with commas": (["--frameworks", "keras,torch"], "use spaces, not commas: --frameworks"),
    "numbers with commas": (["--seeds", "0,1,2"], "use spaces, not commas: --seeds 0 1 2"),
    "the package's name": (["--frameworks", "tensorflow"], "did you mean 'keras'"),
    "another name of it": (["--frameworks", "pytorch"], "did you mean 'torch'"),
    "the library's name": (["--frameworks", "flax"], "did you mean 'jax'"),
    "what cuda runs on": (["--device", "gpu"], "did you mean 'cuda'"),
    "a device by number": (["--device", "cuda:0"], "did you mean 'cuda'"),
    "an abbreviation": (["--framework", "torch"], "did you mean '--frameworks'"),
    "wrong image key": (["--image-key", "pictures"], "pictures"),
    "wrong label key": (["--label-key", "lables"], "lables"),
    "unknown labels": (["--labels", "5way"], "5way"),
    "labels that the file cannot give": (["--labels", "4way"], "4way"),
    "unknown channel": (["--channels", "7"], "7"),
    "unknown precision": (["--precision", "flaot32"], "did you mean 'float32'"),
    "no TF32 on a CPU": (["--precision", "float32", "tf32"], "no TF32 on a CPU"),
    "unknown tuning": (["--tuning", "tunde"], "did you mean 'tuned'"),
    "unknown parity": (["--parity", "matchd"], "did you mean 'matched'"),
    "no GPU": (["--device", "cuda"], "no NVIDIA GPU is visible"),
    "batch too large": (["--batch-size", "16", "1000"], "batch size 1000 is larger"),
    "batch of none": (["--batch-size", "0"], "'0' is not a whole number, 1 or more"),
    "negative seed": (["--seeds", "-1"], "'-1' is not a whole number"),
    "negative epochs": (["--epochs", "-2"], "'-2' is not a whole number"),
    "a million seeds too many": (["--processes", "1000000000"], "is too large; at most 1,000,000"),
    "a number of 64 bits": (["--processes", str(2**63)], "is too large; at most"),
    "a number of 30 digits": (["--epochs", "9" * 30], "is too large; at most"),
    "no store": (["--store", ""], "'' names nothing"),
    "too many threads": (["--threads", "4000"], "this process may use"),
    "unknown option": (["--framworks", "torch"], "did you mean '--frameworks'"),
    "unknown optimizer": (["--optimizer", "sdg"], "did you mean 'sgd'"),
    "too few class weights": (["--class-weights", "1", "2"], "has 3 classes; give a number"),
    "unknown class weights": (["--class-weights", "balancd"], "did you mean 'balanced'"),
    "unknown callback field": (["--early-stopping", "patiense=2"], "did you mean 'patience'"),
    "factor above one": (["--reduce-on-plateau", "factor=2"], "reduce_on_plateau.factor is 2.0"),
    "unknown monitor": (["--keep-best", "validation_los"], "did you mean 'validation_loss'"),
    "no validation set": (
        ["--keep-best", "--validation-fraction", "0"],
        "use a validation_fraction above 0",
    ),
    "negative learning rate": (["--learning-rate", "-1"], "learning_rate"),
    "nothing to train on": (["--test-fraction", "1.5"], "test_fraction"),
    "store is a file": (["--store", "galaxies.h5"], "galaxies.h5"),
    "store below a file": (["--store", "galaxies.h5/runs"], "galaxies.h5/runs"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message_and_exit_status_2(work, capsys, case: str) -> None:
    options, message = BAD[case]
    (work / "broken.toml").write_text('[[layers]]\ntype = "conv"\nfilers = 8\n')
    (work / "truncated.h5").write_bytes((work / "galaxies.h5").read_bytes()[:3000])
    assert message in refusal(main, command(*options), capsys)


def test_help_and_errors_import_nothing_heavy(work) -> None:
    code = (
        "import sys\nfrom benchmarks.run import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    for arguments in (["--help"], ["--precision", "x"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=machine.ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = done.stdout.partition("LOADED ")[2].split()
        assert "benchmarks" in loaded
        assert not set(loaded) & {*HEAVY, *FRAMEWORKS, "numpy"}


def test_no_framework_is_imported_by_the_harness_itself(work) -> None:
    arguments = command("--no-report")
    code = (
        "import sys\nfrom benchmarks.run import main\nstatus = main(sys.argv[1:])\n"
        "print('LOADED', status, *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    path = os.pathsep.join([str(machine.ROOT), os.environ["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=work,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.partition("LOADED ")[2].split()
    assert loaded[0] == "0"
    assert not set(loaded) & set(FRAMEWORKS)
