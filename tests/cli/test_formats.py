# SPDX-License-Identifier: Apache-2.0
"""``-o``: every command that reads says the same as JSON, as YAML and to a template."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from vneter_sdn.cli import main
from vneter_sdn.telemetry.logs import log_file

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
SHOP = TOPOLOGIES / "shop" / "before"
CHANGE = TOPOLOGIES / "shop" / "change.yaml"
SCENARIO = TOPOLOGIES.parent / "flows" / "scenarios" / "overlapping-tenants"
RING = TOPOLOGIES / "ring.yaml"
OFFLINE = [
    ("kinds",),
    ("explain", "policy.ingress"),
    ("reachability", "--offline", SHOP, "--ports", "tcp/80"),
    ("trace", "--offline", SHOP, "--from", "lab/notebook", "--to", "data/db", "--tcp", "5432"),
    ("plan", "--offline", SHOP, "-f", CHANGE),
    ("verify", "--offline", SCENARIO, "--check", "isolation"),
    ("path", "--topology", RING, "h1", "h2"),
    ("te", "--topology", RING),
    ("config", "get-contexts"),
    ("config", "view"),
]
ONLINE = [
    ("get", "networks"),
    ("get", "network", "red/web"),
    ("status",),
    ("history",),
    ("history", "1"),
    ("history", "--verify"),
    ("token", "list"),
    ("token", "whoami"),
    ("audit",),
    ("recompute", "--check"),
]
STREAMED = [("events",)]
WRITING = [
    ("apply", "--dry-run", "-f", "FILE"),
    ("apply", "-f", "FILE"),
    ("delete", "--dry-run", "endpoint", "red/a"),
    ("delete", "--ignore-not-found", "network", "red/no"),
    ("label", "--dry-run", "network", "red/web", "a=b"),
    ("annotate", "--dry-run", "network", "red/web", "a=b"),
    ("rollback", "--dry-run", "0"),
]


def same(vneterctl, words):
    code, text, _ = vneterctl(*words, "-o", "json")
    values = json.loads(text)
    yamled, templated = (vneterctl(*words, "-o", one) for one in ("yaml", "jsonpath={@}"))
    assert yamled.code == templated.code == code
    told = yaml.safe_load(yamled.out), json.loads(templated.out)
    for one in (values, *told):
        if isinstance(one, dict):
            one.pop("seconds", None)  # that it took
    assert told == (values, values)


@pytest.mark.parametrize("words", OFFLINE, ids=lambda words: str(words[0]))
def test_offline(vneterctl, words):
    same(vneterctl, words)


@pytest.mark.parametrize("words", ONLINE, ids=lambda words: "-".join(words[:2]))
def test_online(vneterctl, applied, words):
    same(vneterctl, words)


@pytest.mark.parametrize("words", WRITING, ids=lambda words: "-".join(words[:2]))
def test_what_was_done(vneterctl, applied, red, words):
    same(vneterctl, [red if word == "FILE" else word for word in words])


def test_what_was_done_is_told_as_the_server_tells_it(vneterctl, server, red):
    told = json.loads(vneterctl("apply", "-f", red, "-o", "json").out)
    assert told["revision"] == 1
    assert {"kind": "Tenant", "name": "red"} in told["created"]
    names = vneterctl("apply", "-f", red, "-o", "name").out.split()
    assert names == [f"{one['kind'].lower()}/{path(one)}" for one in told["created"]]
    gone = vneterctl("delete", "--ignore-not-found", "network", "red/no", "-o", "name")
    assert (gone.code, gone.out) == (0, "")


@pytest.mark.parametrize(
    "words",
    [("delete", "endpoint", "red/a"), ("label", "network", "red/web", "a=b")],
    ids=lambda words: words[0],
)
def test_whatever_writes_may_say_why(vneterctl, applied, words):
    assert vneterctl(*words, "-m", "ticket 7").code == 0
    assert vneterctl("history", "2", "-o", "jsonpath={.message}").out.strip() == "ticket 7"


def test_a_token_is_issued_and_revoked_for_programs(vneterctl, server):
    made = json.loads(vneterctl("token", "create", "ci", "-o", "json").out)
    assert made["token"].startswith("vnt_ci_")
    asked = vneterctl("token", "create", "two", "--dry-run", "-o", "jsonpath={.token}")
    assert (asked.code, asked.out.strip()) == (0, "null")
    told = yaml.safe_load(vneterctl("token", "revoke", "ci", "-o", "yaml").out)
    assert told["name"] == "ci"


def path(one):
    return "/".join(one[name] for name in ("tenant", "name") if name in one)


def test_the_graph(vneterctl):
    values = json.loads(vneterctl("topology", "--topology", RING, "-o", "json").out)
    told = vneterctl("topology", "--topology", RING, "-o", "jsonpath={.edges[*].source}").out
    assert told.split() == [one["source"] for one in values["edges"]]


@pytest.mark.parametrize("words", STREAMED, ids=lambda words: words[0])
def test_one_after_the_other(vneterctl, applied, words):
    lines = [json.loads(line) for line in vneterctl(*words, "-o", "json").out.splitlines()]
    assert lines
    assert list(yaml.safe_load_all(vneterctl(*words, "-o", "yaml").out)) == lines
    told = vneterctl(*words, "-o", "jsonpath={.about}").out
    assert told.splitlines() == [one["about"] for one in lines]


def test_logs(vneterctl, tmp_path):
    line = {"time": "2026-01-01T00:00:00+00:00", "level": "info", "logger": "x", "message": "m"}
    written = log_file(tmp_path, "core")
    written.parent.mkdir(exist_ok=True)
    written.write_text(f"{json.dumps(line)}\n", "utf-8")
    told = {"process": "core", **line}
    asked = ("logs", "--state-dir", tmp_path, "-o")
    assert json.loads(vneterctl(*asked, "json").out) == told
    assert yaml.safe_load(vneterctl(*asked, "yaml").out) == told
    assert vneterctl(*asked, "jsonpath={.process}: {.message}").out == "core: m\n"


def test_names(vneterctl, applied):
    assert vneterctl("history", "-o", "name").out == "1\n"
    assert vneterctl("history", "1", "-o", "name").out == "1\n"
    assert "endpoints" in vneterctl("kinds", "-o", "name").out.splitlines()
    assert vneterctl("token", "list", "-o", "name").out == ""
    vneterctl("config", "set-context", "lab", "--server", "http://127.0.0.1:1")
    assert vneterctl("config", "get-contexts", "-o", "name").out == "lab\n"


def test_secrets_are_hidden_in_every_form(vneterctl):
    vneterctl("config", "set-context", "lab", "--server", "http://127.0.0.1:1")
    vneterctl("config", "set-context", "lab", "--token", "-", stdin=b"vnt_a_secret\n")
    for command in ("view", "get-contexts"):
        for way in ("json", "yaml", "jsonpath={@}"):
            told = vneterctl("config", command, "-o", way).out
            assert "lab" in told
            assert "secret" not in told


@pytest.mark.parametrize("words", [*OFFLINE, *ONLINE, *STREAMED], ids=lambda w: str(w[0]))
def test_another_form_is_refused_with_those_there_are(vneterctl, server, words):
    code, _, told = vneterctl(*words, "-o", "xml")
    assert code == 2
    assert "jsonpath=TEMPLATE" in told


def test_no_command_that_reads_is_forgotten():
    """Those with ``-o`` have jsonpath; the exception writes files."""
    lacking = set()
    for path in ((), *((name,) for name in main.NESTED)):
        for name, command in main.program(*path).commands.items():
            helps = [one.help for one in command.params if one.name == "output"]
            if helps and "jsonpath=TEMPLATE" not in helps[0]:
                lacking.add(name)
    assert lacking == {"compile"}
