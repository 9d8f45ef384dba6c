# SPDX-License-Identifier: Apache-2.0
"""Controllers by name: which one is meant, and what is kept of them."""

from __future__ import annotations

import stat
import threading

import pytest

from vneter_sdn.cli.targets import connect
from vneter_sdn.cli.terminal import Usage
from vneter_sdn.client import contexts as client_contexts
from vneter_sdn.client.contexts import Context, Contexts, change_contexts, read_contexts


@pytest.fixture
def two(vneterctl, server):
    """Two contexts: one leads to a server, the current one nowhere."""
    assert vneterctl("config", "set-context", "nowhere", "--server", "http://127.0.0.1:1").code == 0
    assert vneterctl("config", "set-context", "here", "--server", server).code == 0
    return server


@pytest.fixture
def unsaid(two, monkeypatch):
    """Without what fixtures say in the environment."""
    monkeypatch.delenv("VNETER_SERVER")
    return two


def test_contexts_are_made_listed_chosen_and_deleted(vneterctl, unsaid):
    rows = [line.split() for line in vneterctl("config", "get-contexts").out.splitlines()]
    assert rows[0] == ["CURRENT", "NAME", "SERVER", "CREDENTIAL"]
    assert rows[1] == ["*", "nowhere", "http://127.0.0.1:1", "-"]
    assert vneterctl("config", "current-context").out == "nowhere\n"
    assert vneterctl("status").code == 5
    assert vneterctl("config", "use-context", "here").code == 0
    assert vneterctl("status").code in {0, 1}
    assert vneterctl("config", "delete-context", "here").code == 0
    assert vneterctl("config", "current-context").code == 2
    assert vneterctl("config", "use-context", "here").code == 3
    assert vneterctl("config", "delete-context", "here").code == 3
    assert vneterctl("config", "get-contexts", "--no-headers").out.split()[0] == "nowhere"


@pytest.mark.parametrize(
    "words", [["--context", "here", "get", "tn"], ["get", "tn", "--context=here"]]
)
def test_a_context_may_stand_anywhere(vneterctl, unsaid, words):
    assert vneterctl(*words).code == 0
    assert vneterctl(*("elsewhere" if word == "here" else word.replace("here", "elsewhere")
                       for word in words)).code == 2  # fmt: skip


def test_what_goes_before_what(vneterctl, unsaid, monkeypatch):
    monkeypatch.setenv("VNETER_CONTEXT", "here")
    assert vneterctl("get", "tn").code == 0
    monkeypatch.setenv("VNETER_SERVER", "http://127.0.0.1:1")
    assert vneterctl("get", "tn").code == 5
    assert vneterctl("get", "tn", "--context", "here").code == 0
    monkeypatch.setenv("VNETER_SERVER", unsaid)
    assert vneterctl("get", "tn", "--context", "nowhere").code == 5
    assert vneterctl("get", "tn", "--server", "http://127.0.0.1:1").code == 5
    monkeypatch.setenv("VNETER_CONTEXT", "gone")
    monkeypatch.delenv("VNETER_SERVER")
    ended = vneterctl("get", "tn")
    assert (ended.code, "there is no context 'gone'" in ended.err) == (2, True)


def test_one_controllers_token_is_not_told_to_another(vneterctl, contexts, monkeypatch):
    known = {"a": Context("https://a:1", token="secret"), "b": Context("https://b:1")}
    change_contexts(lambda _: Contexts("a", known))

    def sent(server=""):
        return connect(server)._sender._headers.get("Authorization")

    assert sent() == "Bearer secret"
    assert sent("https://a:1") == "Bearer secret"
    assert sent("https://c:1") is None
    monkeypatch.setenv("VNETER_CONTEXT", "b")
    assert sent() is None
    monkeypatch.setenv("VNETER_TOKEN", "other")
    assert sent() == "Bearer other"
    with pytest.raises(Usage, match="use https"):
        connect("http://sdn.example.com")


