# SPDX-License-Identifier: Apache-2.0
"""Several paths at once: connections are spread over the K shortest ones by a select group.

The bridge where a packet enters picks one of the paths by a hash of the connection (the group's
buckets, weighted by how short the path is) and writes the path's number into a VLAN tag; bridges
in between follow the number and hash nothing; the last one takes the tag off. So no packet can be
sent in a circle, whatever the paths are. Everything else is as in `shortest_path`: table 0 asks
about senders that are new, table 1 forwards::

    vneterctl run --observe-links apps/multi_path.py
"""

from __future__ import annotations

import time
from itertools import islice, pairwise
from typing import Any

import networkx as nx
from os_ken.base.app_manager import OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_3
from os_ken.topology import event as topology
from os_ken.topology.api import get_switch  # noqa: F401 - has the topology app loaded

K = 4
"""Paths between two bridges at most."""
QUIET = 3.0
"""Seconds a port must exist without LLDP from a bridge before hosts are believed behind it."""
TAGGED = 0x1000
"""OFPVID_PRESENT (OpenFlow 1.3.5 §7.2.3.7)."""
Place = tuple[int, int]
"""Datapath id and port number."""
Key = tuple[int, bytes, int]
"""Bridge, destination address, and path number: 0 where packets enter without a tag.

For table 0: bridge, source address (none: any), and minus the port."""


