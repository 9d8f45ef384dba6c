# SPDX-License-Identifier: Apache-2.0
"""Every case of ``cases/``, on compiled flows: what the simulator says is what is expected."""

from ipaddress import ip_address

import pytest
from case_files import Case, Row, connection, load

from vneter_sdn.compile.facts import RESOLVED
from vneter_sdn.compile.query import Fact
from vneter_sdn.daemon.offline import OfflineResult, compile_manifests
from vneter_sdn.kubernetes.cluster import stand_in
from vneter_sdn.kubernetes.door import native
from vneter_sdn.model.snapshot import Key
from vneter_sdn.simulate.attempts import Attempt, Wanted, between, inwards, numbers_of, outwards
from vneter_sdn.simulate.fleet import Fleet, join
from vneter_sdn.simulate.meaning import Meaning, Station, meaning_of

CASES = load()


class Compiled:
    """A case's manifests, compiled."""

    def __init__(self, case: Case) -> None:
        self.offline: OfflineResult = compile_manifests(stand_in(native(case.manifests).manifests))
        compiler = self.offline.compiler
        compiler.update({Fact(RESOLVED, name): found for name, found in case.domains.items()})
        hosts = compiler.hosts()
        self.fleet: Fleet = join(
            {host: compiler.bridge(host) for host in hosts},
            {host: compiler.rows(host) for host in hosts},
        )
        self.meaning: Meaning = meaning_of(self.offline.snapshot)
        self.stations = {
            key.name.replace(".", "/", 1): station for key, station in self.meaning.stations.items()
        }

    def attempt(self, row: Row) -> Attempt:
        asked = connection(row.port)
        wanted = Wanted(asked.protocol, asked.port, asked.icmp_type, asked.icmp_code, asked.version)
        source, target = self.stations.get(row.source), self.stations.get(row.target)
        if source and target:
            return between(self.fleet, self.meaning, source, target, wanted)
        here: Station = source or target
        numbers = numbers_of(self.offline.snapshot, here.tenant)
        if source:
            return outwards(self.fleet, numbers, source, ip_address(row.target), wanted)
        return inwards(self.fleet, numbers, ip_address(row.source), target, wanted)

    def verdict(self, row: Row) -> str:
        """What became of it; what nobody can say, such as ICMPv6 to 192.0.2.1, is as expected."""
        if row.source == row.target:
            return "allow"
        if not _sayable(row):
            return row.verdict
        attempt = self.attempt(row)
        if attempt.allowed:
            return "allow"
        here = self.stations.get(row.source) or self.stations[row.target]
        rules = self.offline.compiler.rules(here.tenant)
        verdicts = [rules[n].verdict for n in attempt.decided.values() if n in rules]
        return "reject" if "reject" in verdicts else "deny"


def _sayable(row: Row) -> bool:
    asked = connection(row.port)
    versions = {ip_address(end).version for end in (row.source, row.target) if "/" not in end}
    wanted = {asked.version} if asked.version else set()
    if asked.protocol in (1, 58):
        wanted.add(4 if asked.protocol == 1 else 6)
    return len(versions | wanted) <= 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_matrix_is_as_expected(case: Case) -> None:
    compiled = Compiled(case)
    assert not compiled.offline.compiler.clashes
    wrong = []
    for row in case.rows():
        found = compiled.verdict(row)
        if found != row.verdict:
            wrong.append(f"{row} but {found}")
    assert not wrong, "\n".join(wrong[:10])


def test_a_key_is_a_key() -> None:
    assert Key("Endpoint", "cluster", "x.a").name.replace(".", "/", 1) == "x/a"
