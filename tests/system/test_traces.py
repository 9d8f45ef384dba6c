# SPDX-License-Identifier: Apache-2.0
"""Manifests of Kubernetes on a fleet: the matrix of what it runs, and traces by its bridges."""

import json

import pytest

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
PLACES = {"x.a": "h1", "x.b": "h2", "y.a": "h1", "y.b": "h3"}


def foreign(version, kind, name, namespace=None, spec=None, **metadata):
    metadata |= {"name": name} | ({"namespace": namespace} if namespace else {})
    manifest = {"apiVersion": version, "kind": kind, "metadata": metadata}
    return manifest if spec is None else manifest | {"spec": spec}


POLICY = foreign(
    "networking.k8s.io/v1",
    "NetworkPolicy",
    "web",
    "x",
    {
        "podSelector": {},
        "ingress": [
            {
                "from": [{"namespaceSelector": {"matchLabels": {"team": "y"}}}],
                "ports": [{"protocol": "TCP", "port": 80}],
            }
        ],
    },
)


@pytest.fixture(scope="module", autouse=True)
def network(fleet):
    fleet.up(3)
    objects = [foreign("v1", "Namespace", name, labels={"team": name}) for name in "xy"]
    for name, host in PLACES.items():
        namespace, _, pod = name.partition(".")
        objects.append(foreign("v1", "Pod", pod, namespace, {"nodeName": host}))
    done = fleet.controller.client.apply([*objects, POLICY])
    assert any("Network cluster/pods" in note for note in done.notes)
    fleet.attach(*(("cluster", name, "pods", host) for name, host in PLACES.items()))
    for host in ("h1", "h2", "h3"):  # its tunnels have ports, and their neighbours are known
        fleet.controller.await_synced([host])


def test_the_matrix_of_what_runs(vneterctl):
    code, out, err = vneterctl("reachability", "--ports", "tcp/80,tcp/81", "-o", "json")
    assert code == 0, err
    rows = {(r["from"], r["to"], r["port"]): r for r in json.loads(out)}
    assert len(rows) == 4 * 4 * 2
    assert rows["y/b", "x/a", "tcp/80"]["rule"] == "NetworkPolicy x/web ingress[0]"
    assert not rows["y/b", "x/a", "tcp/81"]["allowed"]
    assert not rows["x/b", "x/a", "tcp/80"]["allowed"]
    assert rows["x/b", "x/b", "tcp/80"]["rule"] == "self"
    assert rows["x/a", "y/b", "tcp/81"] == {
        "from": "x/a", "to": "y/b", "port": "tcp/81", "allowed": True, "rule": "default",
    }  # fmt: skip


@pytest.mark.parametrize("source", ["x/a", "x/b", "y/a", "y/b"])
@pytest.mark.parametrize("target", ["x/a", "x/b", "y/b"])
def test_bridges_do_as_the_model_says(vneterctl, source, target):
    if source == target:
        return
    for words in (("--tcp", "80"), ("--udp", "53"), ("--tcp", "80", "-6"), ("--icmp",)):
        code, out, err = vneterctl(
            "trace", "--from", source, "--to", target, *words, "--live", "-o", "json"
        )
        assert code == 0, err
        found = json.loads(out)
        wanted = target.startswith("y") or (source.startswith("y") and words[:2] == ("--tcp", "80"))
        assert found["allowed"] == found["live"]["allowed"] == wanted, (words, out)
        assert found["live"]["agrees"]
        if not any(hop["assumed"] for hop in found["live"]["hops"]):  # nor is any tunnel down
            hosts = [hop["host"] for hop in found["hops"]]
            assert [hop["host"] for hop in found["live"]["hops"]] == hosts


def test_a_bridge_that_does_otherwise_is_told_of(fleet, vneterctl):
    fleet.ofctl("h1", "add-flow", "table=output,priority=60000,tcp,tp_dst=80,actions=drop")
    words = ("trace", "--from", "y/b", "--to", "x/a", "--tcp", "80", "--live")
    try:
        code, out, err = vneterctl(*words)
    finally:
        fleet.ofctl("h1", "del-flows", "table=output,tcp,tp_dst=80")
    assert code == 1
    assert "differs" in out
    assert "h1: the bridge meets a flow of priority 60000" in out
    assert "by the model it gets there, by the bridges it does not get there" in err
    assert vneterctl(*words)[0] == 0


def test_a_host_that_cannot_be_asked_is_named(fleet, vneterctl, monkeypatch):
    from vneter_sdn.daemon import live_tracing
    from vneter_sdn.errors import SouthboundError

    asked = live_tracing.control_socket

    def elsewhere(ovsdb):
        if "/h3/" in ovsdb:
            raise SouthboundError("no control socket is reached from here")
        return asked(ovsdb)

    monkeypatch.setattr(live_tracing, "control_socket", elsewhere)
    code, out, _ = vneterctl("trace", "--from", "y/b", "--to", "x/a", "--tcp", "80", "--live")
    assert code == 0
    assert "h3: not asked: no control socket is reached from here" in out
    assert "h1: " in out
