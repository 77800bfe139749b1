"""python -m report serve: a session as it runs, in a browser on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from results import cli, live
from results.forms import finite
from results.names import in_line
from results.output import say
from results.store import Store

HOST = "127.0.0.1"  # this machine alone
DEFAULT_PORT = 8765
SILENT_SECONDS = 30  # a browser that has asked nothing for so long is no longer waited for
_SCRIPTS = ("vendor/uPlot.iife.min.js", "templates/charts.js", "templates/live.js")


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of `python -m report`."""
    made = commands.add_parser(
        "serve",
        help="a session as it runs, in a browser",
        description="Show the session that runs with this store: curves, throughput, what is next "
        "and the time left. Only this machine can look. Ctrl-C stops it.",
    )
    made.set_defaults(draw=draw)
    cli.add_store(made)
    made.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        metavar="N",
        help="0 takes any free one (default: %(default)s)",
    )


def draw(options: argparse.Namespace) -> None:
    """Serve until Ctrl-C.

    Raises:
        ValueError: no port has that number.
        OSError: the port is taken.
    """
    if not 0 <= options.port < 2**16:
        raise ValueError(f"--port is {options.port}; a port is a number from 0 to {2**16 - 1}")
    try:
        server = Server(options.store, options.port)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot serve on port {options.port}: {error.strerror or error}; "
            "name another with --port, or 0 for any",
        ) from error
    with server:
        say(f"http://{HOST}:{server.server_port}/  (Ctrl-C stops it)", flush=True)
        server.serve_forever(poll_interval=0.2)


class Server(ThreadingHTTPServer):
    """Serves one store to this machine."""

    daemon_threads = True

    def __init__(self, store: Path, port: int) -> None:
        self.store = store
        super().__init__((HOST, port), _Handler)

    def handle_error(self, *_: object) -> None:
        """A browser that has gone is no news; anything else is a line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            say(f"warning: a request failed: {type(error).__name__}: {in_line(error)}", error=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "galaxy-benchmark", ""
    timeout = SILENT_SECONDS

    def do_GET(self) -> None:
        port = self.server.server_port
        if self.headers.get_all("Host") not in ([f"{HOST}:{port}"], [f"localhost:{port}"]):
            self._send(403, "text/plain", "another site's name for this address")
            return
        match self.path.partition("?")[0]:
            case "/":
                self._send(200, "text/html", _page())
            case "/state.json":
                state = {
                    "store": str(self.server.store),
                    "sessions": live.sessions(self.server.store),
                }
                self._send(200, "application/json", json.dumps(finite(state)))
            case "/report":
                self._report()
            case _:
                self._send(404, "text/plain", "there is nothing here")

    def _report(self) -> None:
        from report import page

        try:
            frames = page.load(Store(self.server.store))
            made = page.render(frames, page.build(frames))
        except (OSError, ValueError) as error:
            self._send(503, "text/plain", str(error))
            return
        self._send(200, "text/html", made)

    def _send(self, status: int, kind: str, content: str) -> None:
        raw = content.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """A request is no news."""


def _page() -> str:
    from report.assets import STYLES, policy, template, text

    script, style = text(_SCRIPTS), text(STYLES)
    return template(
        "live.html", script, style, policy=f"{policy(script, style)}; connect-src 'self'"
    )
