# SPDX-License-Identifier: Apache-2.0
"""What somebody meant perhaps, who wrote a name that there is not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 64


def nearest(given: object, valid: Iterable[str], cutoff: float = 0.5) -> str:
    """The name most like what was given, whatever its case; empty when none is.

    >>> nearest("netwrok", ["Network", "Host"])
    'Network'
    """
    names = {name.lower(): name for name in valid}
    text = str(given)[:_LONGEST].lower()
    near = get_close_matches(text, names, n=1, cutoff=cutoff)
    return names[near[0]] if near else ""


def advice(given: object, valid: Iterable[str], cutoff: float = 0.5) -> str:
    """``did you mean 'prefixes'?``, or every name there is: ``it is one of vni, mtu``."""
    names = list(valid)
    near = nearest(given, names, cutoff)
    return f"did you mean {near!r}?" if near else f"it is one of {', '.join(names)}"
