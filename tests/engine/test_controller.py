# SPDX-License-Identifier: Apache-2.0
"""The whole controller over an in-memory store and bridges that confirm what they are told to."""

import paper
import pytest
from paper import edit

from vneter_sdn.compile.network import Compiler, compile_snapshot
from vneter_sdn.engine.bindings import Port
from vneter_sdn.engine.controller import Controller
from vneter_sdn.engine.port import (
    Channel,
    Database,
    LeftOut,
    Ports,
    Refused,
    Tunnel,
    Tunnels,
)
from vneter_sdn.engine.spoofing import Spoofed
from vneter_sdn.errors import StoreUnavailable
from vneter_sdn.model.snapshot import Key
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit

WEB = Key("Endpoint", "red", "web")


class World(paper.World):
    def condition(self, key, kind="Ready"):
        status = self.store.snapshot().statuses.get(key)
        found = {c.type: (c.status, c.reason) for c in status.conditions} if status else {}
        return found.get(kind)


def delete(kind, name, tenant=""):
    return Edit("delete", Key(kind, tenant, name))


@pytest.fixture
def world():
    made = World()
    for number in (1, 2):
        database, tunnel = f"unix:/run/h{number}/db.sock", f"192.0.2.{number}"
        made.apply(edit("Host", f"h{number}", ovsdb=database, tunnelAddresses=[tunnel]))
    made.apply(
        edit("Tenant", "red"),
        edit("Network", "web", "red", prefixes=["10.0.0.0/24"]),
        edit("Endpoint", "web", "red", network="web"),
        edit("Endpoint", "app", "red", network="web"),
    )
    made.settle()
    for host in ("h1", "h2"):
        made.hear(Database(host, True, "InSync"), Channel(host, True, "OpenFlow15"))
        made.confirm(host)
    return made


def shown(host, *ids):
    return Ports(host, tuple(Port(i, f"v{n}", n) for n, i in enumerate(ids, 1)))


def test_hosts_are_managed_with_their_own_datapath_id(world):
    assert {h: f"{dpid:016x}" for h, (_, dpid) in world.southbound.managed.items()} == {
        "h1": "7600000000000001", "h2": "7600000000000002"}  # fmt: skip
    assert world.southbound.rows["h1"].controller == "unix:/run/h1/br-int.vneter"
    assert world.condition(Key("Host", "", "h1")) == ("True", "InSync")


def test_an_endpoint_is_ready_once_every_bridge_confirmed(world):
    assert world.condition(WEB) == ("False", "NotBound")
    world.hear(shown("h1", "red/web"))
    assert world.store.snapshot().bindings[WEB].host == "h1"
    assert world.condition(WEB) == ("False", "Programming")
    world.confirm("h1")
    assert world.condition(WEB) == ("True", "Confirmed")
    world.hear(shown("h2", "red/app"))
    assert world.condition(WEB) == ("True", "Confirmed"), "another's change is not its own"
    world.confirm("h2")
    assert world.condition(Key("Endpoint", "red", "app")) == ("False", "Programming")
    world.confirm("h1")
    assert world.condition(Key("Endpoint", "red", "app")) == ("True", "Confirmed")


def test_what_is_desired_is_what_a_fresh_computation_has(world):
    world.hear(shown("h1", "red/web"), shown("h2", "red/app"))
    world.hear(Tunnels("h1", {name: Tunnel(40000) for name in tunnel_names(world, "h1")}))
    world.apply(edit("Network", "db", "red", prefixes=["10.0.1.0/24"]))
    world.apply(edit("Endpoint", "sql", "red", network="db"))
    world.hear(shown("h2", "red/app", "red/sql"))
    world.apply(delete("Endpoint", "app", "red"))
    world.roll()
    ofports = {"h1": dict.fromkeys(tunnel_names(world, "h1"), 40000)}
    fresh = compile_snapshot(world.store.snapshot(), ofports)
    for host in ("h1", "h2"):
        assert world.southbound.flows[host].state == fresh.bridge(host)


def test_what_an_endpoint_tried_is_in_its_report_over_restarts(world):
    world.hear(shown("h1", "red/web"))
    world.confirm("h1")

    def refused():
        return world.store.snapshot().statuses[WEB].details.get("refused")

    assert refused() is None
    world.hear(Spoofed({WEB: {"router": 3}}))
    assert refused() == {"router": 3}
    assert world.condition(WEB) == ("True", "Confirmed")
    world.fresh()
    world.settle()
    world.hear(Database("h1", True, "InSync"), Channel("h1", True, "OpenFlow15"))
    world.confirm("h1")
    assert refused() == {"router": 3}, "nothing was counted since"
    world.hear(Spoofed({WEB: {"router": 5}}))
    assert refused() == {"router": 5}


def tunnel_names(world, host):
    return [tunnel.name for tunnel in world.southbound.rows[host].tunnels]


