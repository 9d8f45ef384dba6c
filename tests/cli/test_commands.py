# SPDX-License-Identifier: Apache-2.0
"""Each command, its output and its exit code."""

from __future__ import annotations

import json
import socket
import sys

import pytest
import yaml

from vneter_sdn.client import Client
from vneter_sdn.model.snapshot import Condition, Key, Status
from vneter_sdn.store.port import Edit

_WEB = Key("Network", "red", "web")


def _ready(store, key, revision=1):
    conditions = (Condition("Ready", "True", "Programmed"),)
    store.report([Status(key, observed_revision=revision, conditions=conditions)])


def test_apply_tells_what_it_did(vneterctl, server, red):
    first = vneterctl("apply", "-f", red, "-m", "because")
    assert first.out.splitlines() == [
        "tenant/red created",
        "network/red/web created",
        "endpoint/red/a created",
        "revision 1",
    ]
    again = vneterctl("apply", "-f", red)
    assert again.out.splitlines()[1:] == [
        "network/red/web unchanged",
        "endpoint/red/a unchanged",
        "revision 1",
    ]
    red.write_text(red.read_text("utf-8").replace("spec: {}", "spec: {description: x}"), "utf-8")
    assert "tenant/red updated" in vneterctl("apply", "-f", red).out


def test_apply_reads_standard_input_and_directories(vneterctl, server, red, store):
    assert vneterctl("apply", "-f", "-", stdin=red.read_bytes()).code == 0
    assert "unchanged" in vneterctl("apply", "-f", red.parent).out


def test_a_dry_run_writes_nothing(vneterctl, server, red, store):
    ended = vneterctl("apply", "-f", red, "--dry-run")
    assert "network/red/web created (dry run)" in ended.out
    assert store.snapshot().revision == 0
    assert vneterctl("apply", "-f", red, "--dry-run=server").out == ended.out
    assert store.snapshot().revision == 0
    for words in (["--dry-run=client"], ["--dry-run="]):
        refused = vneterctl("apply", "-f", red, *words)
        assert (refused.code, "there is no --dry-run=" in refused.err) == (2, True)
    assert vneterctl("apply", "-f", red, "--dry-run=none").code == 0
    assert store.snapshot().revision == 1


def test_the_journal_names_the_user(vneterctl, applied, store):
    (revision,) = store.revisions()
    assert revision.author.endswith(f"@{socket.gethostname()}")


def test_get_as_a_table(vneterctl, applied):
    heading, row = vneterctl("get", "networks").out.splitlines()
    assert heading.split() == ["TENANT", "NAME", "PREFIXES", "VNI", "MTU", "READY", "AGE"]
    assert row.split()[:3] == ["red", "web", "10.0.0.0/24"]
    wide = vneterctl("get", "NET", "red/web", "-o", "wide").out
    assert "GATEWAY-MAC" in wide
    assert "Pending" in wide
    assert vneterctl("get", "links").out == "there are no links\n"


@pytest.mark.parametrize("name", [["red/web"], ["web", "-t", "red"], ["red/web", "-t", "red"]])
def test_get_one(vneterctl, applied, name):
    ended = vneterctl("get", "net", *name, "-o", "json")
    assert json.loads(ended.out)["metadata"]["name"] == "web"


def test_get_as_yaml_can_be_applied(vneterctl, applied, tmp_path):
    for what in (["get", "net"], ["get", "net", "red/web"], ["get", "ep"]):
        text = vneterctl(*what, "-o", "yaml").out
        assert yaml.safe_load(text)
        ended = vneterctl("apply", "-f", "-", stdin=text.encode())
        assert (ended.code, "revision 1" in ended.out) == (0, True), ended.err


def test_get_names_and_selects(vneterctl, applied):
    assert vneterctl("get", "tn", "-l", "tier=gold", "-o", "name").out == "tenant/red\n"
    assert vneterctl("get", "tn", "-l", "tier!=gold", "-o", "name").out == ""
    bad = vneterctl("get", "tn", "-l", "a b")
    assert (bad.code, "InvalidSelector" in bad.err) == (1, True)


