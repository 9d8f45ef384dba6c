# SPDX-License-Identifier: Apache-2.0
"""Which objects a list or a watch is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

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
        return manifest is not None and self.may_be(key) and self.has(manifest)

    def of_json(self, key: Key, manifest: bytes | None) -> bool:
        """The same of a manifest as JSON, which is read only where that matters."""
        if manifest is None or not self.may_be(key):
            return False
        plain = not self.labels.requirements and not self.fields.terms
        return plain or self.has(msgspec.json.decode(manifest))

    def may_be(self, key: Key) -> bool:
        """Whether an object is selected as far as its key tells."""
        here = key.kind in self.kinds and (not self.tenant or key.tenant == self.tenant)
        return here and self.sees(key)

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
