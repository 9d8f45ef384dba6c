# SPDX-License-Identifier: Apache-2.0
"""Since when tenants are the ones they are: what was before belonged to others of their names."""

from __future__ import annotations

from collections import OrderedDict

from vneter_sdn.errors import NotFound
from vneter_sdn.model.snapshot import Key, Revision
from vneter_sdn.northbound.access.tenancy import tenant_of
from vneter_sdn.store.port import Store

_KEPT = 4096
_PAGE = 100


class Births:
    """Revisions that made tenants, looked up once each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[tuple[str, str], int] = OrderedDict()

    def of(self, name: str) -> int | None:
        """The revision that made a tenant, 0 when it is not kept any more.

        None when there is no such tenant.
        """
        tenant = tenant_of(self._store.snapshot(), name)
        if tenant is None:
            return None
        at = (name, tenant.uid)
        found = self._known.get(at)
        if found is None:
            found = self._known[at] = self._look(name, tenant.revision)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found

    def _look(self, name: str, newest: int) -> int:
        before: int | None = newest + 1
        while True:
            page = self._store.revisions(_PAGE, before, about=f"Tenant {name}")
            for one in page:
                if self._made(name, one):
                    return one.number
            if len(page) < _PAGE:
                return 0
            before = page[-1].number

    def _made(self, name: str, revision: Revision) -> bool:
        if f"created Tenant {name}" in revision.changes:
            return True
        if f"updated Tenant {name}" in revision.changes:
            return False
        try:  # one of so many objects that the journal has no line for each
            diff = self._store.revision(revision.number).diff
        except NotFound:  # pruned since
            return False
        return any(one.key == Key("Tenant", "", name) and one.before is None for one in diff)
