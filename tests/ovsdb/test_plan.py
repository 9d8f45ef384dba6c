# SPDX-License-Identifier: Apache-2.0
"""Plans against a real ovsdb-server: what is desired comes true, and nothing else moves."""

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import OvsdbError, SouthboundError
from vneter_sdn.model.rows import HostRows, TunnelPort
from vneter_sdn.ovsdb.client import Client
from vneter_sdn.ovsdb.replica import Replica
from vneter_sdn.southbound.ovsdb import observe
from vneter_sdn.southbound.ovsdb.plan import plan
from vneter_sdn.southbound.ovsdb.watched import DATABASE, WATCHED

pytestmark = pytest.mark.ovs


class Host:
    """A client, and a replica that is current whenever it is looked at."""

    def __init__(self, remote: str) -> None:
        self.client = Client(remote)
        first = self.client.monitor(DATABASE, WATCHED)
        self._replica = Replica(self.client.watched(DATABASE))
        self._replica.apply(first)

    @property
    def replica(self) -> Replica:
        self.client.list_dbs()
        for update in self.client.poll():
            self._replica.apply(update)
        return self._replica

    def bring_about(self, desired: HostRows, **how: bool) -> None:
        todo = plan(desired, self.replica, **how)
        if todo:
            self.client.transact(DATABASE, todo.operations)


@pytest.fixture
def host(database):
    database.vsctl("--no-wait", "init")
    made = Host(database.remote)
    yield made
    made.client.close()


def tunnel(number: int, **other: object) -> TunnelPort:
    given = {"encapsulation": "geneve", "local_ip": "192.0.2.1", "remote_ip": f"192.0.2.{number}"}
    return TunnelPort(f"t{number}", ofport=0x8000 + number, peer=f"h{number}", **{**given, **other})


ROWS = HostRows(
    "br-int", "netdev", 0x10, "unix:/run/x", (tunnel(2), tunnel(3)), ("classify", "", "output")
)


def test_makes_everything_as_ovs_vsctl_sees_it(database, host):
    host.bring_about(ROWS)

    def get(table, record, column):
        return database.vsctl("get", table, record, column).strip()

    assert database.vsctl("list-br").split() == ["br-int"]
    assert sorted(database.vsctl("list-ports", "br-int").split()) == ["t2", "t3"]
    assert database.vsctl("get-controller", "br-int").strip() == "unix:/run/x"
    assert database.vsctl("get-fail-mode", "br-int").strip() == "secure"
    assert get("Bridge", "br-int", "protocols") == "[OpenFlow14, OpenFlow15]"
    assert get("Bridge", "br-int", "datapath_type") == "netdev"
    assert get("Bridge", "br-int", "other_config") == (
        '{datapath-id="0000000000000010", disable-in-band="true"}'
    )
    assert get("Bridge", "br-int", "external_ids") == '{vneter-owner="true"}'
    assert get("Interface", "br-int", "type") == "internal"
    assert get("Interface", "t2", "type") == "geneve"
    assert get("Interface", "t2", "options") == (
        '{key=flow, local_ip="192.0.2.1", remote_ip="192.0.2.2"}'
    )
    assert get("Interface", "t2", "ofport_request") == str(0x8002)
    assert get("Interface", "t2", "bfd") == '{enable="true", min_rx="100", min_tx="100"}'
    assert get("Port", "t2", "external_ids") == '{vneter-owner="true", vneter-peer=h2}'
    names = database.vsctl("--bare", "--columns=name", "list", "Flow_Table").split()
    assert sorted(names) == ["classify", "output"]
    tables = get("Bridge", "br-int", "flow_tables")
    assert tables.startswith("{0=")
    assert ", 2=" in tables
    columns = "target,max_backoff,inactivity_probe,connection_mode"
    controller = database.vsctl("--bare", f"--columns={columns}", "list", "Controller")
    assert controller.split() == ["unix:/run/x", "1000", "5000", "out-of-band"]
    assert not plan(ROWS, host.replica)


DESIRED = st.builds(
    HostRows,
    bridge=st.sampled_from(["br-int", "br-int", "br-int", "br-two"]),
    datapath_type=st.sampled_from(["netdev", "system"]),
    dpid=st.integers(1, 3),
    controller=st.sampled_from(["", "unix:/run/x", "ssl:192.0.2.9:6653"]),
    tunnels=st.lists(st.integers(2, 6), unique=True, max_size=4).flatmap(
        lambda numbers: st.tuples(
            *(
                st.builds(
                    tunnel,
                    st.just(number),
                    encapsulation=st.sampled_from(["geneve", "vxlan", "gre"]),
                    local_ip=st.sampled_from(["192.0.2.1", "", "2001:db8::1"]),
                    bfd=st.booleans(),
                )
                for number in numbers
            )
        )
    ),
    table_names=st.lists(st.sampled_from(["", "a", "b"]), max_size=4).map(tuple),
)

