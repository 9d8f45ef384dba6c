# SPDX-License-Identifier: Apache-2.0
"""What fields of kinds are made of: names, addresses, labels; and what all specs have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$(?!\n)",
        description="Lower-case letters, digits, '-' and '.', at most 63, as in DNS.",
    ),
]
Address = Annotated[str, Meta(max_length=64, description="An IPv4 or IPv6 address.")]
Prefix = Annotated[str, Meta(max_length=64, description="An IPv4 or IPv6 prefix: 10.0.0.0/24.")]
MacAddress = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$(?!\n)",
        description="An Ethernet address: 02:00:00:00:00:01.",
    ),
]
DomainName = Annotated[
    str,
    Meta(
        max_length=190,
        pattern=r"^([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.)*"
        r"[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?$(?!\n)",
        description="A domain in lower case, without a dot at its end: example.com. Names of "
        "endpoints go before it, within the 253 characters of DNS.",
    ),
]
BridgeName = Annotated[
    str,
    Meta(
        pattern=r"^[-A-Za-z0-9_.]{1,15}$(?!\n)",
        description="Letters, digits, '-', '_' and '.', at most 15, as interface names are.",
    ),
]
Text = Annotated[str, Meta(max_length=1024)]
Encapsulation = Literal["geneve", "vxlan", "gre"]

LabelKey = Annotated[
    str,
    Meta(
        pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?"
        r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$(?!\n)",
        description="As in Kubernetes: an optional DNS prefix and '/', then at most 63 characters.",
    ),
]
LabelValue = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$(?!\n)",
        description="As in Kubernetes: at most 63 letters, digits, '-', '_' and '.'.",
    ),
]
Labels = Annotated[dict[LabelKey, LabelValue], Meta(max_length=32)]


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The ``spec`` of a kind: camelCase outside, nothing unknown."""
