# SPDX-License-Identifier: Apache-2.0
"""Where a host's bridge finds its controller. Pure; see design 0005."""

from __future__ import annotations

from pathlib import PurePosixPath

from vneter_sdn.model.kinds import HostSpec


def local_channel(spec: HostSpec) -> str | None:
    """Path of the OpenFlow socket of a host on this machine; None for a remote one."""
    kind, _, place = spec.ovsdb.partition(":")
    if kind != "unix":
        return None
    return str(PurePosixPath(place).parent / f"{spec.bridge}.vneter")


def controller_target(spec: HostSpec, advertised: str) -> str:
    """What the bridge's Controller row says; empty when nobody told us our own address."""
    if spec.controller is not None:
        return spec.controller
    path = local_channel(spec)
    return f"unix:{path}" if path is not None else advertised
