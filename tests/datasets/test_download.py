"""Downloads against a server on this machine that breaks off, lies, refuses and cannot resume."""

import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from datasets import download
from datasets.download import CACHE_VARIABLE, DownloadError, RemoteFile, cache_directory, fetch
from datasets.progress import of_bytes

CONTENT = np.random.default_rng(0).bytes(3_500_000)


@dataclass
class Served:
    """What the server does, and what it was asked: a range header or None per request."""

    content: bytes = CONTENT
    status: int = 200
    resumes: bool = True
    break_off_after: list[int] = field(default_factory=list)  # bytes, for each of the next answers
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""

    def remote(self, sha256: str | None = None) -> RemoteFile:
        return RemoteFile(
            self.url, "galaxies.h5", sha256 or hashlib.sha256(CONTENT).hexdigest(), len(CONTENT)
        )


@pytest.fixture
def served() -> Iterator[Served]:
    state = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.ranges.append(asked)
            start = 0
            if state.status != 200:
                self.send_error(state.status)
                return
            if asked and state.resumes:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(state.content):
                    self.send_error(416)
                    return
                self.send_response(206)
                last = len(state.content) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(state.content)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(state.content) - start))
            self.end_headers()
            stop = len(state.content)
            if state.break_off_after:
                stop = min(stop, start + state.break_off_after.pop(0))
            self.wfile.write(state.content[start:stop])

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/galaxies.h5"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def pauses() -> list[float]:
    return []


def test_a_file_comes_whole_and_is_not_asked_for_again(served: Served, tmp_path: Path) -> None:
    path = fetch(served.remote(), cache_dir=tmp_path / "new" / "cache")
    assert path == tmp_path / "new" / "cache" / "galaxies.h5"
    assert path.read_bytes() == CONTENT
    assert not path.with_name("galaxies.h5.part").exists()

    assert fetch(served.remote(), cache_dir=path.parent) == path
    assert served.ranges == [None]


def test_a_broken_connection_is_taken_up_where_it_broke(
    served: Served, tmp_path: Path, pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    served.break_off_after = [1_000_000, 500_000]
    path = fetch(served.remote(), cache_dir=tmp_path, pause=pauses.append)
    assert path.read_bytes() == CONTENT
    assert served.ranges == [None, "bytes=1000000-", "bytes=1500000-"]
    assert pauses == [1, 1]  # each attempt got further, so none waits longer than the first
    assert "broke off at 1,000,000 of 3,500,000 bytes; trying again" in capsys.readouterr().err


def test_a_connection_that_stays_broken_keeps_what_came_for_the_next_call(
    served: Served, tmp_path: Path, pauses: list[float]
) -> None:
    served.break_off_after = [700_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError) as caught:
        fetch(served.remote(), cache_dir=tmp_path, pause=pauses.append)
    message = str(caught.value)
    part = tmp_path / "galaxies.h5.part"
    assert served.url in message
    assert f"700,000 bytes are kept in {part}" in message
    assert f"put it at {tmp_path / 'galaxies.h5'}" in message
    assert "--dataset FILE.h5" in message
    assert part.read_bytes() == CONTENT[:700_000]
    assert pauses == [1, 1, 2, 4, 8]

    assert fetch(served.remote(), cache_dir=tmp_path).read_bytes() == CONTENT
    assert served.ranges[-1] == "bytes=700000-"


def test_a_server_that_cannot_resume_sends_all_again(served: Served, tmp_path: Path) -> None:
    (tmp_path / "galaxies.h5.part").write_bytes(b"x" * 1000)
    served.resumes = False
    assert fetch(served.remote(), cache_dir=tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_already_only_gets_its_name(served: Served, tmp_path: Path) -> None:
    (tmp_path / "galaxies.h5.part").write_bytes(CONTENT)
    assert fetch(served.remote(), cache_dir=tmp_path).read_bytes() == CONTENT
    assert served.ranges == [f"bytes={len(CONTENT)}-"]


def test_a_wrong_file_is_kept_aside_and_never_used(served: Served, tmp_path: Path) -> None:
    served.content = b"<html>please log in</html>"
    with pytest.raises(DownloadError, match="not the published file") as caught:
        fetch(served.remote(), cache_dir=tmp_path)
    assert hashlib.sha256(served.content).hexdigest() in str(caught.value)
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert (tmp_path / "galaxies.h5.wrong").read_bytes() == served.content
    assert not (tmp_path / "galaxies.h5").exists()

    served.content = CONTENT
    assert fetch(served.remote(), cache_dir=tmp_path).read_bytes() == CONTENT
    assert served.ranges == [None, None]


def test_a_part_of_another_file_is_found_out(served: Served, tmp_path: Path) -> None:
    (tmp_path / "galaxies.h5.part").write_bytes(b"x" * 1000)
    with pytest.raises(DownloadError, match="not the published file"):
        fetch(served.remote(), cache_dir=tmp_path)
    assert fetch(served.remote(), cache_dir=tmp_path).read_bytes() == CONTENT


def test_a_wrong_file_put_in_the_cache_is_refused_and_left_alone(
    served: Served, tmp_path: Path
) -> None:
    (tmp_path / "galaxies.h5").write_bytes(b"mine")
    with pytest.raises(DownloadError, match=r"galaxies.h5: not the published file.*move it away"):
        fetch(served.remote(), cache_dir=tmp_path)
    assert (tmp_path / "galaxies.h5").read_bytes() == b"mine"
    assert served.ranges == []


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 5), (429, 5)])
def test_a_refusal_is_told_and_retried_only_where_that_can_help(
    served: Served, tmp_path: Path, pauses: list[float], status: int, requests: int
) -> None:
    served.status = status
    with pytest.raises(DownloadError, match=f"galaxies.h5.*{status}") as caught:
        fetch(served.remote(), cache_dir=tmp_path, pause=pauses.append)
    assert "--dataset FILE.h5" in str(caught.value)
    assert len(served.ranges) == requests
    assert pauses == [1, 2, 4, 8][: requests - 1]


