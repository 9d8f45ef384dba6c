# SPDX-License-Identifier: Apache-2.0
"""What the controller does for the edges of networks, as one part of the core.

Questions of endpoints (DHCP, DNS, routers) and what gateways say unasked; errors about packets that
cannot be forwarded; counts of what endpoints try that they may not.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.registry import Collector
from vneter_sdn_apps.edge import Edge as EdgeApp
from vneter_sdn_apps.edge import Names
from vneter_sdn_apps.icmp_errors import IcmpErrors

from vneter_sdn.config import Settings
from vneter_sdn.daemon.advertiser import Advertiser
from vneter_sdn.daemon.edge import Edge, telling
from vneter_sdn.daemon.policing import Policing
from vneter_sdn.daemon.refused import Refusals
from vneter_sdn.daemon.resolver import Resolver
from vneter_sdn.edge import advertising, dhcp4, dhcp6
from vneter_sdn.edge.fairness import Allowance
from vneter_sdn.edge.ledger import Ledger
from vneter_sdn.engine.port import Event
from vneter_sdn.model.snapshot import Delta, Snapshot
from vneter_sdn.pipeline.punts import Service
from vneter_sdn.southbound.openflow.apphost import AppHost
from vneter_sdn.southbound.openflow.bridges import OpenFlowBridges
from vneter_sdn.telemetry.edge_metrics import ComplaintsCollector, RefusedCollector
from vneter_sdn.telemetry.metrics import EdgeCollector, OutcomesCollector


class EdgeServices:
    """Answers endpoints, for one process.

    Args:
        bridges: OpenFlow.
        settings: whose names are asked elsewhere, and how often counts are read.
        deliver: takes events for the engine; must not block.
        policing: its rules learn from answers of DNS; names hosts by datapath id.
    """

    def __init__(
        self,
        bridges: OpenFlowBridges,
        settings: Settings,
        deliver: Callable[[Event], None],
        policing: Policing,
    ) -> None:
        self._policing = policing
        self._refusals = Refusals(bridges, settings, deliver)
        self._ledger = Ledger()
        self._advertiser = Advertiser(bridges, self._ledger)
        self._resolver = Resolver(self._ledger, settings.dns_upstreams, policing.answers.ours)
        responders = {
            Service.DHCP: telling(dhcp4.respond),
            Service.DNS: self._resolver,
            Service.DHCPV6: telling(dhcp6.respond),
            Service.ROUTER: telling(advertising.respond),
        }
        self._edge = Edge(bridges, self._ledger, responders, time.monotonic, policing.traced)
        self._complaints: Counter[tuple[str, str]] = Counter()

    def start(self, apps: AppHost) -> None:
        """Hear what bridges punt."""
        apps.start(EdgeApp, session=self._edge)
        apps.start(Names, session=self._edge)
        apps.start(IcmpErrors, counts=self._complaints, may=Allowance(time.monotonic).may)

    def stored(self, snapshot: Snapshot, delta: Delta | None) -> None:
        """The store is at this, and policing knows. ``delta``: what changed, None for all."""
        hosts: Mapping[int, str] = self._policing.hosts
        self._ledger.stored(snapshot, delta)
        self._refusals.stored(snapshot, delta, hosts)
        self._advertiser.stored(snapshot, delta, hosts)

    def tasks(self) -> Iterator[Callable[[], None]]:
        """What runs for ever, each in a greenthread of its own."""
        yield from (self._refusals.run, self._advertiser.run)

    def collectors(self) -> Iterator[Collector]:
        """What is measured of it."""
        yield EdgeCollector(self._edge.counts)
        yield ComplaintsCollector(self._complaints)
        yield RefusedCollector(self._refusals.totals)
        yield OutcomesCollector(
            "vneter_router_advertisements", "That nobody asked for.", self._advertiser.counts
        )
        yield OutcomesCollector(
            "vneter_dns_forwarded", "Questions asked elsewhere.", self._resolver.counts
        )