def test_nothing_is_desired_before_the_store_was_read():
    southbound = paper.Southbound()
    controller = Controller(MemoryStore(), southbound, Compiler(), lambda: "now")
    controller.handle([shown("h1", "red/web"), Channel("h1", True, "OpenFlow15")])
    assert southbound.flows == {}
    assert southbound.rows == {}


def test_a_restarted_controller_desires_the_same(world):
    world.hear(shown("h1", "red/web"), shown("h2", "red/app"))
    before = {host: desired.state for host, desired in world.southbound.flows.items()}
    world.fresh()
    world.settle()
    assert {host: desired.state for host, desired in world.southbound.flows.items()} == before
    assert all(changed is None for _, changed in world.southbound.told[-2:])


def test_a_renewed_controller_keeps_what_hosts_said(world):
    world.hear(shown("h1", "red/web"), shown("h2"))
    world.hear(Tunnels("h1", {name: Tunnel(40000) for name in tunnel_names(world, "h1")}))
    world.roll()
    before = world.southbound.flows["h1"].state
    world.controller = world.controller.renewed(Compiler())
    world.known = None
    world.settle()
    assert world.southbound.flows["h1"].state == before
    world.hear(shown("h2", "red/web"))
    assert world.store.snapshot().bindings[WEB].host == "h2"


def test_a_refusal_is_reported_on_the_host_and_its_endpoints(world):
    world.hear(shown("h1", "red/web"))
    world.hear(Refused("h1", 99, "BundleRejected", "OpenFlow error (5, 1)"))
    assert world.condition(Key("Host", "", "h1"), "InSync") == ("False", "BundleRejected")
    assert world.condition(WEB) == ("False", "BundleRejected")
    world.confirm("h1")
    assert world.condition(WEB) == ("True", "Confirmed")


def test_after_a_restart_reports_stand_until_the_host_has_had_its_time(world):
    world.hear(shown("h1", "red/web"))
    world.confirm("h1")
    host = Key("Host", "", "h1")
    world.fresh()
    world.settle()
    assert world.condition(WEB) == ("True", "Confirmed")
    assert world.condition(host) == ("True", "InSync")
    world.hear(Channel("h1", True, "OpenFlow15"))
    assert world.condition(WEB) == ("True", "Confirmed"), "read-back changes nothing"
    world.hear(Channel("h1", False, "", "EchoTimeout", "silent"))
    assert world.condition(WEB) == ("False", "NoChannel")


def test_a_host_that_is_managed_anew_is_told_everything_anew(world):
    world.southbound.flows.clear()
    world.southbound.rows.clear()
    world.apply(edit("Host", "h1", ovsdb="unix:/run/h1/db.sock", tunnelAddresses=["192.0.2.1"],
                     site="cellar"))  # fmt: skip
    assert set(world.southbound.flows) == {"h1"}
    assert world.southbound.told[-1] == ("h1", None)
    assert set(world.southbound.rows) == {"h1"}


def test_a_deleted_host_is_released(world):
    world.apply(delete("Host", "h2"))
    assert set(world.southbound.managed) == {"h1"}
    assert world.southbound.rows["h1"].tunnels == ()


def test_a_binding_that_could_not_be_written_is_written_later(world, monkeypatch):
    def away(*_args, **_named):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "bind", away)
        with pytest.raises(StoreUnavailable):
            world.controller.handle([shown("h1", "red/web")])
    world.hear()
    assert world.store.snapshot().bindings[WEB].host == "h1"


def app(number):
    return Key("Endpoint", "red", f"app{number}")


@pytest.fixture
def five(world):
    """Five hosts with an endpoint each, all of one network, all ready."""
    numbers = range(1, 6)
    for n in numbers:
        tunnel = [f"192.0.2.{n}"]
        world.apply(edit("Host", f"h{n}", ovsdb=f"unix:/run/h{n}/db.sock", tunnelAddresses=tunnel))
        world.hear(Database(f"h{n}", True), Channel(f"h{n}", True, "OpenFlow15"))
    world.apply(*(edit("Endpoint", f"app{n}", "red", network="web") for n in numbers))
    world.hear(*(shown(f"h{n}", f"red/app{n}") for n in numbers))
    world.roll()
    world.confirm(*(f"h{n}" for n in numbers))
    assert all(world.condition(app(n)) == ("True", "Confirmed") for n in numbers)
    return world


@pytest.mark.parametrize("order", ["12345", "54321", "35142"])
def test_whoever_confirms_last_makes_it_ready(five, order):
    five.hear(shown("h1", "red/app1", "red/web"))
    for number in order:
        assert five.condition(WEB) == ("False", "Programming")
        five.confirm(f"h{number}")
    assert five.condition(WEB) == ("True", "Confirmed")


