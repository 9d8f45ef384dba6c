# SPDX-License-Identifier: Apache-2.0
"""Processes that die and parts that fail: nothing acknowledged is lost, and the rest goes on."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import vneter_sdn_apps

import vneter_sdn
from vneter_sdn.client import Client
from vneter_sdn.errors import SessionClosed, StoreUnavailable
from vneter_sdn.fleet.controller import answers
from vneter_sdn.ovsdb.client import Client as OvsdbClient
from vneter_sdn.store import schema

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(180)]
CLIENTS = 4


class Applying:
    """Clients that apply one object after the other, and remember what was acknowledged."""

    def __init__(self, controller, system):
        self.controller, self.system = controller, system
        self.acknowledged, self.refused = [], []
        self.broken = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.await_more()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def await_more(self, seconds=60):
        """Wait until every client was answered well twice from now on."""
        before = Counter(name.split("-")[0] for name in list(self.acknowledged))
        self.system.until(
            lambda: all(
                Counter(name.split("-")[0] for name in list(self.acknowledged))[f"c{n}"]
                >= before[f"c{n}"] + 2
                for n in range(CLIENTS)
            ),
            seconds,
            "more acknowledgements",
        )

    def _work(self, client_number):
        client, count = Client(self.controller.server), 0
        while not self._stop.is_set():
            name, count = f"c{client_number}-{count}", count + 1
            try:
                client.apply([self.system.manifest("Tenant", name)])
            except StoreUnavailable as away:
                self.refused.append(str(away))
                time.sleep(0.05)
            except Exception as error:  # noqa: BLE001 - whatever it is, it should not be
                self.broken.append(repr(error))
            else:
                self.acknowledged.append(name)

    def check(self):
        """Nothing acknowledged is lost, and clients saw no error but that of a lost store."""
        assert self.broken == []
        held = {item["metadata"]["name"] for item in self.controller.client.list("Tenant")}
        assert set(self.acknowledged) - held == set()


@pytest.fixture
def lone(make_controller, make_switch, system):
    """A controller with one switch, and one endpoint on it."""
    controller, switch = make_controller(), make_switch()
    controller.start()
    declare(controller, system, switch)
    return controller, switch


def declare(controller, system, switch):
    controller.client.apply([
        system.manifest("Host", "h1", ovsdb=switch.ovsdb, datapathType="dummy",
                        tunnelAddresses=["127.0.0.1"], underlayMtu=1600),
        system.manifest("Tenant", "red"),
        system.manifest("Network", "web", "red", prefixes=["10.0.0.0/24"]),
    ])  # fmt: skip
    controller.await_synced(["h1"])
    serves(controller, system, switch, "first")


def serves(controller, system, switch, name):
    """The whole way still works: a new endpoint becomes ready."""
    controller.client.apply([system.manifest("Endpoint", name, "red", network="web")])
    switch.attach(f"red/{name}")
    controller.client.wait("Endpoint", "red", name, timeout=30)


def await_connected(switch, system):
    """Open vSwitch says so every few seconds."""
    system.until(
        lambda: switch.vsctl("get", "Controller", ".", "is_connected") == "true",
        what="the connection",
    )


@pytest.mark.parametrize("word", ["ovsdb-server", "daemon.api", "daemon.core"])
def test_a_process_that_dies_is_started_again_and_nothing_acknowledged_is_lost(lone, system, word):
    controller, switch = lone
    others = set(controller.pids()) - {controller.child(word)}
    with Applying(controller, system) as applying:
        for _ in range(2):
            old = controller.child(word)
            os.kill(old, signal.SIGKILL)
            system.until(lambda old=old: controller.child(word) not in (None, old), what="another")
            applying.await_more()
    applying.check()
    assert set(controller.pids()) >= others
    serves(controller, system, switch, "later")


def ask(controller, method, path, body=None):
    host, _, port = controller.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        words = {"Content-Type": "application/json"}
        connection.request(method, path, body and json.dumps(body), words)
        reply = connection.getresponse()
        return reply.status, reply.getheader("Content-Type"), reply.read()
    finally:
        connection.close()


def test_without_its_database_the_api_says_so_and_the_core_goes_on(lone, system):
    controller, switch = lone
    core, before = controller.child("daemon.core"), switch.flows()
    os.kill(controller.process.pid, signal.SIGSTOP)  # or it would be there again at once
    try:
        os.kill(controller.child("ovsdb-server"), signal.SIGKILL)
        tenant = system.manifest("Tenant", "blue")
        status, kind, text = ask(controller, "POST", "/v1/apply", {"objects": [tenant]})
        assert (status, kind.partition(";")[0]) == (503, "application/problem+json")
        problem = json.loads(text)
        assert problem["status"] == 503
        assert ask(controller, "GET", "/readyz")[0] == 503
        await_connected(switch, system)
        assert switch.flows() == before
    finally:
        os.kill(controller.process.pid, signal.SIGCONT)
    system.until(lambda: answers(controller.server), what="readiness")
    assert controller.child("daemon.core") == core
    serves(controller, system, switch, "later")


POISON = """