FOREIGN = [
    ["--may-exist", "add-br", "br-ext", "--", "set", "Bridge", "br-ext", "external_ids:who=them"],
    [
        "--may-exist",
        "add-port",
        "br-ext",
        "eth9",
        "--",
        "set",
        "Interface",
        "eth9",
        "mtu_request=9",
    ],
    ["set-controller", "br-ext", "tcp:192.0.2.8:6653"],
    [
        "--",
        "--id=@t",
        "create",
        "Flow_Table",
        "name=theirs",
        "--",
        "set",
        "Bridge",
        "br-ext",
        "flow_tables:3=@t",
    ],
]


def everything(client: Client) -> dict:
    """Every row of the tables that matter, as the server writes them."""
    tables = ("Bridge", "Port", "Interface", "Controller", "Flow_Table")
    found = client._call(
        "transact", [DATABASE, *({"op": "select", "table": t, "where": []} for t in tables)]
    )
    return {
        json.dumps(row["_uuid"]): json.dumps(row, sort_keys=True)
        for result in found
        for row in result["rows"]
    }


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(DESIRED, min_size=1, max_size=4))
def test_idempotent_and_foreign_rows_survive(database, host, wishes):
    for command in FOREIGN:
        database.vsctl("--no-wait", *command)
    before = everything(host.client)
    ours_before = set(before) - foreign(before)
    for wish in wishes:
        host.bring_about(wish)
        again = plan(wish, host.replica)
        assert again.operations == ()
        assert again.withheld == ()
    after = everything(host.client)
    for uuid in set(before) - ours_before:
        assert after[uuid] == before[uuid]
    last = wishes[-1]
    ports = {row["name"] for row in host.replica.table("Port").values()}
    assert {port for port in ports if port.startswith("t")} == {t.name for t in last.tunnels}


def foreign(rows: dict) -> set:
    return {uuid for uuid, row in rows.items() if "vneter-owner" not in row}


def test_a_foreign_bridge_is_only_added_to(database, host):
    database.vsctl(
        *("--no-wait", "add-br", "br-int", "--", "set", "Bridge", "br-int"),
        *("protocols=OpenFlow13", "other_config:datapath-id=00000000000000ff"),
        *("fail_mode=standalone", "datapath_type=system", "external_ids:who=them"),
        *("--", "add-port", "br-int", "t3", "--", "add-port", "br-int", "eth0"),
        *("--", "set-controller", "br-int", "tcp:192.0.2.8:6653"),
        *("--", "--id=@t", "create", "Flow_Table", "name=theirs"),
        *("--", "set", "Bridge", "br-int", "flow_tables:2=@t"),
    )
    before = everything(host.client)
    host.bring_about(ROWS)
    (bridge,) = host.replica.table("Bridge").values()
    assert bridge["protocols"] == {"OpenFlow13", "OpenFlow14", "OpenFlow15"}
    assert bridge["other_config"] == {
        "datapath-id": "00000000000000ff",
        "disable-in-band": "true",
    }
    assert bridge["fail_mode"] == {"standalone"}
    assert bridge["datapath_type"] == "system"
    assert bridge["external_ids"] == {"who": "them"}
    again = plan(ROWS, host.replica)
    assert not again
    assert [text.split(":")[0] for text in again.withheld] == ["Port t3", "Flow_Table 2"]
    assert sorted(database.vsctl("list-ports", "br-int").split()) == ["eth0", "t2", "t3"]
    after = everything(host.client)
    ((bridge_uuid, _),) = host.replica.table("Bridge").items()
    assert all(after[uuid] == row for uuid, row in before.items() if str(bridge_uuid) not in uuid)
    host.bring_about(HostRows("br-int", "netdev", 0x10, ""))
    assert sorted(database.vsctl("list-ports", "br-int").split()) == ["eth0", "t3"]
    assert database.vsctl("get-controller", "br-int").strip() == "tcp:192.0.2.8:6653"


def test_damage_to_our_rows_is_repaired_and_additions_are_kept(database, host):
    host.bring_about(ROWS)
    database.vsctl(
        *("--no-wait", "set", "Interface", "t2", "options:remote_ip=198.51.100.1", "type=vxlan"),
        *("external_ids:note=x", "--", "del-port", "t3", "--", "del-fail-mode", "br-int"),
        *("--", "set", "Bridge", "br-int", "other_config:mac-table-size=9"),
        *("--", "del-controller", "br-int", "--", "clear", "Bridge", "br-int", "flow_tables"),
    )
    assert plan(ROWS, host.replica)
    host.bring_about(ROWS)
    assert not plan(ROWS, host.replica)
    interface = next(row for row in host.replica.table("Interface").values() if row["name"] == "t2")
    assert interface["options"]["remote_ip"] == "192.0.2.2"
    assert interface["external_ids"]["note"] == "x"
    (bridge,) = host.replica.table("Bridge").values()
    assert bridge["other_config"]["mac-table-size"] == "9"
    assert len(bridge["ports"]) == 3