def test_describe(vneterctl, applied, store):
    _ready(store, _WEB)
    text = vneterctl("describe", "network", "red/web").out
    assert text.startswith("Network red/web\n")
    assert "  prefixes: 10.0.0.0/24\n" in text
    assert "  Ready: yes (Programmed)\n" in text
    assert "Allocated: yes" in text


def test_delete(vneterctl, applied, store):
    used = vneterctl("delete", "network", "red/web")
    assert (used.code, "(InUse)" in used.err) == (1, True)
    assert vneterctl("delete", "ep", "red/a").out == "endpoint/red/a deleted\nrevision 2\n"
    assert vneterctl("delete", "ep", "red/a").code == 3
    missing = vneterctl("delete", "-f", applied)
    assert missing.code == 3
    vneterctl("apply", "-f", applied)
    assert vneterctl("delete", "-f", applied).code == 0
    assert not store.snapshot().objects


def test_wait(vneterctl, applied, store):
    late = vneterctl("wait", "net", "red/web", "--timeout", "0")
    assert late.code == 6
    assert "Network red/web is not Ready: Pending" in late.err
    unknown = vneterctl("wait", "net", "red/web", "--for=Cooked", "--timeout=0s")
    assert (unknown.code, "has no condition Cooked; it has Ready" in unknown.err) == (6, True)
    _ready(store, _WEB)
    assert vneterctl("wait", "net", "red/web").out == "network/red/web Ready\n"
    assert vneterctl("wait", "net", "--all", "--for=condition=Ready").code == 0
    assert vneterctl("wait", "net", "--for=deleted", "red/web", "--timeout", "0").code == 6
    assert vneterctl("wait", "net", "--for=deleted", "red/none").code == 0
    assert vneterctl("wait", "net", "red/none").code == 3
    assert vneterctl("wait", "link", "--all").code == 3
    assert vneterctl("wait", "link").code == 2
    assert vneterctl("wait", "net", "red/web", "--timeout", "soon").code == 2


def test_status(vneterctl, applied, store):
    _ready(store, _WEB)
    code, text, _ = vneterctl("status")
    assert code == 1
    assert "revision 1, last changed" in text
    assert ["Network", "1", "1", "0"] in [line.split() for line in text.splitlines()]
    assert "tenant/red" in text
    assert json.loads(vneterctl("status", "-o", "json").out)["kinds"]["Endpoint"]["total"] == 1


def test_status_shows_hosts_and_what_to_try(vneterctl, applied, store):
    for key in (Key("Tenant", "", "red"), _WEB):
        _ready(store, key)
    waits = Condition("Ready", "False", "NotBound", "no port", "2026-01-02T00:00:00Z")
    endpoint = Key("Endpoint", "red", "a")
    store.report([Status(endpoint, observed_revision=1, conditions=(waits,))])
    manifest = {"apiVersion": "vneter.io/v1", "kind": "Host", "metadata": {"name": "h1"},
                "spec": {"ovsdb": "unix:/run/x/db.sock"}}  # fmt: skip
    host = Key("Host", "", "h1")
    store.apply([Edit("apply", host, manifest)], author="me")
    told = (Condition("Ready", "True", "InSync"), Condition("InSync", "True", "Confirmed"),
            Condition("DatabaseConnected", "True", "Connected"),
            Condition("OpenFlowConnected", "True", "OpenFlow15"))  # fmt: skip
    tunnels = {"vn1": {"peer": "h2", "state": "up", "port": 1},
               "vn2": {"peer": "h3", "state": "down", "port": 2}}  # fmt: skip
    details = {"tunnels": tunnels, "flows": 7}
    store.report([Status(host, observed_revision=2, conditions=told, details=details)])
    code, text, _ = vneterctl("status")
    assert code == 1
    rows = [line.split() for line in text.splitlines()]
    assert ["h1", "True", "Connected", "OpenFlow15", "True", "1/2", "7"] in rows
    assert "NotBound: attach its workload" in text
    assert "`vneterctl describe endpoint red/a`" in text
    told = vneterctl("describe", "host", "h1").out
    assert [line.split() for line in told.splitlines() if "vn" in line] == [
        ["h2", "up", "1", "vn1"],
        ["h3", "down", "2", "vn2"],
    ]


