# SPDX-License-Identifier: Apache-2.0
"""What is said of objects that were manifests of Kubernetes, in the words these were written in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vneter_sdn.kubernetes.naming import EGRESS_RULES

_SIDES = {"ingress": "from", "egress": "to"}
_PEERS = re.compile(r"^(spec\.(ingress|egress)\[\d+\])\.peers\b")
_EGRESS = re.compile(r"^(spec\.egress\[)(\d+)\]")
_PLACE = re.compile(r"[0-9]{1,5}\Z", re.ASCII)
_CHILD = re.compile(r"^spec\.members(\[\d+\])\.group$")
_CLUSTER_GROUP = re.compile(r"\bGroup [^\s/]+/(\S+?)\.cg\b")
_GROUP = re.compile(r"\bGroup [^\s/]+/([a-z0-9-]+)\.([-.a-z0-9]+)")
_TIER = re.compile(r"\bTier ([^\s/]+?)\.antrea\b")
_SUFFIX = re.compile(r"(?<=\S)\.cg\b")


def rule_as_written(annotations: Mapping[str, Any], way: str, number: int) -> int:
    """Which rule of its manifest a rule of ours is, where one became several; else the same.

    Args:
        annotations: of the policy of ours.
        way: ``ingress`` or ``egress``.
        number: place of the rule in it, from 0.
    """
    if way != "egress" or EGRESS_RULES not in annotations:
        return number
    places = str(annotations[EGRESS_RULES]).split(",")
    found = places[number] if number < len(places) else ""
    return int(found) if _PLACE.match(found) else number


def field_as_written(field: str, kind: str, annotations: Mapping[str, Any] | None = None) -> str:
    """``spec.ingress[0].from[1]`` for ``spec.ingress[0].peers[1]``.

    Args:
        field: of an object of ours.
        kind: as its manifest had it, with its group: ``crd.antrea.io/v1beta1/Group``.
        annotations: of the object of ours.
    """
    said = annotations or {}
    field = _EGRESS.sub(lambda at: f"{at[1]}{rule_as_written(said, 'egress', int(at[2]))}]", field)
    antrea = kind.startswith("crd.antrea.io")
    if kind.endswith("Group"):
        return _CHILD.sub(r"spec.childGroups\1", field)
    applied = "appliedTo" if antrea else "subject"
    if kind.startswith("networking"):
        applied = "podSelector"
    field = re.sub(r"\bappliesTo\b" if antrea else r"\bappliesTo\[0\]", applied, field)
    return _PEERS.sub(lambda found: f"{found[1]}.{_SIDES[found[2]]}", field)


def message_as_written(message: str) -> str:
    """``ClusterGroup web`` for ``Group cluster/web.cg``."""
    message = _TIER.sub(r"Tier \1", _CLUSTER_GROUP.sub(r"ClusterGroup \1", message))
    return _SUFFIX.sub("", _GROUP.sub(r"Group \1/\2", message))
