"""Bad input from outside: one message, exit status 2, nothing stored."""

from collections.abc import Callable, Sequence

import pytest

from results.store import Store


def refusal(
    main: Callable[[Sequence[str]], int | None],
    arguments: Sequence[str],
    capsys: pytest.CaptureFixture[str],
    lines: int = 3,
) -> str:
    """The message of a command that refuses its arguments: at most so many lines, no traceback."""
    before = Store("runs").files()  # of whoever trained in this checkout
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code  # type: ignore[assignment]
    message = capsys.readouterr().err
    assert status == 2
    assert message.startswith("error: ")
    assert "Traceback" not in message
    assert len(message.splitlines()) <= lines
    assert Store("runs").files() == before
    return message