def test_a_racing_writer_is_not_overwritten(database, host):
    todo = plan(ROWS, host.replica)
    database.vsctl("--no-wait", "add-br", "br-int")
    with pytest.raises(OvsdbError, match="timed out"):
        host.client.transact(DATABASE, todo.operations)
    database.vsctl("--no-wait", "del-br", "br-int")
    host.bring_about(ROWS)
    todo = plan(HostRows("br-int", "netdev", 0x11, "unix:/run/x"), host.replica)
    database.vsctl("--no-wait", "set", "Bridge", "br-int", "other_config:theirs=1")
    with pytest.raises(OvsdbError, match="timed out"):
        host.client.transact(DATABASE, todo.operations)
    assert "theirs=" in database.vsctl("get", "Bridge", "br-int", "other_config")


def test_a_port_that_stopped_being_ours_is_not_removed(database, host):
    host.bring_about(ROWS)
    todo = plan(HostRows("br-int", "netdev", 0x10, "unix:/run/x"), host.replica)
    database.vsctl("--no-wait", "remove", "Port", "t2", "external_ids", "vneter-owner")
    with pytest.raises(OvsdbError, match="timed out"):
        host.client.transact(DATABASE, todo.operations)
    assert "t2" in database.vsctl("list-ports", "br-int")


def test_tunnels_that_an_intent_may_lack_by_mistake_stay(database, host):
    host.bring_about(ROWS)
    fewer = replace(ROWS, tunnels=(tunnel(2), tunnel(4)), table_names=("classify",))
    host.bring_about(fewer, keep_tunnels=True)
    assert sorted(database.vsctl("list-ports", "br-int").split()) == ["t2", "t3", "t4"]
    assert not plan(fewer, host.replica, keep_tunnels=True)
    host.bring_about(fewer)
    assert sorted(database.vsctl("list-ports", "br-int").split()) == ["t2", "t4"]


def test_a_database_that_was_never_initialised(database):
    uninitialised = Host(database.remote)
    with uninitialised.client, pytest.raises(SouthboundError, match="init"):
        plan(ROWS, uninitialised.replica)


def test_bfd_goes_at_the_pace_that_is_set(host, database):
    host.bring_about(ROWS, bfd_interval=40)
    assert database.vsctl("get", "Interface", "t2", "bfd:min_tx").strip() == '"40"'
    host.bring_about(ROWS)
    assert database.vsctl("get", "Interface", "t2", "bfd:min_rx").strip() == '"100"'


def test_what_interfaces_are_for_is_read(host, database):
    host.bring_about(ROWS)
    words = []
    for name, kind, ids in (
        ("eth7", "system", ""), ("veth1", "", "external_ids:iface-id=red/a"),
        ("cable", "patch", "options:peer=elsewhere"), ("inner", "internal", ""),
        ("theirs", "vxlan", "options:remote_ip=192.0.2.99"),
    ):  # fmt: skip
        words += ["--", "add-port", "br-int", name, "--", "set", "interface", name]
        words += [f"type={kind}" if kind else 'type=""', *([ids] if ids else [])]
    database.vsctl("--no-wait", *words[1:])
    seen = observe.interfaces(host.replica, "br-int")
    assert seen.plain == {"eth7", "cable"}
    assert seen.endpoints == {"veth1"}
    assert {t.name: t.flaps for t in observe.tunnels(host.replica, "br-int")} == {"t2": 0, "t3": 0}
    database.vsctl("--no-wait", "set", "Interface", "t2", "bfd_status:flap_count=3",
                   "bfd_status:state=down")  # fmt: skip
    database.vsctl("--no-wait", "set", "Interface", "t3", "bfd_status:flap_count=many")
    assert [t.flaps for t in observe.tunnels(host.replica, "br-int")] == [3, 0]


def test_bfd_runs_where_wires_begin_and_only_where_nobody_else_wants_it(database, host):
    host.bring_about(ROWS)
    for name, more in (("w1", ()), ("w2", ("bfd:enable=false",)), ("p1", ("type=patch",))):
        database.vsctl("--no-wait", "add-port", "br-int", name)
        database.vsctl("--no-wait", "set", "Interface", name, "external_ids:mine=1", *more)
    host.bring_about(replace(ROWS, watched=("w1", "w2", "p1")))

    def seen(name):
        words = ("--bare", "--columns=bfd,external_ids", "list", "Interface", name)
        return database.vsctl(*words).split()

    assert seen("w1") == ["enable=true", "min_rx=100", "min_tx=100", "mine=1", "vneter-bfd=true"]
    assert seen("w2") == ["enable=false", "mine=1"]
    assert seen("p1") == ["mine=1"]
    assert not plan(replace(ROWS, watched=("w1", "w2", "p1")), host.replica)
    host.bring_about(ROWS, keep_tunnels=True)
    assert "vneter-bfd=true" in seen("w1")
    host.bring_about(ROWS)
    assert seen("w1") == ["mine=1"]
