"""What is shown: no secret of a URI, no character that a terminal obeys."""

import pytest

from infer.base.console import say, say_table, talking
from infer.base.errors import InputError
from infer.base.shown import printable, without_secrets

PLAIN = "s3://bucket/a@b/x.parquet"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://user:SECRET@host/x.parquet?X-Amz-Signature=SECRET", "http://host/x.parquet"),
        ("https://SECRET@host:8080/x", "https://host:8080/x"),
        ("https://host/x?a=1&sig=SECRET: no such file", "https://host/x: no such file"),
        ("s3://KEY:SEC/RET@bucket/x?region=eu", "s3://bucket/x"),
        ("gs://KEY:SECRET@bucket/x", "gs://bucket/x"),
        ("https://host/a%20b#access_token=SECRET", "https://host/a%20b"),
        ("https://host/x;sig=SECRET: none", "https://host/x: none"),
        ("in URI: HTTPS://host/x%23token=SECRET", "in URI: HTTPS://host/x"),
        ("s3://bucket/a=1;b=2#3.parquet", "s3://bucket/a=1;b=2#3.parquet"),
        ("abfss://box@account.net/x?sas_token=SECRET", "abfss://box@account.net/x"),
        ("abfs://account:SECRET@box/x", "abfs://box/x"),
        ("simplecache::https://u:SECRET@h/x?s=SECRET", "simplecache::https://h/x"),
        ("failed (URL('https://u:SECRET@h/x?s=SECRET'), 403)", "failed (URL('https://h/x'), 403)"),
        (PLAIN, PLAIN),
        ("http://host:80/a@b.parquet", "http://host:80/a@b.parquet"),
        ("what? a: b@c, d?e=f", "what? a: b@c, d?e=f"),
    ],
)
def test_no_secret_of_a_uri(text, expected):
    assert without_secrets(text) == expected
    assert str(InputError(text)) == expected


def test_control_characters_are_written_out():
    assert printable("a\x1b[31m\x07\x9bb\u202ec\ud800 näme \N{CLAPPER BOARD}") == (
        r"a\x1b[31m\x07\x9bb\u202ec\ud800 näme " "\N{CLAPPER BOARD}"
    )


def test_the_console_lets_none_through(capsys):
    with talking():
        say("label \x1b[2J\nnext\rline")
        say_table("t", [("\x1b[2J", "[bold]x[/bold]")], ("a", "b"))
    shown = capsys.readouterr().err
    assert "\x1b[2J" not in shown
    assert "\r" not in shown
    assert "[bold]x[/bold]" in shown
