# SPDX-License-Identifier: Apache-2.0
"""One real bridge (userspace datapath) and workloads, each in a network namespace."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from vneter_sdn.pipeline.text import flow_text, group_text, meter_text


class Lab:
    def __init__(self, directory: Path, name: str):
        self.directory, self.name = directory, name
        self.namespaces: list[str] = []
        self.environment = os.environ | {"OVS_RUNDIR": str(directory)}

    def run(self, *words: str, check: bool = True, timeout: float = 30) -> str:
        done = subprocess.run(
            words,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def within(self, namespace: str, *words: str, check: bool = True) -> str:
        return self.run(*self.inside(namespace), *words, check=check)

    def inside(self, namespace: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name}{namespace}", "--"]

    def vsctl(self, *words: str) -> str:
        return self.run("ovs-vsctl", f"--db=unix:{self.directory}/db.sock", "--timeout=20", *words)

    def daemon(self, *words: str) -> None:
        log = [f"--log-file={self.directory}/{words[-1]}.log", "-vconsole:off", "--detach"]
        pid = f"--pidfile={self.directory}/{words[-1]}.pid"
        command = [*self.inside("0"), *words[:-1], *log, pid]
        subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=True,
        )

    def start(self) -> None:
        self.add_namespace("0")
        database, socket = self.directory / "conf.db", self.directory / "db.sock"
        self.run("ovsdb-tool", "create", str(database), "/usr/share/openvswitch/vswitch.ovsschema")
        self.daemon("ovsdb-server", str(database), f"--remote=punix:{socket}", "server")
        self.vsctl("--no-wait", "init")
        self.daemon("ovs-vswitchd", f"unix:{socket}", "--disable-system", "switch")
        bridge = ["set", "bridge", "br", "datapath_type=netdev", "fail_mode=secure"]
        self.vsctl("add-br", "br", "--", *bridge, "protocols=OpenFlow15")

    def stop(self) -> None:
        for pid in self.directory.glob("*.pid"):
            self.run("kill", pid.read_text().strip(), check=False)
        for namespace in self.namespaces:
            self.run("ip", "netns", "del", self.name + namespace, check=False)

    def add_namespace(self, namespace: str) -> None:
        self.run("ip", "netns", "add", self.name + namespace)
        self.namespaces.append(namespace)
        self.within(namespace, "ip", "link", "set", "lo", "up")

    def attach(self, port: int, mac: str, *addresses: str) -> None:
        """A workload called by its port number."""
        here = str(port)
        self.add_namespace(here)
        self.within("0", "ip", "link", "add", f"p{port}", "type", "veth", "peer", "name", "e0")
        self.within("0", "ip", "link", "set", "e0", "netns", self.name + here)
        self.within("0", "ip", "link", "set", f"p{port}", "up")
        self.within(here, "ip", "link", "set", "e0", "address", mac, "mtu", "1400")
        self.within(here, "ethtool", "-K", "e0", "tx", "off")
        self.within(here, "ip", "link", "set", "e0", "up")
        for address in addresses:
            nodad = ["nodad"] if ":" in address else []
            self.within(here, "ip", "address", "add", address, "dev", "e0", *nodad)
        port_is = ["set", "interface", f"p{port}", f"ofport_request={port}"]
        self.vsctl("add-port", "br", f"p{port}", "--", *port_is)

    def load(self, state) -> None:
        control = ["ovs-ofctl", "-O", "OpenFlow15", "--bundle"]
        target = f"unix:{self.directory}/br.mgmt"
        for meter in state.meters.values():
            self.run("ovs-ofctl", "-O", "OpenFlow15", "add-meter", target, meter_text(meter))
        groups = self.directory / "groups"
        groups.write_text("".join(group_text(group) + "\n" for group in state.groups.values()))
        self.run("ovs-ofctl", "-O", "OpenFlow15", "add-groups", target, str(groups))
        flows = self.directory / "flows"
        flows.write_text("".join(flow_text(flow) + "\n" for flow in state.flows.values()))
        self.run(*control, "replace-flows", target, str(flows))
