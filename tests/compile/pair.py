# SPDX-License-Identifier: Apache-2.0
"""A bridge with two endpoints of a network, compiled; packets of theirs run through it."""

from __future__ import annotations

from ipaddress import ip_address

from vneter_sdn.compile.features.refused import counted
from vneter_sdn.compile.network import compile_snapshot
from vneter_sdn.model.addresses import mac_number
from vneter_sdn.model.snapshot import Binding, Key, Pools
from vneter_sdn.pipeline import punts
from vneter_sdn.pipeline.punts import Asked
from vneter_sdn.simulate.bridge import Surroundings, run
from vneter_sdn.store.memory import MemoryStore
from vneter_sdn.store.port import Edit


def edit(kind, name, within="", labels=None, **spec):
    metadata = {"name": name, "labels": labels or {}} | ({"tenant": within} if within else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Edit("apply", Key(kind, within, name), manifest)


class Bridge:
    """One with endpoints ``a`` and ``b`` of a network, at ports 1 and 2."""

    def __init__(self, *more, **options):
        store = MemoryStore()
        endpoints = [edit("Endpoint", n, "red", {"name": n}, network="net") for n in ("a", "b")]
        options = {"prefixes": ["10.0.0.0/24", "fd00::/64"], **options}
        network = edit("Network", "net", "red", **options)
        host = edit("Host", "h1", datapathId=f"{1:016x}")
        store.apply([host, edit("Tenant", "red"), network, *endpoints, *more], author="test")
        keys = [Key("Endpoint", "red", n) for n in ("a", "b")]
        store.bind([Binding(key, "h1", f"v{n}", n, n) for n, key in enumerate(keys, 1)])
        self.snapshot = store.snapshot()
        self.state = compile_snapshot(self.snapshot).bridge("h1")
        network = Key("Network", "red", "net")
        macs = self.held(Pools.mac(network))
        self.mac, self.peer, self.gateway_mac = (mac_number(macs[str(k)]) for k in (*keys, network))
        self.own = ip_address(self.held(Pools.address(network, "10.0.0.0/24"))[str(keys[0])])
        self.peers = ip_address(self.held(Pools.address(network, "10.0.0.0/24"))[str(keys[1])])
        self.own6 = ip_address(self.held(Pools.address(network, "fd00::/64"))[str(keys[0])])

    def held(self, pool):
        found = self.snapshot.allocations.items()
        return {one.owner: one.value for (of, _), one in found if of == pool}

    def asked(self, packet, port=1):
        """What the controller is asked, and where else the packet goes."""
        found = run(self.state, packet.at(port), Surroundings())
        assert not found.ambiguities
        said = [punts.decode(one.action.userdata) for one in found.punts]
        asked = [one for one in said if isinstance(one, Asked)]
        assert not (asked and found.outputs), "what is asked goes nowhere else"
        return [one.service for one in asked], [sent.port for sent in found.outputs]

    def refused(self, packet, port=1):
        """What it is counted as, of what an endpoint may not send; None where that is counted not.

        Nothing of it goes anywhere.
        """
        found = run(self.state, packet.at(port), Surroundings())
        assert not found.ambiguities
        kinds = [told[1] for _, flow in found.trail if (told := counted(flow.key))]
        assert not (kinds and (found.outputs or found.punts))
        return kinds[0] if kinds else None
