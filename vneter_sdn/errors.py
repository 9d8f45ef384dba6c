# SPDX-License-Identifier: Apache-2.0
"""Every error this package raises on purpose.

::

    VneterError
     ├── IntentError          what was asked for is not acceptable (a list of Problem)
     ├── Conflict             somebody else changed it first
     │    └── Stale           it is not as the request's If-Match or If-None-Match says
     ├── Gone                 what was to be gone on from is not kept any more
     ├── Throttled            too many requests; ask again later
     ├── NotFound             there is no such object
     ├── StoreUnavailable     the database cannot be reached, or refuses to write
     ├── Unauthenticated      the server does not know who asks
     ├── Forbidden            who asks may not do that
     ├── PipelineError        a feature broke the contract of a table (a bug of ours)
     ├── DecodeError          bytes from outside break the protocol
     └── SouthboundError      a bridge or host does not do what it is told
          ├── BundleRejected  the bridge refused a plan; nothing of it was applied
          ├── OvsdbError      an OVSDB server refused a request; nothing of it was done
          └── SessionClosed   the connection went away
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


class VneterError(Exception):
    """Root of the tree; callers at the edges catch this."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field of one object."""

    object: str
    """Which object: ``Network red/web``, or ``document 3 of FILE`` when it has no name."""
    field: str
    """Path of the field, ``spec.prefixes[0]``; empty for the object as a whole."""
    reason: str
    """CamelCase word for programs: ``PrefixOverlap``."""
    message: str
    """For people: what is wrong, why, and what to do."""
    pointer: str | None = dataclasses.field(default=None, compare=False)
    """Where that stands in what was sent (RFC 6901), when the field does not lead there."""

    def __str__(self) -> str:
        """One line that names the object, the field and the fault."""
        return ": ".join(part for part in (self.object, self.field, self.message) if part)


class IntentError(VneterError):
    """The intent is refused, whole; nothing was changed."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class Conflict(VneterError):
    """The object or the database moved on since it was read; read again and retry."""


class Stale(Conflict):
    """A precondition of the request (If-Match, If-None-Match) does not hold; nothing was done."""


class Gone(VneterError):
    """A list or a watch cannot be gone on with from there: begin it anew."""


class Throttled(VneterError):
    """More was asked than one client may ask; nothing was done."""

    def __init__(self, what: str, retry_after: float = 1.0) -> None:
        """Say what was too much, and after how many seconds to ask again."""
        super().__init__(what)
        self.retry_after = retry_after


class NotFound(VneterError):
    """There is no such object."""


class StoreUnavailable(VneterError):
    """The database cannot be reached or cannot write; nothing was acknowledged."""


class Unauthenticated(VneterError):
    """The server does not know who asks: no credential, or one that is unknown or expired."""


class Forbidden(VneterError):
    """Who asks is known, and may not do that."""


class PipelineError(VneterError):
    """A flow breaks the contract of its table: a mistake in a feature, found before any bridge."""


class DecodeError(VneterError):
    """Bytes from outside break the protocol at an offset."""

    def __init__(self, what: str, offset: int = 0) -> None:
        super().__init__(f"{what} at byte {offset}")
        self.what, self.offset = what, offset


class SouthboundError(VneterError):
    """A bridge or host does not do what it is told."""


class BundleRejected(SouthboundError):
    """A bridge refused a plan; OpenFlow bundles are atomic, so nothing of it was applied."""

    def __init__(self, kind: int, code: int, what: str = "") -> None:
        super().__init__(f"refused with OpenFlow error ({kind}, {code}) {what}".rstrip())
        self.kind, self.code, self.what = kind, code, what


class OvsdbError(SouthboundError):
    """An OVSDB server refused a request; nothing of it was done (RFC 7047 §4.1.3, §5.2).

    Args:
        error: the server's short name for it: ``constraint violation``, ``timed out``.
        details: its longer text, or nothing.
        index: which operation of the transaction; the number of operations when committing failed;
            None when the request as a whole was refused.
    """

    def __init__(self, error: str, details: str = "", index: int | None = None) -> None:
        where = "" if index is None else f"operation {index}: "
        super().__init__(f"{where}{error}" + (f" ({details})" if details else ""))
        self.error, self.details, self.index = error, details, index


class SessionClosed(SouthboundError):
    """The connection went away before the work was confirmed."""
