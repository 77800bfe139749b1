"""Templates, scripts and styles of the pages, and the policy that lets nothing else in."""

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import markupsafe

from results import names

STYLES = ("vendor/uPlot.min.css", "templates/page.css")


@cache
def text(paths: tuple[str, ...]) -> str:
    """Files of this package, one after another."""
    folder = resources.files("report")
    return "\n".join(folder.joinpath(path).read_text(encoding="utf-8") for path in paths)


def policy(script: str, style: str) -> str:
    """A Content-Security-Policy: nothing is fetched, and nothing runs but this script."""
    allowed = [
        "default-src 'none'",
        f"script-src 'sha256-{_digest(script)}'",
        f"style-src 'sha256-{_digest(style)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(allowed)


def template(name: str, script: str, style: str, **values: Any) -> str:
    """A page from its template, with script and style inside; all values are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
    )
    inside = {"script": markupsafe.Markup(script), "style": markupsafe.Markup(style)}
    return environment.get_template(name).render(inside | values)


def _finalize(value: Any) -> Any:
    """Return the value, with terminal and text-direction controls of a string written out."""
    return names.printable(value) if type(value) is str else value


def _digest(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