@pytest.mark.parametrize("gone", [Channel("h3", False, "", "EchoTimeout", ""), None])
def test_a_host_that_leaves_holds_nobody_up_any_more(five, gone):
    five.hear(shown("h1", "red/app1", "red/web"))
    five.confirm("h1", "h2", "h4", "h5")
    assert five.condition(WEB) == ("False", "Programming")
    if gone:
        five.hear(gone)
    else:
        five.apply(delete("Endpoint", "app3", "red"))
        five.apply(delete("Host", "h3"))
        five.confirm("h1", "h2", "h4", "h5")
    assert five.condition(WEB) == ("True", "Confirmed")


def test_what_a_host_says_concerns_only_those_it_can_change(five, monkeypatch):
    looked_at = []
    status = Controller._status

    def spy(controller, snapshot, key, before):
        looked_at.append(key)
        return status(controller, snapshot, key, before)

    monkeypatch.setattr(Controller, "_status", spy)
    host = Key("Host", "", "h3")
    five.controller.handle([Tunnels("h3", {}), Database("h3", False, "Refused")])
    five.confirm("h3")
    assert set(looked_at) == {host}
    five.controller.handle([Channel("h3", False, "", "EchoTimeout", "")])
    assert set(looked_at) == {host, app(3)}


def test_every_binding_has_a_sequence_of_its_own(five):
    taken = {key: b.sequence for key, b in five.store.snapshot().bindings.items()}
    five.controller.handle([shown("h2", "red/app2", "red/web")])
    five.controller.handle([shown("h3", "red/app3", "red/app")])
    five.settle()
    now = [b.sequence for key, b in five.store.snapshot().bindings.items() if key not in taken]
    assert len(set(now)) == 2
    assert min(now) > max(taken.values())


def test_who_is_refused_by_a_bridge_is_told_and_nobody_else_is_held_up(world):
    world.hear(shown("h1", "red/web", "red/app"))
    world.confirm("h2")
    desired = world.southbound.flows["h1"]
    compiler = world.controller._compiler
    bad = next(key for key in desired.state.flows if compiler.unit("h1", key).subject == WEB)
    world.hear(LeftOut("h1", desired.epoch, ((bad, "OpenFlow error (5, 1)"),)))
    assert world.condition(WEB) == ("False", "RejectedByBridge")
    assert world.condition(WEB, "Bound") == ("True", "Bound")
    assert world.condition(Key("Endpoint", "red", "app")) == ("True", "Confirmed")
    host = Key("Host", "", "h1")
    assert world.condition(host, "InSync") == ("False", "BundleRejected")
    assert world.condition(host) == ("False", "BundleRejected")
    (message,) = [c.message for c in world.store.snapshot().statuses[host].conditions
                  if c.type == "InSync"]  # fmt: skip
    assert "1 object" in message
    assert str(WEB) in message
    network = next(
        key for key in desired.state.flows if compiler.unit("h1", key).subject.kind == "Network"
    )
    world.hear(LeftOut("h1", desired.epoch, ((network, "full"),)))
    assert world.condition(WEB) == ("True", "Confirmed")
    assert world.condition(Key("Network", "red", "web")) == ("False", "RejectedByBridge")
    world.confirm("h1")
    assert world.condition(Key("Network", "red", "web")) == ("True", "Accepted")
    assert world.condition(host, "InSync") == ("True", "Confirmed")


def test_what_a_bridge_refused_is_not_held_against_it_once_it_is_away(world):
    world.hear(shown("h1", "red/web"))
    world.confirm("h2")
    desired = world.southbound.flows["h1"]
    flow = next(
        k for k in desired.state.flows if world.controller._compiler.unit("h1", k).subject == WEB
    )
    world.hear(LeftOut("h1", desired.epoch, ((flow, "full"),)))
    world.hear(Channel("h1", False, "", "EchoTimeout", ""))
    assert world.condition(Key("Host", "", "h1"), "InSync") == ("False", "NoChannel")
    assert world.condition(WEB) == ("False", "NoChannel")


def test_what_a_bridge_refused_goes_with_its_host_and_outlives_a_restart_of_the_engine(world):
    world.hear(shown("h1", "red/web"), shown("h2", "red/app"))
    world.confirm("h1", "h2")
    desired = world.southbound.flows["h2"]
    of = world.controller._compiler.unit
    flow = next(k for k in desired.state.flows if of("h2", k).subject == WEB)
    world.hear(LeftOut("h2", desired.epoch, ((flow, "full"),)))
    assert world.condition(WEB) == ("False", "RejectedByBridge")
    world.controller = world.controller.renewed(Compiler())
    world.known = None
    world.settle()
    world.hear(LeftOut("h2", world.southbound.flows["h2"].epoch, ((flow, "full"),)))
    assert world.condition(WEB) == ("False", "RejectedByBridge")
    world.apply(delete("Endpoint", "app", "red"))
    world.apply(delete("Host", "h2"))
    world.confirm("h1")
    assert world.condition(WEB) == ("True", "Confirmed")
