"""What of the build is no data: folders mapped under one package, and the build's commit."""

import atexit
import json
import shutil
import sys
import tempfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
PACKAGE = "galaxy_benchmark"
FOLDERS = ("benchmarks", "datasets", "frameworks", "report", "results")

sys.path.insert(0, str(ROOT))
from results.version import commit, version  # noqa: E402 - found by the line above


def stamp(directory: str | Path) -> None:
    """Write there what `results.version` reads in place of asking git."""
    revision, dirty = commit()
    content = json.dumps({"version": version(), "commit": revision, "dirty": dirty})
    Path(directory, "build.json").write_text(content + "\n", encoding="utf-8")


class BuildPy(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable installation is a checkout, and asks git
            stamp(Path(self.build_lib, PACKAGE))


class Sdist(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        stamp(base_dir)


scratch = tempfile.mkdtemp(prefix="galaxy-build-")  # a build/ kept in the checkout goes stale
atexit.register(shutil.rmtree, scratch, ignore_errors=True)
setup(
    packages=[
        PACKAGE,
        *(f"{PACKAGE}.{folder}" for folder in FOLDERS),
        *(f"{PACKAGE}.{folder}.{part}" for folder in FOLDERS for part in find_packages(folder)),
    ],
    package_dir={f"{PACKAGE}.{folder}": folder for folder in FOLDERS},
    package_data={
        "": ["**/*.toml", "**/*.json", "**/*.html", "**/*.css", "**/*.js", "**/*-LICENSE.txt"]
    },
    cmdclass={"build_py": BuildPy, "sdist": Sdist},
    options={"build": {"build_base": scratch}},
)
