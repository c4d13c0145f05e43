"""Host, Origin, and the headers of every answer."""

import re

import pytest

from worldling.cli import main
from worldling.errors import ServeError
from worldling.player import PAGE
from worldling.serve.guard import LOOPBACK, allowed_hosts, check_request

HOSTS = (*LOOPBACK, "play.example")


@pytest.mark.parametrize(
    "host, origin, status",
    [
        ("127.0.0.1:8000", None, None),
        ("localhost:8000", "http://localhost:8000", None),
        ("[::1]:8000", "http://[::1]:8000", None),
        ("LOCALHOST", "http://localhost", None),
        ("localhost.:1", None, None),
        ("play.example", "https://play.example", None),
        ("127.0.0.1:8000", "https://play.example", None),  # a proxy that passes another Host on
        ("localhost:8000", "http://localhost:9000", 403),
        ("localhost:8000", "http://127.0.0.1:8000", 403),
        ("localhost:8000", "http://else.where", 403),
        ("localhost:8000", "null", 403),
        ("else.where", None, 403),
        ("localhost.else.where", None, 403),
        ("192.168.1.5:8000", None, 403),
        ("localhost:8000", "http://localhost:8000/", 400),
        ("localhost:8000", "http://a b", 400),
        ("localhost:8000", "http://[::1", 400),
        ("localhost:8000", "http://x@localhost:8000", 400),
        ("localhost:8000", "", 400),
        ("localhost:8000", "http://localhost:8000,http://localhost:8000", 400),
        (None, None, 400),
        ("", None, 400),
        ("[::1", None, 400),
        ("[::1]]:1", None, 400),
        ("localhost:port", None, 400),
        ("localhost:1:2", None, 400),
        ("user@localhost", None, 400),
        ("localhost/x", None, 400),
        ("local\x00host", None, 400),
        ("; script-src *", None, 400),
    ],
)
def test_who_may_ask(host, origin, status):
    found = check_request(host, origin, HOSTS)
    assert (found and found[0]) == status
    if found:
        assert re.fullmatch(r"`\w+` must .* got .*\. .*\.", found[1])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "my-machine"])
def test_listening_to_others_asks_for_the_names(host, capsys):
    with pytest.raises(ServeError, match="`--allow-host` must be given to listen on"):
        allowed_hosts(host)
    assert allowed_hosts(host, ["Play.Example", "192.168.1.5"]) == (*LOOPBACK, "play.example", "192.168.1.5")


@pytest.mark.parametrize("name", ["http://x", "x:80", "", "*", "a b", "x/y"])
def test_malformed_names_are_refused(name):
    with pytest.raises(ServeError, match="`--allow-host` must be a host name"):
        allowed_hosts("0.0.0.0", [name])


def test_the_page_needs_nothing_that_its_headers_forbid():
    """No scripts or styles in the page itself, and none made from text: the policy allows only files of ours."""
    html = (PAGE / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=\"player/)|<style|\sstyle=|\son[a-z]+=|javascript:", html)
    for file in PAGE.glob("*.js"):
        text = file.read_text()
        assert not re.search(r"innerHTML|insertAdjacentHTML|\beval\(|new Function|setAttribute\(\"style", text), (
            file.name
        )
    assert re.search(r"<link rel=\"stylesheet\" href=\"player", html)


def test_the_command_line_asks_too(monkeypatch, capsys):
    monkeypatch.setattr("worldling.serve.run.open_port", lambda *a: pytest.fail("opened a port"))
    assert main(["play", "pusht", "--backend", "reference", "--host", "0.0.0.0", "--no-browser"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("worldling: `--allow-host` must be given")
