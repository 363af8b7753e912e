"""What a report says of how it was started."""

import pytest

from service.simulate.environment import command_line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token", "a b'c"], "--token HIDDEN"),
        (["--tok=a b'c"], "HIDDEN"),
        (["--token", "@file"], "--token @file"),
        (["--redis-url", "redis://:pass/word@10.0.0.1"], "--redis-url HIDDEN"),
        (["--url", "http://me:word@10.0.0.1:80"], "--url http://HIDDEN@10.0.0.1:80"),
        (["--output", "of today"], "--output 'of today'"),
    ],
)
def test_a_command_line_has_no_secret(arguments: list[str], said: str) -> None:
    """Tokens and passwords are left out, however they are written; the rest can be pasted."""
    shown = command_line(["simulate", *arguments], ["a b'c", "redis://:pass/word@10.0.0.1"])
    assert said in shown
    assert shown.startswith("lease-service simulate ")
    assert not any(secret in shown for secret in ("a b", "word"))
