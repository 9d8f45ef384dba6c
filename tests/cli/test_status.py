# SPDX-License-Identifier: Apache-2.0
"""``vneterctl status`` fits a screen, and says first what somebody should look at."""

from __future__ import annotations

import json
import sys

import pytest

from vneter_sdn.cli.summary import lines
from vneter_sdn.model.snapshot import Condition, Key, Status
from vneter_sdn.store.port import Edit


@pytest.fixture
def many(server, store):
    """Hosts: every third is not ready, the later the longer; every fourth is not in sync."""
    manifests = [
        {"apiVersion": "vneter.io/v1", "kind": "Host", "metadata": {"name": f"h{n:02}"},
         "spec": {"ovsdb": f"unix:/run/{n}/db.sock"}} for n in range(60)
    ]  # fmt: skip
    keys = [Key("Host", "", f"h{n:02}") for n in range(60)]
    edits = [Edit("apply", key, one) for key, one in zip(keys, manifests, strict=True)]
    store.apply(edits, author="me")
    for n, key in enumerate(keys):
        since = f"2026-01-01T00:{59 - n:02}:00Z"
        bad = n % 3 == 0
        state = ("False", f"Reason{n}", "word " * 40) if bad else ("True", "InSync", "")
        told = (
            Condition("Ready", *state, since),
            Condition("InSync", "False" if n % 4 == 0 else "True", "Confirmed", "", since),
        )
        tunnels = {"a": {"state": "up"}, "b": {"state": "down" if n == 1 else "up"}}
        store.report([Status(key, 1, told, {"tunnels": tunnels, "flows": n})])
    return store


def terminal(monkeypatch, columns, rows):
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(rows))
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (100, 40), (200, 60)])
def test_it_fits_the_screen(vneterctl, many, monkeypatch, columns, rows):
    terminal(monkeypatch, columns, rows)
    code, text, _ = vneterctl("status")
    assert code == 1
    told = text.splitlines()
    tables = [line for line in told if not line.startswith(("Reason", "`", "vneter"))]
    assert len(told) <= max(rows, 26)
    assert max(map(len, tables)) <= columns
    assert "hosts: 40 of 60 ready, 45 of 60 bridges in sync, 119 of 120 tunnels up" in text


def test_the_slowest_come_first_with_what_to_try(vneterctl, many):
    text = vneterctl("status").out
    found = [line.split()[0] for line in text.splitlines() if line.startswith("host/h")]
    assert found[:3] == ["host/h57", "host/h54", "host/h51"]
    assert found == sorted(found, reverse=True)
    assert "Reason57: the message says what lacks" in text
    assert "`vneterctl describe host h57` tells all about it" in text


def test_hosts_with_something_amiss_come_first(vneterctl, many):
    summary = json.loads(vneterctl("status", "-o", "json").out)
    amiss = {f"h{n:02}" for n in range(60) if n % 3 == 0 or n % 4 == 0 or n == 1}
    assert {one["name"] for one in summary["hosts"][: len(amiss)]} == amiss
    assert summary["fleet"] == {"hosts": 60, "ready": 40, "inSync": 45,
                                "tunnels": {"up": 119, "total": 120}}  # fmt: skip


def test_of_nothing(vneterctl, server):
    code, text, _ = vneterctl("status")
    assert code == 0
    assert "nothing is declared yet" in text
    assert "everything is ready" in text


def test_only_kinds_there_are(vneterctl, applied):
    text = vneterctl("status").out
    assert "Network" in text
    assert "Reservation" not in text


def test_tables_share_the_room():
    hosts = [{"name": f"h{n}", "ready": "True", "database": "-", "openflow": "-", "inSync": "True",
              "tunnels": {"up": 0, "total": 0}, "flows": 0} for n in range(50)]  # fmt: skip
    summary = {"version": "1", "revision": 1, "lastChange": None, "core": True, "hosts": hosts,
               "kinds": {"Host": {"total": 50, "ready": 50, "notReady": 0}}, "hostsOmitted": 7,
               "notReady": [], "notReadyOmitted": 0}  # fmt: skip
    whole = lines(summary)
    assert "and 37 more (-o json)" in whole
    assert len([line for line in lines(summary, 24) if line.startswith("h")]) < 20
    assert len([line for line in lines(summary, 5) if line.startswith("h")]) == 3


