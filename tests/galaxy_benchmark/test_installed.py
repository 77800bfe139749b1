"""What `pip install .` gives: one package, one command, and the commit that it was built of."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest

from galaxy_benchmark.__main__ import MODULES
from tests.conftest import ROOT
from tests.helpers import fake_backend

pytestmark = [pytest.mark.slow, pytest.mark.extended]


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    return subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def git(directory: Path, *arguments: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    done = run("git", *who, *arguments, cwd=directory)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit_all(directory: Path) -> str:
    git(directory, "init", "--quiet")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "test")
    return git(directory, "rev-parse", "HEAD")


@dataclass
class Installed:
    """commit: what the source archive was made of. site: where the wheel was installed."""

    commit: str
    names: list[str]
    metadata: Message
    site: Path

    def command(self, *arguments: str, cwd: Path, path: str = "") -> subprocess.CompletedProcess:
        return run(
            sys.executable,
            self.site / "bin" / "galaxy-benchmark",
            *arguments,
            cwd=cwd,
            PYTHONPATH=os.pathsep.join([str(self.site), *filter(None, [path])]),
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Installed:
    """Source archive of a commit, unpacked, built and installed inside another repository."""
    directory = tmp_path_factory.mktemp("installed")
    checkout, other = directory / "checkout", directory / "other"
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("docs/", "tests/data/", ".venv")):
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    made_of = commit_all(checkout)
    build = f"import setuptools.build_meta as meta; meta.build_sdist({str(directory)!r})"
    done = run(sys.executable, "-c", build, cwd=checkout)
    assert done.returncode == 0, done.stderr
    other.mkdir()
    (other / "README").write_text("another project")
    commit_all(other)
    with tarfile.open(next(directory.glob("*.tar.gz"))) as archive:
        archive.extractall(other, filter="data")
    source = next(other.glob("galaxy_training_benchmark-*"))
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    offline = ("--no-deps", "--no-index")
    done = run(
        *(*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", other, source), cwd=other
    )
    assert done.returncode == 0, done.stderr
    wheel = next(other.glob("*.whl"))
    done = run(*pip, "install", *offline, "--target", other / "site", wheel, cwd=other)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        text = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    return Installed(made_of, names, Parser().parsestr(text), other / "site")


def test_one_package_with_its_data_and_without_tests(installed) -> None:
    assert {name.split("/")[0].split("-")[0] for name in installed.names} == {
        "galaxy_benchmark",
        "galaxy_training_benchmark",  # .dist-info
    }
    assert not [name for name in installed.names if "/tests/" in name or "/docs/" in name]
    for folder in ("benchmarks", "datasets", "frameworks", "report", "results"):
        ours = (ROOT / folder).rglob("*")
        expected = {
            f"galaxy_benchmark/{path.relative_to(ROOT)}"
            for path in ours
            if path.suffix in (".py", ".toml", ".json", ".html")
        }
        assert expected <= set(installed.names)


def test_extras_are_the_requirement_files(installed) -> None:
    def required(*files: str) -> set[str]:
        lines = [
            line
            for name in files
            for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
        ]
        return {line.split(";")[0].strip() for line in lines if line and not line.startswith("#")}

    found: dict[str, set[str]] = {}
    for line in installed.metadata.get_all("Requires-Dist", []):
        name, _, marker = line.partition(";")
        extra = marker.partition('extra == "')[2].partition('"')[0]
        found.setdefault(extra, set()).add(name.strip())
    frameworks = ("keras", "torch", "jax")
    assert found == {
        "": required("core"),
        **{name: required(name) for name in frameworks},
        "fits": required("fits"),
        "ray": required("ray"),
        "all": required(*frameworks),
    }
    assert installed.metadata["Requires-Python"] == "<3.14,>=3.11"


def test_the_command_helps_and_plans(installed, tmp_path) -> None:
    helped = installed.command("--help", cwd=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    for name, (module, _) in MODULES.items():
        assert f"\n  {name} " in helped.stdout
        if (ROOT / f"{module.replace('.', '/')}.py").exists() or (
            ROOT / module.replace(".", "/") / "__main__.py"
        ).exists():
            done = installed.command(name, "--help", cwd=tmp_path)
            assert (done.returncode, done.stderr) == (0, "")
            assert f"usage: galaxy-benchmark {name}" in done.stdout
    # a folder and a file of the user's, named as ours are, are not ours
    (tmp_path / "results.py").write_text("raise RuntimeError")
    (tmp_path / "benchmarks").mkdir()
    planned = installed.command("run", "--frameworks", "torch", "--dry-run", cwd=tmp_path)
    assert (planned.returncode, planned.stderr) == (0, "")
    assert "torch" in planned.stdout
    misspelt = installed.command("rnu", cwd=tmp_path)
    assert misspelt.returncode == 2
    assert "unknown value 'rnu' (did you mean 'run'?)" in misspelt.stderr


def test_a_run_records_version_and_commit_of_the_build(installed, tmp_path, monkeypatch) -> None:
    """Installed inside another repository, and run in it, with whatever commit that has."""
    told = installed.command("run", "--version", cwd=installed.site.parent).stdout
    assert installed.commit in told
    version = installed.metadata["Version"]
    assert f" {version} " in told
    labels = np.arange(60) % 3
    images = np.random.default_rng(0).integers(0, 120, (60, 6, 6, 3)).astype(np.uint8)
    work = fake_backend.working_directory(tmp_path, monkeypatch, images, labels)
    options = ["--frameworks", "fake", "--architectures", "linear.toml", "--batch-size", "16"]
    done = installed.command(
        *("run", *options, "--epochs", "1", "--dataset", "galaxies.h5", "--no-report"),
        cwd=work,
        path=os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT)]),  # the fakes are in tests/
    )
    assert done.returncode == 0, done.stderr
    read = (
        "from galaxy_benchmark import Store; import results; row = Store('runs').runs().iloc[0]; "
        "import json; print(json.dumps([results.__file__, row['commit'], bool(row['dirty']), "
        "json.loads(row['versions'])['galaxy-training-benchmark']]))"
    )
    python = run(sys.executable, "-c", read, cwd=work, PYTHONPATH=str(installed.site))
    assert python.returncode == 0, python.stderr
    place, *recorded = json.loads(python.stdout)
    assert Path(place).is_relative_to(installed.site)
    assert recorded == [installed.commit, False, version]
