# SPDX-License-Identifier: Apache-2.0
"""Topologies in files: our own YAML, Topology Zoo's GML, SNDlib's networks as JSON or XML.

`read_atlas` reads any of them into an `Atlas`; `atlas_text` writes one as our YAML.
"""

from __future__ import annotations

from vneter_sdn.graph.atlas.atlas import Atlas, Demand
from vneter_sdn.graph.atlas.demands import read_demands
from vneter_sdn.graph.atlas.reading import atlas_from, read_atlas
from vneter_sdn.graph.atlas.writing import atlas_of, atlas_text

__all__ = [
    "Atlas",
    "Demand",
    "atlas_from",
    "atlas_of",
    "atlas_text",
    "read_atlas",
    "read_demands",
]