def cut(store, name, source, target, *, word="Down", **spec):
    """A tunnel that was found and is down; declared, where it has a spec."""
    up = Condition("Up", "False", word, "", "2026-01-01T00:00:00Z")
    details = {"source": source, "target": target, "medium": "tunnel", "edge": f"{source}>{target}",
               "state": word.lower()}  # fmt: skip
    if spec:
        spec = {"source": source, "target": target, "medium": "tunnel", **spec}
        manifest = {"apiVersion": "vneter.io/v1", "kind": "Link", "metadata": {"name": name},
                    "spec": spec}  # fmt: skip
        store.apply([Edit("apply", Key("Link", "", name), manifest)], author="me")
    ready = Condition("Ready", "True", "Accepted", "")
    store.report([Status(Key("Link", "", name), 1, (ready, up), details)])


@pytest.fixture
def two(server, store):
    """Two hosts that are ready."""
    for name in ("h1", "h2"):
        manifest = {"apiVersion": "vneter.io/v1", "kind": "Host", "metadata": {"name": name},
                    "spec": {"ovsdb": f"unix:/run/{name}/db.sock"}}  # fmt: skip
        store.apply([Edit("apply", Key("Host", "", name), manifest)], author="me")
        hears(store, name)
    return store


def hears(store, name, openflow="True", database="True"):
    told = (
        Condition("Ready", openflow, "InSync"),
        Condition("InSync", openflow, "Confirmed"),
        Condition("OpenFlowConnected", openflow, "OpenFlow15"),
        Condition("DatabaseConnected", database, "Connected"),
    )
    tunnels = {"t": {"peer": "h2", "state": "up", "port": 7}}
    store.report([Status(Key("Host", "", name), 1, told, {"tunnels": tunnels, "flows": 1})])


def test_a_cut_tunnel_is_told_with_what_to_try(vneterctl, two):
    assert vneterctl("status").code == 0
    cut(two, "h1-h2", "h1", "h2")
    code, text, _ = vneterctl("status")
    assert code == 1
    assert "everything is ready" not in text
    assert [line for line in text.splitlines() if line.startswith("link/h1-h2")]
    assert "Down: is the way open" in text
    assert "`vneterctl describe link h1-h2` tells all about it" in text
    (told,) = json.loads(vneterctl("status", "-o", "json").out)["linksDown"]
    assert told["object"] == {"kind": "Link", "name": "h1-h2"}
    assert told["reason"] == "Down"


def test_a_declared_tunnel_too_but_not_one_that_is_disabled(vneterctl, two):
    cut(two, "h1-h2", "h1", "h2", word="Damped", cost=3)
    code, text, _ = vneterctl("status")
    assert code == 1
    assert text.count("link/h1-h2") == 1
    assert "Damped: it flapped" in text
    cut(two, "h1-h2", "h1", "h2", disabled=True)
    assert vneterctl("status").code == 0


def test_tunnels_of_a_host_that_is_not_heard_of_are_not_up(vneterctl, two):
    assert "2 of 2 tunnels up" in vneterctl("status").out
    hears(two, "h1", openflow="False")
    assert "1 of 2 tunnels up" in vneterctl("status").out
    hears(two, "h1", database="False")
    assert "1 of 2 tunnels up" in vneterctl("status").out


def test_without_a_core_nothing_is_said_to_be_ready():
    summary = {"version": "1", "revision": 1, "lastChange": None, "core": False, "hosts": [],
               "kinds": {}, "hostsOmitted": 0, "notReady": [], "notReadyOmitted": 0}  # fmt: skip
    text = "\n".join(lines(summary))
    assert "everything is ready" not in text
    assert "vneterctl logs core" in text