def test_tokens_are_kept_from_others(vneterctl, contexts):
    shown = vneterctl("config", "set-context", "prod", "--token", "secret")
    assert (shown.code, "command line is seen by all" in shown.err) == (2, True)
    kept = vneterctl("config", "set-context", "prod", "--token", "-", stdin=b"secret\n")
    assert kept.code == 0
    assert read_contexts().contexts["prod"].token == "secret"
    assert stat.S_IMODE(contexts.stat().st_mode) == 0o600
    assert stat.S_IMODE(contexts.parent.stat().st_mode) == 0o700
    for words in (["view"], ["get-contexts"]):
        told = vneterctl("config", *words).out
        assert "secret" not in told
        assert "token" in told
    contexts.chmod(0o644)
    loose = vneterctl("get", "tn")
    assert (loose.code, "chmod 600" in loose.err) == (2, True)
    contexts.chmod(0o600)
    assert vneterctl("config", "set-context", "prod", "--token", "").code == 0
    assert read_contexts().contexts["prod"].token == ""


@pytest.mark.parametrize("data", [b"", b"\n\n", b"a b\n", "ключ\n".encode(), b"x" * 9000])
def test_tokens_that_are_none(vneterctl, contexts, data):
    ended = vneterctl("config", "set-context", "prod", "--token", "-", stdin=data)
    assert (ended.code, contexts.exists()) == (2, False)


def test_a_token_may_be_in_a_file_of_its_own(vneterctl, contexts, tmp_path):
    file = tmp_path / "token"
    words = ["config", "set-context", "prod", "--server", "https://a:1", "--token-file", file]
    assert vneterctl(*words).code == 0
    missing = vneterctl("get", "tn")
    assert (missing.code, "cannot be read" in missing.err) == (2, True)
    for text, code in (("", 2), ("a\nb", 2), ("good\n", 5)):
        file.write_text(text)
        assert vneterctl("get", "tn").code == code


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("current = 1", "current is text"),
        ("contexts = []", "contexts are tables"),
        ("[contexts]\na = 1", "contexts.a: expected a table"),
        ("[contexts.a]\nserver = 1", "contexts.a.server: expected text"),
        ("[contexts.a]\nserve = ''", "no such field; known: server, ca"),
        ("else = 1", "no such field; known: current, contexts"),
        ("= x", "not TOML"),
        ("\xff\xfe", "not TOML"),
        ("#" * 1_100_000, "larger than"),
    ],
)
def test_files_that_are_malformed(vneterctl, contexts, text, words):
    contexts.parent.mkdir(parents=True)
    contexts.write_text(text, encoding="latin-1")
    for command in (["get", "tn"], ["config", "view"], ["config", "set-context", "a"]):
        ended = vneterctl(*command)
        assert ended.code in {1, 2}
        assert words in ended.err
    assert contexts.read_text("latin-1") == text


def test_a_file_that_cannot_be_written(vneterctl, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VNETER_CONFIG", str(tmp_path / "file" / "contexts.toml"))
    ended = vneterctl("config", "set-context", "a", "--server", "unix:/x")
    assert (ended.code, "cannot be" in ended.err) == (1, True)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "é", "a" * 64])
def test_names_that_are_none(vneterctl, contexts, name):
    assert vneterctl("config", "set-context", "--server", "unix:/x", "--", name).code in {1, 2}
    assert not contexts.exists()


def test_servers_that_are_none(vneterctl, contexts):
    assert vneterctl("config", "set-context", "a", "--server", "ftp://x").code == 2
    assert not contexts.exists()


def test_any_value_is_read_as_it_was_written(contexts):
    odd = 'a"b\\c\n\t\x7f ключ 網 \u2028'
    change_contexts(lambda _: Contexts("x", {"x": Context(server=odd, token="t")}))
    assert read_contexts() == Contexts("x", {"x": Context(server=odd, token="t")})


def test_those_who_write_at_once_take_turns(contexts):
    def add(number):
        change_contexts(lambda found: client_contexts.with_context(found, f"c{number}", {}))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_contexts().contexts) == 12


def test_where_the_file_is(monkeypatch, tmp_path):
    monkeypatch.delenv("VNETER_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert client_contexts.contexts_file() == tmp_path / "vneter" / "contexts.toml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".config" / "vneter" / "contexts.toml"
    assert client_contexts.contexts_file() == expected


def test_what_is_wrong_is_told_with_where_to_look(vneterctl):
    for words in (("use-context", "none"), ("delete-context", "none")):
        code, _, told = vneterctl("config", *words)
        assert code == 3
        assert "`vneterctl config get-contexts` lists them" in told
    code, _, told = vneterctl("config", "set-context", "lab", "--server", "nonsense")
    assert code == 2
    assert "'nonsense' is not http://HOST:PORT" in told