def test_status_and_get_show_which_assertions_hold(vneterctl, applied, store):
    ends = {"source": {"tenant": "red"}, "target": {"tenant": "red"}}
    for name, status in (("talk", "True"), ("quiet", "False"), ("new", "Unknown")):
        manifest = {"apiVersion": "vneter.io/v1", "kind": "Assertion", "metadata": {"name": name},
                    "spec": ends}  # fmt: skip
        key = Key("Assertion", "", name)
        store.apply([Edit("apply", key, manifest)], author="me")
        told = Condition("Ready", "True", "Accepted"), Condition("Holds", status, "X", "a to b")
        store.report([Status(key, conditions=told, details={"holds": status})])
    for key in store.snapshot().objects:
        if key.kind != "Assertion":
            _ready(store, key)
    code, text, _ = vneterctl("status")
    assert code == 1
    rows = [line.split() for line in text.splitlines()]
    assert ["assertion/quiet", "-", "a", "to", "b"] in rows
    assert not any("assertion/talk" in row for row in rows)
    found = json.loads(vneterctl("status", "-o", "json").out)["assertions"]
    assert (found["holds"], found["broken"], found["unknown"]) == (1, 1, 1)
    rows = [line.split()[:3] for line in vneterctl("get", "assertions").out.splitlines()]
    assert rows[0] == ["NAME", "EXPECT", "HOLDS"]
    assert ["quiet", "allowed", "False"] in rows


def test_kinds_and_explain(vneterctl):
    assert "endpoints" in vneterctl("kinds").out
    whole = vneterctl("explain", "network").out
    assert "spec.prefixes" in whole
    assert "metadata.name" in whole
    field = vneterctl("explain", "net.spec.vni").out
    assert "integer 1..16777215" in field
    assert vneterctl("explain", "net.vni").out == field
    assert vneterctl("explain", "net.colour").code == 2
    within = vneterctl("explain", "pathpolicy.constraints").out
    assert "spec.constraints.maxHops  <integer 1..64>" in within
    assert "spec.objective.cost  <number 0..1000000000>" in vneterctl("explain", "pp.objective").out


def test_explain_goes_into_lists(vneterctl):
    routes = vneterctl("explain", "network.dhcp.routes").out
    assert "spec.dhcp.routes.prefix  <string>, required" in routes
    rule = vneterctl("explain", "policy.ingress").out
    assert "spec.ingress.action  <allow | drop | pass | reject>" in rule
    assert "`vneterctl explain policy.spec.ingress.peers` has its fields" in rule
    peers = vneterctl("explain", "policy.spec.ingress.peers").out
    assert "spec.ingress.peers.cidr" in peers
    whole = vneterctl("explain", "policy").out
    assert "`vneterctl explain policy.spec.ingress` has its fields" in whole
    assert "spec.ingress.action" not in whole
    assert "spec.ingress.action" in vneterctl("explain", "policy.ingress.action").out


def test_explain_of_what_there_is_not(vneterctl):
    assert "did you mean spec.mtu?" in vneterctl("explain", "network.spec.mtuu").err
    assert (
        "did you mean spec.dhcp.leaseSeconds?" in vneterctl("explain", "net.dhcp.leaseSecond").err
    )
    assert "did you mean Network?" in vneterctl("explain", "netwrk").err
    told = vneterctl("explain", "network.colour").err
    assert "did you mean" not in told
    assert "`vneterctl explain network` has all" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["get"],
        ["get", "pods"],
        ["get", "net", "web"],
        ["get", "net", "red/web", "-t", "blue"],
        ["get", "tenant", "red/web"],
        ["get", "tenant", "-t", "red"],
        ["get", "net", "red/web", "-l", "a"],
        ["get", "net", "-o", "xml"],
        ["get", "net", "--bogus"],
        ["describe", "net", "a/b/c"],
        ["delete"],
        ["delete", "net"],
        ["apply"],
        ["recompute"],
        ["status", "-o", "xml"],
        ["get", "net", "--server", "ftp://x"],
    ],
)
def test_wrong_command_lines(vneterctl, server, arguments):
    ended = vneterctl(*arguments)
    assert (ended.code, ended.out) == (2, "")
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")


