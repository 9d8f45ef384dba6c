# SPDX-License-Identifier: Apache-2.0
"""Names and paths of everything a fleet puts on this machine.

Two fleets never meet when they differ in prefix and run directory: a namespace belongs to the
fleet whose ``<prefix>-`` it starts with, a process to the fleet whose directory its command line
names.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vneter_sdn.errors import IntentError, Problem

NETNS_DIR = Path("/run/netns")
"""Where iproute2 keeps its named namespaces."""

_PREFIX = re.compile(r"[a-z][a-z0-9]{0,9}\Z")
_SOCKET_PATH_MAX = 107
_LONGEST_SOCKET = "ovs-vswitchd.4194304.ctl"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one fleet lives."""

    prefix: str = "vn"
    run_dir: Path = Path("/run/vneter")

    def __post_init__(self) -> None:
        if not _PREFIX.match(self.prefix):
            raise _refused("prefix", f"{self.prefix!r} is not 1 to 10 of a-z, 0-9, a letter first")
        if not self.run_dir.is_absolute():
            raise _refused("run_dir", f"{self.run_dir} is not an absolute path")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Layout:
        """The layout that ``VNETER_FLEET_PREFIX`` and ``VNETER_RUN_DIR`` say, or the default."""
        environ = os.environ if environ is None else environ
        return cls(
            prefix=environ.get("VNETER_FLEET_PREFIX") or "vn",
            run_dir=Path(environ.get("VNETER_RUN_DIR") or "/run/vneter"),
        )

    @property
    def fleet_dir(self) -> Path:
        """Everything of this fleet that is a file."""
        return self.run_dir / "fleet"

    @property
    def workload_dir(self) -> Path:
        """Records of the workloads; the dot keeps it apart from every host's name."""
        return self.fleet_dir / ".workloads"

    @property
    def underlay(self) -> str:
        """The namespace in which the underlay switches are."""
        return f"{self.prefix}-underlay"

    def host_dir(self, host: str) -> Path:
        """Run directory of one host: database, sockets, pid files, logs.

        Raises:
            IntentError: the sockets in it would have longer paths than Unix allows.
        """
        path = self.fleet_dir / host
        if len(str(path / _LONGEST_SOCKET)) > _SOCKET_PATH_MAX:
            raise _refused("run_dir", f"{path} is too long for Unix sockets; set VNETER_RUN_DIR")
        return path

    def host_netns(self, host: str) -> str:
        """The namespace that is one host."""
        return f"{self.prefix}-{host}"

    def workload_netns(self, tenant: str, name: str) -> str:
        """The namespace that is one workload.

        A tenant with a dash gets a digest behind it, as ``a-b/c`` and ``a/b-c`` would be one.
        """
        digest = f"-{digest_of(tenant, name)[:6]}" if "-" in tenant else ""
        return f"{self.prefix}-w-{tenant}-{name}{digest}"

    def workload_file(self, tenant: str, name: str) -> Path:
        """The record of one workload; ``_`` occurs in no name."""
        return self.workload_dir / f"{tenant}_{name}.json"

    def owns(self, netns: str) -> bool:
        """Whether a namespace is of this fleet."""
        return netns.startswith(f"{self.prefix}-")


def digest_of(*parts: str) -> str:
    """Hexadecimal digest of names, to build short names that do not clash."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def port_name(tenant: str, name: str) -> str:
    """Name of the host's side of a workload's veth, the same on every host: 13 characters."""
    return f"vw{digest_of(tenant, name)[:11]}"


def netns_path(netns: str) -> Path:
    """Where a named namespace can be opened."""
    return NETNS_DIR / netns


def _refused(field: str, message: str) -> IntentError:
    return IntentError(Problem("fleet", field, "InvalidValue", message))
