# SPDX-License-Identifier: Apache-2.0
"""Which objects a list or a watch is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.model.kinds import Kind
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.access.authorise import sees
from vneter_sdn.northbound.field_selectors import FieldSelector, parse_fields
from vneter_sdn.northbound.rest import requests
from vneter_sdn.northbound.rest.requests import Malformed
from vneter_sdn.northbound.selectors import Selector, parse_selector


def _everything(_key: Key) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Selection:
    """Kinds, a tenant, and what labels and fields must be."""

    kinds: frozenset[str]
    tenant: str
    """Empty for all."""
    labels: Selector
    fields: FieldSelector
    sees: Callable[[Key], bool] = _everything
    """What whoever asks may know of."""

    def of(self, key: Key, manifest: Mapping[str, Any] | None) -> bool:
        """Whether an object is selected; one that is not there is not."""
        if manifest is None or key.kind not in self.kinds or not self.sees(key):
            return False
        return (not self.tenant or key.tenant == self.tenant) and self.has(manifest)

    def has(self, manifest: Mapping[str, Any]) -> bool:
        """Whether labels and fields are as asked."""
        labels = manifest["metadata"].get("labels", {})
        return self.labels.selects(labels) and self.fields.selects(manifest)


def selection(query: Mapping[str, Any], kinds: Mapping[str, Kind], tenant: str = "") -> Selection:
    """What the query of a list or watch selects.

    Raises:
        Malformed: a selector cannot be read.
    """
    try:
        labels = parse_selector(query.get("labelSelector", ""))
        fields = parse_fields(query.get("fieldSelector", ""), *kinds.values())
    except IntentError as error:
        raise Malformed(
            *(Problem("query", one.field, one.reason, one.message) for one in error.problems)
        ) from None
    asking = requests.identity()
    seen = _everything if asking.everywhere else partial(sees, asking)
    return Selection(frozenset(kinds), tenant, labels, fields, seen)
