# SPDX-License-Identifier: Apache-2.0
"""Independent readers of what we write: ovsdbapp for rows, the ovs package for schema and flows."""

import re
import uuid
from pathlib import Path

import ovs.db.schema
import ovs.json
import pytest
from ovs.flow.ofp import OFPFlow
from ovsdbapp.backend.ovs_idl import connection
from ovsdbapp.schema.open_vswitch import impl_idl

from vneter_sdn.daemon.offline import compile_manifests
from vneter_sdn.model.rows import HostRows, TunnelPort
from vneter_sdn.northbound.manifests import read_path
from vneter_sdn.ovsdb.client import Client
from vneter_sdn.ovsdb.replica import Replica
from vneter_sdn.southbound.ovsdb.plan import plan
from vneter_sdn.southbound.ovsdb.watched import DATABASE, WATCHED
from vneter_sdn.store import schema

SCENARIOS = sorted(Path(__file__).parents[2].glob("flows/scenarios/*/intent.yaml"))
TUNNEL = TunnelPort("t2", "geneve", "192.0.2.1", "192.0.2.2", 0x8002, "h2")
ROWS = HostRows("br-int", "dummy", 0xABC, "unix:/nonexistent/x", (TUNNEL,), ("classify", "output"))


@pytest.fixture
def switch(database):
    """The database with a vswitchd."""
    database.start_switch()
    return database


@pytest.fixture
def ovsdbapp(switch):
    """ovsdbapp's own client of the same database."""
    idl = connection.OvsdbIdl.from_server(switch.remote, "Open_vSwitch")
    link = connection.Connection(idl=idl, timeout=10)
    yield impl_idl.OvsdbIdl(link)
    assert link.stop(10)


def write(database, rows):
    client = Client(database.remote)
    found = client.monitor(DATABASE, WATCHED)
    replica = Replica(client.watched(DATABASE))
    replica.apply(found)
    client.transact(DATABASE, plan(rows, replica).operations)
    client.close()


def catch_up(ovsdbapp):
    """A transaction of its own ends only after it has heard of every earlier one."""
    mark = ("external_ids", {"heard": uuid.uuid4().hex})
    ovsdbapp.db_set("Open_vSwitch", ".", mark).execute(check_error=True)


@pytest.mark.ovs
def test_ovsdbapp_reads_what_we_write_and_what_it_writes_beside_us_stays(switch, ovsdbapp):
    write(switch, ROWS)
    catch_up(ovsdbapp)
    assert ovsdbapp.list_br().execute(check_error=True) == ["br-int"]
    assert ovsdbapp.list_ports("br-int").execute(check_error=True) == ["t2"]
    assert ovsdbapp.get_controller("br-int").execute(check_error=True) == [ROWS.controller]
    assert ovsdbapp.db_get("Bridge", "br-int", "fail_mode").execute(check_error=True) == "secure"
    options = ovsdbapp.db_get("Interface", "t2", "options").execute(check_error=True)
    assert options["remote_ip"] == TUNNEL.remote_ip

    ovsdbapp.add_port("br-int", "theirs").execute(check_error=True)
    ovsdbapp.db_set("Interface", "theirs", ("external_ids", {"somebody": "else"})).execute(
        check_error=True
    )
    write(switch, HostRows("br-int", "dummy", 0xABC, "unix:/nonexistent/y"))
    catch_up(ovsdbapp)
    assert ovsdbapp.list_ports("br-int").execute(check_error=True) == ["theirs"]
    found = ovsdbapp.db_get("Interface", "theirs", "external_ids").execute(check_error=True)
    assert found == {"somebody": "else"}


def test_the_stores_schema_is_one_for_open_vswitch_too():
    parsed = ovs.db.schema.DbSchema.from_json(ovs.json.from_string(schema.PATH.read_text()))
    assert parsed.name == schema.DATABASE
    assert {"Object", "Allocation", "Binding", "Status", "Revision"} <= set(parsed.tables)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.parent.name)
def test_open_vswitchs_own_parser_reads_every_published_flow(scenario):
    documents = [document.value for document in read_path(scenario.parent)]
    files = compile_manifests(documents).files()
    numeric = [text for name, text in files.items() if name.endswith(".numeric.flows")]
    lines = [line for text in numeric for line in text.splitlines() if line and line[0] != "#"]
    assert lines
    for line in lines:
        flow = OFPFlow(re.sub(r"^cookie=(\w+),table=(\d+),", r"cookie=\1, table=\2, ", line))
        assert flow.match["priority"] > 0
        assert flow.actions
