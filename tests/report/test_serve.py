"""A session's state as a file, and the server that shows it to this machine alone."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from report import serve
from report.__main__ import main
from results import live
from results.store import Store
from tests.helpers.factory import synthetic_run


@pytest.fixture
def server(tmp_path: Path) -> Iterator[serve.Server]:
    with serve.Server(tmp_path, 0) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server: serve.Server, path: str, host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    headers = {} if host is None else {"Host": host}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_the_state_of_the_session_is_served(server: serve.Server, tmp_path: Path) -> None:
    live.tell(tmp_path, "../one", {"label": "keras c2", "next": ["<b>"]})
    status, content = ask(server, "/state.json")
    (session,) = json.loads(content)["sessions"]
    assert status == 200
    assert session["label"] == "keras c2"
    assert session["quiet_seconds"] < 60
    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "live"]
    live.end(tmp_path, "../one")
    assert json.loads(ask(server, "/state.json")[1])["sessions"] == []


def test_what_is_no_state_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    for name, content in (("a", "{"), ("b", "[1]"), ("c", "[" * 100_000)):
        (tmp_path / "live" / f"{name}.json").write_text(content)
    assert live.sessions(tmp_path) == []


def test_pages_and_refusals(server: serve.Server, tmp_path: Path) -> None:
    assert "Session under way" not in ask(server, "/nothing")[1]
    status, content = ask(server, "/")
    assert status == 200
    assert "connect-src &#39;self&#39;" in content
    Store(tmp_path).append(*synthetic_run(epochs=1))
    assert "What was run on what" in ask(server, "/report")[1]
    assert ask(server, "/", host="evil.example")[0] == 403


def test_only_this_machine_is_listened_to(server: serve.Server) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_refused(
    server: serve.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--store", str(tmp_path), "--port", str(server.server_port)]) == 2
    assert "cannot serve on port" in capsys.readouterr().err
    assert main(["serve", "--store", str(tmp_path), "--port", "99999"]) == 2


def test_ctrl_c_ends_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(self: serve.Server, poll_interval: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve.Server, "serve_forever", interrupted)
    assert main(["serve", "--store", str(tmp_path), "--port", "0"]) == 130
    captured = capsys.readouterr()
    assert captured.err == "interrupted\n"
    assert captured.out.startswith("http://127.0.0.1:")


def test_a_request_that_fails_is_a_line_and_a_browser_that_goes_is_none(
    server: serve.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (BrokenPipeError(), ConnectionResetError(), TimeoutError(), KeyError("\x1b[31m")):
        try:
            raise error
        except Exception:
            server.handle_error(None, None)
    assert capsys.readouterr().err == "warning: a request failed: KeyError: '\\x1b[31m'\n"


def test_one_host_is_named_and_the_state_is_json(server: serve.Server, tmp_path: Path) -> None:
    live.tell(tmp_path, "one", {"left": float("nan")})
    own = f"127.0.0.1:{server.server_port}"
    with socket.create_connection(server.server_address) as client:
        client.sendall(f"GET / HTTP/1.0\r\nHost: {own}\r\nHost: evil.example\r\n\r\n".encode())
        assert b" 403 " in client.recv(100)
    content = ask(server, "/state.json")[1]
    assert json.loads(content, parse_constant=pytest.fail)["sessions"][0]["left"] is None