def test_not_found_and_conflict(vneterctl, applied):
    assert vneterctl("get", "net", "red/none").code == 3
    text = vneterctl("get", "tn", "red", "-o", "yaml").out.replace("revision: 1", "revision: 7")
    stale = vneterctl("apply", "-f", "-", stdin=text.encode())
    assert (stale.code, stale.err.count("error:")) == (4, 1)


def test_nobody_answers(vneterctl, red, tmp_path):
    ended = vneterctl("apply", "-f", red, "--server", f"unix:{tmp_path}/none")
    assert ended.code == 5
    assert "error: cannot reach unix:" in ended.err
    assert "hint: is `vneterctl up` running?" in ended.err


def test_the_database_is_gone(vneterctl, server, store):
    store.close()
    assert vneterctl("status").code == 5


def test_colour_is_for_terminals_that_want_it(vneterctl, applied, monkeypatch):
    assert "\x1b" not in vneterctl("describe", "net", "red/web").out
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in vneterctl("describe", "net", "red/web").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in vneterctl("describe", "net", "red/web").out


def test_up_off_loopback_needs_tls(vneterctl, tmp_path):
    ended = vneterctl(
        "up", "--api-listen", "0.0.0.0:8181", "--state-dir", tmp_path, "--run-dir", tmp_path
    )
    assert (ended.code, "(NeedsTls)" in ended.err) == (1, True)


def test_delete_may_ignore_what_is_not_there(vneterctl, server, red):
    vneterctl("apply", "-f", red)
    assert vneterctl("delete", "ep", "red/a").code == 0
    assert vneterctl("delete", "ep", "red/a").code == 3
    assert vneterctl("delete", "ep", "red/a", "--ignore-not-found").code == 0
    assert vneterctl("delete", "-f", red).code == 3
    for words in (["network/red/web deleted", "revision 3"], ["revision 3"]):
        ended = vneterctl("delete", "-f", red, "--ignore-not-found")
        assert (ended.code, ended.out.splitlines()[-len(words) :]) == (0, words), ended.err


def test_many_are_not_asked_for_one_by_one(vneterctl, server, store, tmp_path, monkeypatch):
    monkeypatch.delattr(Client, "get")
    made = [{"kind": "Tenant", "metadata": {"name": "red"}}]
    made += [
        {"kind": "Network", "metadata": {"tenant": "red", "name": f"n{n}"},
         "spec": {"prefixes": [f"10.{n}.0.0/24"]}} for n in range(40)
    ]  # fmt: skip
    whole = [json.dumps({"apiVersion": "vneter.io/v1", "spec": {}, **one}) for one in made]
    file = tmp_path / "many.yaml"
    file.write_text("\n---\n".join(whole[:21]), encoding="utf-8")
    assert vneterctl("apply", "-f", file).code == 0
    assert vneterctl("label", "net", "--all", "a=b").code == 0
    labels = [one.labels for key, one in store.snapshot().objects.items() if key.kind == "Network"]
    assert labels == [{"a": "b"}] * 20
    file.write_text("\n---\n".join(whole[1:]), encoding="utf-8")
    ended = vneterctl("delete", "-f", file, "--ignore-not-found")
    assert (ended.code, ended.out.count("deleted")) == (0, 20), ended.err
    assert [str(key) for key in store.snapshot().objects] == ["Tenant red"]


def test_problems_come_in_the_order_of_the_file(vneterctl, server, red):
    broken = red.read_text("utf-8").replace("10.0.0.0/24", "10.0.0/24") + "\n".join(
        f"---\napiVersion: vneter.io/v1\nkind: Network\nmetadata: {{name: {name}, tenant: red}}\n"
        f"spec: {{prefixes: [{prefix}]}}"
        for name, prefix in (("z", "10.0.0"), ("b", "10.1.0.1/24"), ("a", "10.2"))
    )
    red.write_text(broken, "utf-8")
    told = vneterctl("apply", "-f", red).err.splitlines()
    lines = [int(line.split(f"{red}:")[1].split(":")[0]) for line in told if str(red) in line]
    assert len(lines) == 4
    assert lines == sorted(lines)
