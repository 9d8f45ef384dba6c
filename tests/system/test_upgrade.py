# SPDX-License-Identifier: Apache-2.0
"""Another release on the same state: what is the same is not touched, what differs goes at once."""

import re
from collections import Counter

import pytest

from vneter_sdn.fleet.probe import Method, probe
from vneter_sdn.fleet.stream import Stream
from vneter_sdn.pipeline.cookies import GENERATION, is_ours
from vneter_sdn.pipeline.tables import STEP, TABLES

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]
HOSTS = ("h1", "h2")
RATE = 500


@pytest.fixture(scope="module", autouse=True)
def network(fleet):
    fleet.up(len(HOSTS))
    fleet.alike("red", "blue")
    fleet.attach(
        *(
            (tenant, f"{network}{number}", network, f"h{number}")
            for tenant in ("red", "blue")
            for network in ("web", "db")
            for number in (1, 2)
        )
    )
    assert everything_agrees(fleet)  # and every neighbour is known


def everything_agrees(fleet):
    return not probe(list(fleet.records.values()), Method(tcp=(80,), udp=(53,))).differences


def flows(fleet, host):
    """What a bridge holds: by cookie, table, and match; how long it has been there, in seconds."""
    found = {}
    for line in fleet.ofctl(host, "dump-flows", "--no-names").splitlines():
        held = re.match(r" cookie=(\S+), duration=([\d.]+)s, table=(\d+), .*?(priority=.*)", line)
        if held and is_ours(int(held[1], 16)):
            found[int(held[1], 16), int(held[3]), held[4]] = float(held[2])
    return found


def places(found):
    """Where flows are: table, priority and match."""
    return {(table, text.partition(" actions=")[0]) for _, table, text in found}


def upgrade(fleet, package):
    """Kill the controller under load and start another release; what its log says of each host."""
    controller = fleet.controller
    stream = Stream(fleet.records["red/web1"], fleet.records["red/db2"], rate=RATE).start()
    assert stream.await_flow()
    since = controller.log_length()
    controller.kill()
    controller.start(package=package)
    controller.await_log(": in sync; ", len(HOSTS), since)
    controller.await_synced(HOSTS)
    report = stream.stop()
    assert report.sent > RATE
    assert (report.lost, report.duplicates, report.refused) == (0, 0, 0)
    log = controller.log.read_text(errors="replace")[since:]
    return dict(re.findall(r"\"(\S+): in sync; ([^\"]*)\"", log))


def test_a_generation_that_only_has_another_number_touches_nothing(fleet, release):
    before = {host: flows(fleet, host) for host in HOSTS}
    said = upgrade(fleet, release(STEP, GENERATION + 1))
    assert said == dict.fromkeys(HOSTS, "nothing had to change")
    for host in HOSTS:
        after = flows(fleet, host)
        assert after.keys() == before[host].keys()
        assert all(after[key] > seconds for key, seconds in before[host].items())


@pytest.mark.parametrize(
    ("step", "generation"), [(STEP + 1, GENERATION + 2), (STEP, GENERATION + 3)]
)
def test_tables_that_are_renumbered_change_places_in_one_bundle(fleet, release, step, generation):
    before = {host: flows(fleet, host) for host in HOSTS}
    said = upgrade(fleet, release(step, generation))
    renumbered = {t.id // STEP * step for t in TABLES}
    for host in HOSTS:
        after = flows(fleet, host)
        done = Counter({word: int(n) for n, word in re.findall(r"(\d+) (\w+) flow", said[host])})
        stayed = places(after) & places(before[host])  # table 0, and numbers that both have
        assert done["add"] == len(after) - len(stayed) == done["delete"]
        assert len(after) == len(before[host])
        assert {table for _, table, _ in after} <= renumbered
        made = [one for one in after if not places([one]) & stayed]
        assert all(cookie >> 48 & 0xFF == generation for cookie, _, _ in made)
    assert everything_agrees(fleet)