class MultiPath(OSKenApp):
    """One graph; towards each host K numbered paths from each bridge."""

    OFP_VERSIONS = (ofproto_v1_3.OFP_VERSION,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.graph = nx.DiGraph()
        """Datapath ids; an edge's ``port`` is where it leaves."""
        self.datapaths: dict[int, Any] = {}
        self.since: dict[Place, float] = {}
        self.hosts: dict[bytes, Place] = {}
        self.groups: dict[Place, tuple[tuple[int, int, int], ...]] = {}
        """(path number, port, weight) of each bucket, by bridge and bridge to reach."""
        self.installed: dict[Key, tuple[Any, ...]] = {}
        """What each flow does."""

    @set_ev_cls(topology.EventSwitchEnter)
    def entered(self, event: Any) -> None:
        """A bridge came: it asks about every packet."""
        datapath, number = event.switch.dp, event.switch.dp.id
        self.datapaths[number] = datapath
        self.graph.add_node(number)
        for port in event.switch.ports:
            self.since[number, port.port_no] = time.monotonic()
        self._forget(number)
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        every = parser.OFPGroupMod(
            datapath, ofproto.OFPGC_DELETE, ofproto.OFPGT_SELECT, ofproto.OFPG_ALL
        )
        datapath.send_msg(every)
        to_us = parser.OFPActionOutput(ofproto.OFPP_CONTROLLER, ofproto.OFPCML_NO_BUFFER)
        apply = parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, [to_us])
        for table in (0, 1):
            self._flow(datapath, parser.OFPMatch(), apply, table_id=table, priority=0)
        self._route()

    @set_ev_cls(topology.EventSwitchLeave)
    def left(self, event: Any) -> None:
        """A bridge went."""
        number = event.switch.dp.id
        self.datapaths.pop(number, None)
        self.graph.remove_nodes_from([number])
        self.hosts = {who: at for who, at in self.hosts.items() if at[0] != number}
        self._forget(number)
        self._route()

    def _forget(self, bridge: int) -> None:
        self.groups = {key: value for key, value in self.groups.items() if key[0] != bridge}
        self.installed = {key: value for key, value in self.installed.items() if key[0] != bridge}

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
        """Learn where the sender is; flood what has no flow along a spanning tree."""
        msg, here = event.msg, event.msg.datapath.id
        came_by, target, sender = msg.match["in_port"], msg.data[:6], msg.data[6:12]
        if len(msg.data) < 14 or target.startswith(b"\x01\x80\xc2\0\0"):
            return  # for the next bridge alone, as LLDP is
        at_edge = self._is_edge(here, came_by)
        if at_edge and self.hosts.get(sender) != (here, came_by):
            self.hosts[sender] = (here, came_by)
            self._route()
        parser, ofproto = msg.datapath.ofproto_parser, msg.datapath.ofproto
        if (here, target, 0) in self.installed:
            # Through the table: there is a flow for it by now.
            actions = [parser.OFPActionOutput(ofproto.OFPP_TABLE)]
        elif at_edge or came_by in self._tree_ports(here):
            ports = (port for port in self._flood_ports(here) if port != came_by)
            actions = [parser.OFPActionOutput(port) for port in ports]
        else:
            return
        out = parser.OFPPacketOut(msg.datapath, ofproto.OFP_NO_BUFFER, came_by, actions, msg.data)
        msg.datapath.send_msg(out)

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

    def paths(self, source: int, target: int) -> list[list[int]]:
        """The K shortest paths without loops, the shortest first (Yen)."""
        try:
            return list(islice(nx.shortest_simple_paths(self.graph, source, target), K))
        except (nx.NetworkXNoPath, nx.NodeNotFound):
            return []

    def _route(self) -> None:
        """Bring groups and flows to what the graph and the hosts now ask for."""
        groups: dict[Place, tuple[tuple[int, int, int], ...]] = {}
        wanted: dict[Key, tuple[Any, ...]] = {}
        numbers = {bridge: 1 + K * place for place, bridge in enumerate(sorted(self.datapaths))}
        for here, _, data in self.graph.edges(data=True):
            wanted[here, b"", -data["port"]] = ("known", 0)
        for who, (target, port) in self.hosts.items():
            wanted[target, who, -port] = ("known", 0)
            wanted[target, who, 0] = ("deliver", port)
            for source in self.datapaths.keys() - {target}:
                found = self.paths(source, target)
                numbered = list(enumerate(found, numbers[source]))
                if found:
                    groups[source, target] = tuple(
                        (number, self._port(*path[:2]), 60 // (len(path) - 1))
                        for number, path in numbered
                    )
                    wanted[source, who, 0] = ("group", target)
                for number, path in numbered:
                    wanted[target, who, number] = ("untag", port)
                    for here, towards in pairwise(path[1:]):
                        wanted[here, who, number] = ("follow", self._port(here, towards))
        self._apply(groups, wanted)

    def _port(self, here: int, towards: int) -> int:
        port: int = self.graph.edges[here, towards]["port"]
        return port

    def _apply(
        self,
        groups: dict[Place, tuple[tuple[int, int, int], ...]],
        wanted: dict[Key, tuple[Any, ...]],
    ) -> None:
        """Followers first, then groups, then those that enter; deletions last."""
        changed = wanted.items() - self.installed.items()
        for key, does in changed:
            if key[2]:
                self._install(key, does)
        for place, buckets in groups.items() - self.groups.items():
            self._group(place, buckets, known=place in self.groups)
        for key, does in changed:
            if not key[2]:
                self._install(key, does)
        for key in self.installed.keys() - wanted.keys():
            if key[0] in self.datapaths:
                self._remove(key)
        self.groups, self.installed = {**self.groups, **groups}, wanted

    def _group(self, place: Place, buckets: tuple[tuple[int, int, int], ...], known: bool) -> None:
        datapath = self.datapaths[place[0]]
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        made = [
            parser.OFPBucket(
                weight=weight,
                actions=[
                    parser.OFPActionPushVlan(0x8100),
                    parser.OFPActionSetField(vlan_vid=TAGGED | number),
                    parser.OFPActionOutput(port),
                ],
            )
            for number, port, weight in buckets
        ]
        command = ofproto.OFPGC_MODIFY if known else ofproto.OFPGC_ADD
        kind, number = ofproto.OFPGT_SELECT, self._group_number(place[1])
        datapath.send_msg(parser.OFPGroupMod(datapath, command, kind, number, made))

    def _group_number(self, target: int) -> int:
        return target & 0x7FFFFFFF

    def _install(self, key: Key, does: tuple[Any, ...]) -> None:
        bridge, who, number = key
        datapath = self.datapaths[bridge]
        parser = datapath.ofproto_parser
        kind, where = does
        if kind == "known":
            does_next = parser.OFPInstructionGotoTable(1)
        else:
            actions = [parser.OFPActionPopVlan()] if kind == "untag" else []
            to_group = kind == "group"
            group = parser.OFPActionGroup(self._group_number(where)) if to_group else None
            actions.append(group or parser.OFPActionOutput(where))
            kind = datapath.ofproto.OFPIT_APPLY_ACTIONS
            does_next = parser.OFPInstructionActions(kind, actions)
        table = 0 if number < 0 else 1
        match = self._match(parser, who, number)
        self._flow(datapath, match, does_next, table_id=table, priority=len(who) + 1)

    def _remove(self, key: Key) -> None:
        bridge, who, number = key
        datapath = self.datapaths[bridge]
        ofproto, parser = datapath.ofproto, datapath.ofproto_parser
        fields = {"command": ofproto.OFPFC_DELETE_STRICT, "priority": len(who) + 1}
        fields |= {"table_id": 0 if number < 0 else 1}
        anywhere = {"out_port": ofproto.OFPP_ANY, "out_group": ofproto.OFPG_ANY}
        match = self._match(parser, who, number)
        datapath.send_msg(parser.OFPFlowMod(datapath, match=match, **fields, **anywhere))

    def _match(self, parser: Any, who: bytes, number: int) -> Any:
        if number < 0:
            source = {"eth_src": who.hex(":")} if who else {}
            return parser.OFPMatch(in_port=-number, **source)
        tag = TAGGED | number if number else 0
        return parser.OFPMatch(eth_dst=who.hex(":"), vlan_vid=tag)

    def _flow(self, datapath: Any, match: Any, does: Any, **fields: int) -> None:
        parser = datapath.ofproto_parser
        datapath.send_msg(parser.OFPFlowMod(datapath, match=match, instructions=[does], **fields))
