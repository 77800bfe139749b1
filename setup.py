"""The parts of setup that are no data: folders mapped under one package, and the build's commit."""

import atexit
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

PACKAGE = "galaxy_benchmark"
FOLDERS = ("benchmarks", "datasets", "frameworks", "report", "results")
ROOT = Path(__file__).resolve().parent
BUILD = "build.json"


def commit() -> dict[str, object]:
    """The commit of this checkout and whether it was changed; of an sdist, what it was made of."""
    kept = ROOT / PACKAGE / BUILD
    if kept.exists():
        made = json.loads(kept.read_text(encoding="utf-8"))
        return {"commit": made["commit"], "dirty": made["dirty"]}
    revision = _git("rev-parse", "--show-prefix", "HEAD").strip()
    if not revision or "\n" in revision:  # no repository, or a folder inside another one
        return {"commit": None, "dirty": None}
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": revision, "dirty": bool(changed.strip())}


def _git(*arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


class _Stamped:
    """Mixed into a command that fills a directory: writes what the build is of."""

    def stamp(self, directory: str) -> None:
        content = {"version": self.distribution.get_version(), **commit()}  # type: ignore[attr-defined]
        target = Path(directory) / PACKAGE / BUILD
        target.write_text(json.dumps(content) + "\n", encoding="utf-8")


class BuildPy(build_py, _Stamped):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable installation is a checkout, and asks git
            self.stamp(self.build_lib)


class Sdist(sdist, _Stamped):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        self.stamp(base_dir)


scratch = tempfile.mkdtemp(prefix="galaxy-build-")  # a build/ kept in the checkout goes stale
atexit.register(shutil.rmtree, scratch, ignore_errors=True)
setup(
    packages=[
        PACKAGE,
        *(f"{PACKAGE}.{folder}" for folder in FOLDERS),
        *(f"{PACKAGE}.{folder}.{part}" for folder in FOLDERS for part in find_packages(folder)),
    ],
    package_dir={f"{PACKAGE}.{folder}": folder for folder in FOLDERS},
    package_data={"": ["**/*.toml", "**/*.json", "**/*.html"]},
    cmdclass={"build_py": BuildPy, "sdist": Sdist},
    options={"build": {"build_base": scratch}},
)