_take = Compiler.take


def _poisoned(self, snapshot, delta):
    if Key("Tenant", "", "poison") in snapshot.objects:
        raise RuntimeError("poisoned")
    return _take(self, snapshot, delta)


Compiler.take = _poisoned
"""


def test_an_engine_that_fails_leaves_bridges_served_and_is_renewed(
    make_controller, make_switch, system, tmp_path
):
    for package in (vneter_sdn, vneter_sdn_apps):
        shutil.copytree(Path(package.__file__).parent, tmp_path / package.__name__)
    with (tmp_path / "vneter_sdn" / "compile" / "network.py").open("a") as file:
        file.write(POISON)
    controller, switch = make_controller(), make_switch()
    controller.start(package=tmp_path)
    declare(controller, system, switch)
    core, before, since = controller.child("daemon.core"), switch.flows(), controller.log_length()
    controller.client.apply([system.manifest("Tenant", "poison")])
    controller.await_log("the engine starts over", 2, since)
    await_connected(switch, system)
    assert switch.flows() == before
    controller.client.delete("Tenant", "", "poison")
    serves(controller, system, switch, "later")
    assert controller.child("daemon.core") == core
    assert "bridge went away" not in controller.log.read_text()[since:]


class Cluster:
    """Three database servers that talk RAFT over unix sockets."""

    def __init__(self, where: Path, system):
        self.where, self.servers = where, {}
        for number in range(3):
            self._create(number)
            self.servers[number] = subprocess.Popen(
                ["ovsdb-server", f"--remote=punix:{self.path(number)}", "--unixctl=none",
                 "--no-chdir", "-vconsole:off", "-vsyslog:off", str(where / f"{number}.db")],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            system.until(self.path(number).exists)
        system.until(lambda: self.leader() is not None, what="a leader")

    def _create(self, number):
        database, mine = str(self.where / f"{number}.db"), f"unix:{self.where}/{number}.raft"
        words = ["create-cluster", database, str(schema.PATH), mine]
        if number:
            first = f"unix:{self.where}/0.raft"
            words = ["join-cluster", database, schema.DATABASE, mine, first]
        subprocess.run(["ovsdb-tool", *words], check=True, timeout=30)

    def path(self, number):
        return self.where / f"{number}.sock"

    @property
    def remotes(self):
        return ",".join(f"unix:{self.path(number)}" for number in self.servers)

    def leader(self):
        for number, server in self.servers.items():
            try:
                if server.poll() is None and self._leads(number):
                    return number
            except (SessionClosed, StoreUnavailable):
                continue
        return None

    def _leads(self, number):
        query = {"op": "select", "table": "Database", "columns": ["leader"],
                 "where": [["name", "==", schema.DATABASE]]}  # fmt: skip
        with OvsdbClient(f"unix:{self.path(number)}") as client:
            client.get_schema("_Server")
            (found, *_) = client.transact("_Server", [query])
            return bool(found.rows and found.rows[0]["leader"])

    def stop(self):
        for server in self.servers.values():
            server.kill()
            server.wait()


def test_a_cluster_that_loses_its_leader_goes_on_and_loses_nothing(
    make_controller, make_switch, system
):
    controller, switch = make_controller(), make_switch()
    cluster = Cluster(controller.scratch, system)
    try:
        controller.start("--db", cluster.remotes)
        declare(controller, system, switch)
        with Applying(controller, system) as applying:
            leader = cluster.leader()
            cluster.servers[leader].kill()
            cluster.servers[leader].wait()
            applying.await_more()
        applying.check()
        assert cluster.leader() not in (None, leader)
        serves(controller, system, switch, "later")
    finally:
        controller.stop()
        cluster.stop()
