# SPDX-License-Identifier: Apache-2.0
"""Shortest paths over any graph of bridges: loops are used, not feared.

LLDP finds the links (os-ken's topology app), networkx the paths. What has to reach everybody, as
ARP does, follows a spanning tree; what has one receiver follows the shortest path, and another as
soon as a link goes. Hosts are learned at ports without a link behind them: table 0 asks about
senders that are new, table 1 knows the way to each destination::

    vneterctl run --observe-links apps/shortest_path.py
"""

from __future__ import annotations

import time
from typing import Any

import networkx as nx
from os_ken.base.app_manager import OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_3
from os_ken.topology import event as topology
from os_ken.topology.api import get_switch  # noqa: F401 - has the topology app loaded

QUIET = 3.0
"""Seconds a port must exist without LLDP from a bridge before hosts are believed behind it."""
Place = tuple[int, int]
"""Datapath id and port number."""
Rule = tuple[int, tuple[tuple[str, Any], ...]]
"""Datapath id and what is matched."""


class ShortestPath(OSKenApp):
    """One graph, one tree towards each host."""

    OFP_VERSIONS = (ofproto_v1_3.OFP_VERSION,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.graph = nx.DiGraph()
        """Datapath ids; an edge's ``port`` is where it leaves."""
        self.datapaths: dict[int, Any] = {}
        self.since: dict[Place, float] = {}
        self.hosts: dict[bytes, Place] = {}
        self.installed: dict[Rule, int] = {}
        """What every flow does: 0 has table 1 look on (in table 0), else the output port."""

    @set_ev_cls(topology.EventSwitchEnter)
    def entered(self, event: Any) -> None:
        """A bridge came: it starts without flows, and asks about every packet."""
        datapath, number = event.switch.dp, event.switch.dp.id
        self.datapaths[number] = datapath
        self.graph.add_node(number)
        for port in event.switch.ports:
            self.since[number, port.port_no] = time.monotonic()
        self.installed = {key: port for key, port in self.installed.items() if key[0] != number}
        for table in (0, 1):
            self._flow(datapath, table, (), datapath.ofproto.OFPP_CONTROLLER)
        self._route()

    @set_ev_cls(topology.EventSwitchLeave)
    def left(self, event: Any) -> None:
        """A bridge went."""
        number = event.switch.dp.id
        self.datapaths.pop(number, None)
        self.graph.remove_nodes_from([number])
        self.hosts = {who: at for who, at in self.hosts.items() if at[0] != number}
        self._route()

    @set_ev_cls([topology.EventPortAdd, topology.EventPortModify])
    def port_came(self, event: Any) -> None:
        """A port may lead to a bridge that is yet to be found."""
        self.since[event.port.dpid, event.port.port_no] = time.monotonic()

    @set_ev_cls(topology.EventLinkAdd)
    def link_found(self, event: Any) -> None:
        """There is another way."""
        source, target = event.link.src, event.link.dst
        self.graph.add_edge(source.dpid, target.dpid, port=source.port_no)
        ends = {(source.dpid, source.port_no), (target.dpid, target.port_no)}
        self.hosts = {who: at for who, at in self.hosts.items() if at not in ends}
        self._route()

    @set_ev_cls(topology.EventLinkDelete)
    def link_lost(self, event: Any) -> None:
        """There is one way less."""
        ends = (event.link.src.dpid, event.link.dst.dpid)
        self.graph.remove_edges_from([ends, ends[::-1]])
        self._route()

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def heard(self, event: Any) -> None:
        """Learn where the sender is; send the packet on, one bridge further."""
        msg, here = event.msg, event.msg.datapath.id
        came_by, target, sender = msg.match["in_port"], msg.data[:6], msg.data[6:12]
        if len(msg.data) < 14 or target.startswith(b"\x01\x80\xc2\0\0"):
            return  # for the next bridge alone, as LLDP is
        at_edge = self._is_edge(here, came_by)
        if at_edge and self.hosts.get(sender) != (here, came_by):
            self.hosts[sender] = (here, came_by)
            self._route()
        port = self.installed.get((here, towards(target)))
        ports = [port] if port is not None else self._flood_ports(here)
        if at_edge or came_by in self._tree_ports(here) or port is not None:
            self._send(msg, [number for number in ports if number != came_by])

    def _is_edge(self, here: int, port: int) -> bool:
        linked = any(data["port"] == port for *_, data in self.graph.out_edges(here, data=True))
        quiet = time.monotonic() - self.since.get((here, port), time.monotonic())
        return not linked and quiet >= QUIET

    def _tree_ports(self, here: int) -> list[int]:
        """Ports of a spanning tree, the same one at every bridge."""
        tree = nx.minimum_spanning_edges(self.graph.to_undirected(reciprocal=True), data=False)
        ends = (pair for pair in tree if here in pair)
        return [self.graph.edges[here, two if one == here else one]["port"] for one, two in ends]

    def _flood_ports(self, here: int) -> list[int]:
        ports = (port for bridge, port in self.since if bridge == here)
        return [port for port in ports if self._is_edge(here, port)] + self._tree_ports(here)

    def _route(self) -> None:
        """Bring flows to what the graph and the hosts now ask for. O(hosts · (V + E))."""
        wanted: dict[Rule, int] = {}
        for here, _, data in self.graph.edges(data=True):
            wanted[here, (("in_port", data["port"]),)] = 0
        for who, (bridge, port) in self.hosts.items():
            wanted[bridge, (("in_port", port), ("eth_src", who.hex(":")))] = 0
            for here, path in nx.single_target_shortest_path(self.graph, bridge).items():
                last = len(path) == 1
                by = port if last else self.graph.edges[path[0], path[1]]["port"]
                wanted[here, towards(who)] = by
        for (here, match), port in wanted.items() - self.installed.items():
            self._flow(self.datapaths[here], 1 if port else 0, match, port)
        for here, match in self.installed.keys() - wanted.keys():
            if here in self.datapaths:
                self._unflow(self.datapaths[here], match)
        self.installed = wanted

    def _flow(
        self, datapath: Any, table: int, match: tuple[tuple[str, Any], ...], port: int
    ) -> None:
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        output = [parser.OFPActionOutput(port, ofproto.OFPCML_NO_BUFFER)]
        does = parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, output)
        if not port:
            does = parser.OFPInstructionGotoTable(1)
        fields = {"table_id": table, "priority": len(match)}
        match = parser.OFPMatch(**dict(match))
        datapath.send_msg(parser.OFPFlowMod(datapath, match=match, instructions=[does], **fields))

    def _unflow(self, datapath: Any, match: tuple[tuple[str, Any], ...]) -> None:
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        fields = {"command": ofproto.OFPFC_DELETE_STRICT, "table_id": ofproto.OFPTT_ALL}
        anywhere = {"out_port": ofproto.OFPP_ANY, "out_group": ofproto.OFPG_ANY}
        fields |= {"priority": len(match)}
        match = parser.OFPMatch(**dict(match))
        datapath.send_msg(parser.OFPFlowMod(datapath, match=match, **fields, **anywhere))

    def _send(self, msg: Any, ports: list[int]) -> None:
        datapath, parser = msg.datapath, msg.datapath.ofproto_parser
        actions = [parser.OFPActionOutput(port) for port in ports]
        nothing = datapath.ofproto.OFP_NO_BUFFER
        source = msg.match["in_port"]
        datapath.send_msg(parser.OFPPacketOut(datapath, nothing, source, actions, msg.data))


def towards(who: bytes) -> tuple[tuple[str, Any], ...]:
    """The match of a destination."""
    return (("eth_dst", who.hex(":")),)
