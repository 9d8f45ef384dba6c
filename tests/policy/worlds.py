# SPDX-License-Identifier: Apache-2.0
"""From manifests to what the plain evaluator looks at."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from vneter_sdn.kubernetes.door import native
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Key, Object
from vneter_sdn.policy.evaluate import World
from vneter_sdn.policy.worlds import world_of


def translated(
    manifests: Iterable[Mapping[str, Any]], domains: Mapping[str, tuple[str, ...]]
) -> World:
    """Foreign and own manifests, translated and normalised."""
    return world_of(map(_object, native(list(manifests)).manifests), domains=domains)


def _object(manifest: Mapping[str, Any]) -> Object:
    metadata = manifest["metadata"]
    key = Key(manifest["kind"], metadata.get("tenant", ""), metadata["name"])
    spec = msgspec.convert(manifest["spec"], KINDS[key.kind].spec)
    return Object(key=key, spec=spec, labels=metadata.get("labels", {}))
