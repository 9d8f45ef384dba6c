# SPDX-License-Identifier: Apache-2.0
"""``vneterctl te``, its options; what it does is in `vneter_sdn.cli.engineering`."""

from __future__ import annotations

from typing import Annotated

import typer

from vneter_sdn.cli.options import SERVER, Server

EPILOG = """\b
Examples:
  vneterctl te                                            what is measured now
  vneterctl te --topology topologies/geant.yaml           how full links get
  vneterctl te --topology zoo.gml --demands day.csv -o json >plan.json
  vneterctl te --topology zoo.gml --demands night.csv --previous plan.json
    --max-moves 20 -o json                                move 20 paths at most

\b
Without --topology: the controller's graph, with the traffic that is declared
(Demand) and else measured under engineered policies, between hosts; --max-moves
then bounds what differs from the plan in force.

\b
Demands, in Mbit/s: [[FROM, TO, MBPS], ...] or [{from, to, mbps}, ...] in YAML or
JSON, by itself or as "demands"; CSV, FROM,TO,MBPS; or SNDlib's own. Nodes by
name, label or id. Of one pair they are summed. Without any a gravity model
takes their place. Edges without a capacity count as 1000 Mbit/s. Hosts carry
their own traffic only.

\b
JSON: {"topology", "demands": where from, "nodes": [{"name", "label", "id"}],
  "max_utilisation": {"shortest_path", "ecmp", "ours", "lp_bound"}, "moved",
  "paths": [PATH], "links": [{"edge", "source", "target", "mbps",
  "capacity_mbps", "utilisation"}], "unrouted": [{"source", "target", "mbps"}],
  "notes"}
PATH: {"source", "target", "demand_mbps", "nodes", "edges", "weight", "share",
  "mbps"}
  Utilisation is the share of its capacity that the fullest edge carries, 1 is
  full; each direction of a link is an edge. Shortest path and ECMP go by cost.
  "weight" is whole, "share" is that over the sum of a demand's, "mbps" what
  the path carries."""


def te(
    *,
    topology: Annotated[
        str, typer.Option("--topology", help="Offline: YAML, Topology Zoo GML, SNDlib, JSON.")
    ] = "",
    demands: Annotated[
        str, typer.Option("--demands", help="File of demands, instead of the topology's own.")
    ] = "",
    policy: Annotated[
        str, typer.Option("--policy", help="Without a topology: traffic of this PathPolicy alone.")
    ] = "",
    paths: Annotated[int, typer.Option("-k", "--paths", min=1, max=64, help="Per demand.")] = 8,
    weights: Annotated[
        int, typer.Option("--weights", min=1, max=256, help="Sum of the weights of a demand.")
    ] = 256,
    previous: Annotated[
        str, typer.Option("--previous", help="The plan in force, as -o json wrote it.")
    ] = "",
    max_moves: Annotated[
        int | None, typer.Option("--max-moves", min=0, help="Paths that may differ from it.")
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FORMAT",
            help="text, json, yaml, csv or jsonpath=TEMPLATE.",
        ),
    ] = "text",
    server: Server = SERVER,
) -> None:
    """Plan traffic: paths and weights, for the live graph or a topology file."""
    from vneter_sdn.cli import engineering
    from vneter_sdn.graph.engineering import Limits

    ground = engineering.offline(topology) if topology else engineering.online(server, policy)
    engineering.te(ground, demands, Limits(paths, weights, max_moves), previous, output)
