# SPDX-License-Identifier: Apache-2.0
"""A place for Mininet of its own: namespaces of mounts, network and processes, and an Open vSwitch.

Mininet wants the system's Open vSwitch in /run/openvswitch, makes its interfaces in the network
namespace it runs in, and when it fails it kills by name and removes ``*.log`` from /tmp. Here all
of that is private: nothing of the machine is touched, and when the lab ends the kernel ends every
process in it and removes every interface.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOPOS = ROOT / "topologies" / "mininet_topos.py"
SYSTEM_PYTHON = "/usr/bin/python3"
"""The one that Debian's Mininet is installed for."""
_MARK = "LAB_COMMAND"
"""Variable by which the processes of one command are known, whatever sessions they begin."""

_START = r"""
set -eu
mount -t tmpfs tmpfs /mnt
number=0
for path; do
    mkdir "/mnt/$number"
    mount --bind "$path" "/mnt/$number"
    number=$((number + 1))
done
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
number=0
for path; do
    mkdir -p "$path"
    mount --move "/mnt/$number" "$path"
    number=$((number + 1))
done
umount /mnt
mkdir -p /run/openvswitch /run/netns
ip link set lo up
export OVS_RUNDIR=/run/openvswitch
ovsdb-tool create /run/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server /run/conf.db --remote=punix:/run/openvswitch/db.sock \
    --pidfile --detach --no-chdir --log-file=/run/ovsdb-server.log >/dev/null 2>&1
ovs-vsctl --no-wait init
ovs-vswitchd unix:/run/openvswitch/db.sock \
    --pidfile --detach --no-chdir --log-file=/run/ovs-vswitchd.log >/dev/null 2>&1
echo ready
exec cat
"""


@dataclass(frozen=True, slots=True)
class Lab:
    """Namespaces with an Open vSwitch in them."""

    pid: int
    """Its first process, as the machine counts."""

    def run(
        self,
        command: Sequence[str],
        timeout: float = 120,
        patience: float = 20,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the lab; what it prints, both streams together, is `stdout`.

        After ``timeout`` seconds it is interrupted as by a user, and has ``patience`` more to clean
        up, as ``mn`` does. Then whatever is left of it is killed, and the return code is 124.
        """
        mark = {_MARK: uuid.uuid4().hex}
        # Whoever runs the tests in the background ignores interrupts, and so would the command.
        begun = ["setsid", "env", "--default-signal=INT", *command]
        process = self._begin(begun, subprocess.DEVNULL, environment | mark)
        try:
            said, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            _interrupt(process)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=patience)
            _kill(mark)
            said, _ = process.communicate()
            return subprocess.CompletedProcess(command, 124, said)
        return subprocess.CompletedProcess(command, process.returncode, said)

    def start(self, command: Sequence[str], **environment: str) -> subprocess.Popen[str]:
        """Start a command in the lab, with pipes to its streams; the lab's end ends it too."""
        return self._begin(command, subprocess.PIPE, environment)

    def _begin(
        self, command: Sequence[str], stdin: int, environment: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.inside(command),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=_environment(environment),
        )

    def mn(
        self, topology: str, *options: str, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run ``mn`` on a topology of ours: a name and its options, ``file,PATH``."""
        custom = ["mn", "--custom", str(TOPOS), "--topo", topology]
        return self.run([*custom, *options], timeout)

    def python(self, script: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a script with Mininet's Python; ``mininet_topos`` and ``vneter_sdn`` are there."""
        return self.run([SYSTEM_PYTHON, "-c", script], timeout)

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command as it is to be started from outside."""
        namespaces = ["--mount", "--net", "--pid", f"--wd={ROOT}"]
        return ["nsenter", f"--target={self.pid}", *namespaces, "--", *command]


@contextmanager
def lab(*shared: Path) -> Iterator[Lab]:
    """A lab, for as long as the context lasts.

    Args:
        shared: directories that are to be the machine's own although they are below /tmp or /run,
            beside the checkout and the virtualenv: ``tmp_path`` for results, say.

    Raises:
        RuntimeError: it does not start; says what it printed.
    """
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    process = subprocess.Popen(
        [*unshare, "--propagation", "private", "sh", "-c", _START, "lab", *_hidden(shared)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment({}),
    )
    try:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            if line.strip() == "ready":
                break
            told.append(line)
        else:
            raise RuntimeError(f"the lab does not start: {''.join(told)}")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        yield Lab(int(children.split()[0]))
    finally:
        process.kill()  # --kill-child ends the first process inside, and so all of them
        process.wait(timeout=30)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Interrupt what ``nsenter`` waits for, and its process group: each process once.

    ``timeout`` signals its child twice, by itself and with the group; a second KeyboardInterrupt
    ends ``mn`` while it cleans up.
    """
    with suppress(OSError, ValueError):  # it may just have ended
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        os.killpg(int(children), signal.SIGINT)


def _kill(mark: Mapping[str, str]) -> None:
    """Kill the processes that have this in their environment, until there are none."""
    wanted = {f"{name}={value}".encode() for name, value in mark.items()}
    while found := [pid for pid in Path("/proc").glob("[0-9]*") if wanted <= _variables(pid)]:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(int(pid.name), signal.SIGKILL)
        time.sleep(0.01)


def _variables(process: Path) -> set[bytes]:
    try:
        return set((process / "environ").read_bytes().split(b"\0"))
    except OSError:
        return set()


def _hidden(shared: Sequence[Path]) -> list[str]:
    """What of these is below /tmp or /run, which a lab has for itself."""
    resolved = [path.resolve() for path in (ROOT, Path(sys.prefix), *shared)]
    own = (Path("/tmp"), Path("/run"))
    return [str(path) for path in resolved if any(path.is_relative_to(one) for one in own)]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        "HOME": "/run",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'topologies'}",
        "VIRTUAL_ENV": sys.prefix,
        **more,
    }
