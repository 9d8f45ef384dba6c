# SPDX-License-Identifier: Apache-2.0
"""``vneterctl path``, its options; what it does is in `vneter_sdn.cli.pathing`."""

from __future__ import annotations

from typing import Annotated

import typer

from vneter_sdn.cli.options import SERVER, Server, Text

EPILOG = """\b
Examples:
  vneterctl path h1 h2 --policy gold            what the policy chooses, and why
  vneterctl path red/web1 red/db1               between the hosts of endpoints
  vneterctl path --topology FILE a b -k 3       offline; YAML, GML, SNDlib
  vneterctl path a b --objective latency=1,price=0.5 --max-hops 4 -o json

\b
With --disjoint and one path: the pair of least total objective; the better is
the path, the other its backup. With more paths: as many mutually disjoint ones
as there are, of least total. Limits are kept by each path by itself.

\b
JSON: {"source", "target", "objective", "paths": [PATH], "backup": PATH or null,
  "rejected": [PATH with "reason"], "refusal": REFUSAL or null, "shortfall"}
PATH: {"nodes", "labels", "edges", "weight", "hops", "cost", "latencyMs",
  "price", "loss", "bottleneckMbps", "mtu", "objective", "steps": [STEP]}
  Hosts are called as their file does, "edges" are links in one direction.
  null is what is not known; "weight" and "steps" are those of paths alone,
  "objective" is the sum that the choice goes by. Latency that is not known
  counts as 10 ms; in a file where other links have one, as none.
STEP: {"edge", "source", "target", "cost", "latencyMs", "price", "loss",
  "utilisation", "bottleneckMbps", "mtu", "encrypted", "tags", "risks", "adds"}
REFUSAL: {"constraints", "edges", "message",
  "nearest": [{"constraint", "value", "nodes", "edges"}]}

\b
Exit code 1 when no path satisfies what is asked; the refusal says what would."""


def path(
    source: Annotated[str, typer.Argument(help="A host, or an endpoint as TENANT/NAME.")],
    target: Annotated[str, typer.Argument(help="Another one.")],
    *,
    policy: Annotated[
        str, typer.Option("--policy", help="A PathPolicy, or a manifest; options override it.")
    ] = "",
    paths: Annotated[
        int | None, typer.Option("-k", "--paths", min=1, max=256, help="How many at most.")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="hops, cost, latency, price, utilisation, loss; or weights: a=1,b=2")
    ] = "",
    max_latency: Annotated[float | None, typer.Option(metavar="MS", help="Sum.")] = None,
    max_hops: Annotated[int | None, typer.Option(min=1, help="Links at most.")] = None,
    max_price: Annotated[float | None, typer.Option(help="Per gigabyte, sum.")] = None,
    max_loss: Annotated[float | None, typer.Option(min=0, max=1, help="Share lost.")] = None,
    min_bandwidth: Annotated[
        float | None, typer.Option(metavar="MBPS", help="Left on every link.")
    ] = None,
    min_mtu: Annotated[int | None, typer.Option(metavar="BYTES", help="On every link.")] = None,
    waypoint: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="To pass, in order; repeatable.")
    ] = None,
    avoid: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="No link or host with it; repeatable.")
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Every link has it; repeatable.")
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option(metavar="REGION", help="Stay in these; repeatable.")
    ] = None,
    encrypted: Annotated[
        bool | None, typer.Option("--encrypted", help="Encrypted links only.")
    ] = None,
    disjoint: Annotated[
        str, typer.Option(metavar="KIND", help="none, link, node or risk: wish a backup.")
    ] = "",
    sharing: Annotated[str, typer.Option(metavar="HOW", help="best, equal or unequal.")] = "",
    topology: Annotated[
        str, typer.Option(metavar="FILE", help="Work offline, on a topology file.")
    ] = "",
    rejected: Annotated[int, typer.Option(min=0, max=100, help="Runners-up to show.")] = 5,
    output: Text = "text",
    server: Server = SERVER,
) -> None:
    """Choose paths between two hosts, and say why these."""
    from vneter_sdn.cli import pathing

    bounds = {
        "max_latency_ms": max_latency,
        "max_hops": max_hops,
        "max_price_per_gb": max_price,
        "max_loss": max_loss,
        "min_bandwidth_mbps": min_bandwidth,
        "min_mtu": min_mtu,
        "encrypted": encrypted,
    }
    lists = {
        "waypoints": waypoint, "avoid_tags": avoid, "require_tags": require, "regions": region
    }  # fmt: skip
    question = pathing.Question(
        source,
        target,
        policy=policy,
        choices=pathing.choices(objective, paths, disjoint, sharing),
        constraints=pathing.constraints(bounds, lists),
        most=rejected,
    )
    place = pathing.Offline(topology) if topology else pathing.Online(server)
    pathing.answer(question, place, output, server)