def test_no_server_at_all(tmp_path: Path, pauses: list[float]) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    url = f"http://127.0.0.1:{server.server_port}/galaxies.h5"
    server.server_close()  # nobody listens there any more
    with pytest.raises(DownloadError, match=r"cannot be downloaded \(.*refused"):
        fetch(RemoteFile(url, "galaxies.h5", "0" * 64), cache_dir=tmp_path, pause=pauses.append)


def test_two_processes_download_once(served: Served, tmp_path: Path) -> None:
    served.break_off_after = [1_000_000]
    waiting = threading.Event()
    second: list[Path] = []

    def while_the_first_is_held_up(_: float) -> None:
        other = threading.Thread(
            target=lambda: second.append(fetch(served.remote(), cache_dir=tmp_path))
        )
        other.start()
        waiting.set()
        others.append(other)

    others: list[threading.Thread] = []
    first = fetch(served.remote(), cache_dir=tmp_path, pause=while_the_first_is_held_up)
    others[0].join()
    assert waiting.is_set()
    assert second == [first]
    assert first.read_bytes() == CONTENT
    assert served.ranges == [None, "bytes=1000000-"]


def test_a_disk_without_room_is_told_before_it_fills(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = download.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage._replace(free=1_000))
    with pytest.raises(DownloadError, match="1,000 bytes free, and 3,500,000 needed"):
        fetch(served.remote(), cache_dir=tmp_path)
    assert served.ranges == []


def test_a_cache_that_cannot_be_written_is_named(served: Served, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the directory should be")
    with pytest.raises(DownloadError, match=f"cache.*{CACHE_VARIABLE}"):
        fetch(served.remote(), cache_dir=tmp_path / "cache")


def test_the_cache_directory_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    assert cache_directory().name == "galaxy-training-benchmark"
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "by-variable"))
    assert cache_directory() == tmp_path / "by-variable"
    assert cache_directory(tmp_path / "by-argument") == tmp_path / "by-argument"


def test_progress_in_a_log_is_a_line_every_tenth() -> None:
    log = io.StringIO()
    with of_bytes("galaxies.h5", 10_000_000, log) as progress:
        progress.start(0, 10_000_000)
        for _ in range(100):
            progress.advance(100_000)
    lines = log.getvalue().splitlines()
    assert lines[0] == "galaxies.h5: 0.0 of 10.0 MB"
    assert lines[1] == "galaxies.h5: 1.0 of 10.0 MB"
    assert lines[-1] == "galaxies.h5: 10.0 of 10.0 MB"
    assert len(lines) == 11


def test_progress_on_a_terminal_is_a_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    with of_bytes("galaxies.h5", 1_000_000, screen) as progress:
        progress.start(500_000, 1_000_000)
        progress.note("broke off [here]")
        progress.advance(500_000)
    assert "broke off [here]" in screen.getvalue()
    assert "1.0/1.0 MB" in screen.getvalue()
