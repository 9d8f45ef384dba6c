# SPDX-License-Identifier: Apache-2.0
"""A private ovs-vswitchd with the dummy datapath, spoken to over its control socket.

Intents come from the property tests' generator, which this puts within reach.
"""

import json
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from vneter_sdn.model.addresses import mac_text
from vneter_sdn.model.fields import FIELDS
from vneter_sdn.model.flow import (
    ANY,
    IN_PORT,
    CheckLength,
    Conjunction,
    Conntrack,
    Copy,
    DecTtl,
    GroupAction,
    MeterAction,
    Output,
    OutputField,
    Punt,
    Resubmit,
    SetField,
)
from vneter_sdn.pipeline.tables import table
from vneter_sdn.simulate.bridge import Surroundings, run
from vneter_sdn.simulate.connections import Connections
from vneter_sdn.simulate.lookup import Datapath
from vneter_sdn.simulate.text import packet_text
from vneter_sdn.simulate.trace import parse_trace

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))

OPENFLOW = ("-O", "OpenFlow15")
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_TABLE = re.compile(r"(\btable=|goto_table:|resubmit\(,)([a-z_]+)")
_HEX_LINE = re.compile(r"^[0-9a-f]{8} (.*)$", re.MULTILINE)
_DATAPATH_PORT = re.compile(r"^\s+\S+ (\d+)/(\d+): ", re.MULTILINE)


def quiet(*command):
    done = subprocess.run(command, timeout=30, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"
    return done.stdout


def composed(packet):
    """The bytes of a packet, as ovs-ofctl(8) composes them."""
    dump = quiet("ovs-ofctl", "compose-packet", packet_text(packet))
    octets = "".join(line[:49] for line in _HEX_LINE.findall(dump))
    return bytes.fromhex(octets.replace("-", " "))


def frames_of(path):
    """Frames of a pcap file (draft-ietf-opsawg-pcap §4, §5)."""
    data, at = path.read_bytes(), 24
    found = []
    while at + 16 <= len(data):
        (length,) = struct.unpack_from("=I", data, at + 8)
        found.append(data[at + 16 : at + 16 + length])
        at += 16 + length
    return found


class Control:
    """The unixctl protocol (ovs-appctl(8)): JSON-RPC 1.0, one connection for many commands."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.sent = 0

    def __call__(self, method, *params):
        self.sent += 1
        request = {"id": self.sent, "method": method, "params": list(params)}
        self.socket.sendall(json.dumps(request).encode())
        received = b""
        while True:
            chunk = self.socket.recv(1 << 16)
            assert chunk, f"the connection closed under {method}"
            received += chunk
            with suppress(json.JSONDecodeError):
                answer = json.loads(received)
                assert answer["error"] is None, answer["error"]
                return answer["result"]


class Sandbox:
    """ovsdb-server and ovs-vswitchd with their files in one short-named directory."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.processes = []
        self.bridges = 0

    def start(self):
        database, remote = self.directory / "db", self.directory / "db.sock"
        quiet("ovsdb-tool", "create", database, SCHEMA)
        self._daemon("ovsdb-server", database, f"--remote=punix:{remote}")
        self._await(remote.exists)
        self.remote = f"unix:{remote}"
        self.vsctl("--no-wait", "init")
        self._daemon("ovs-vswitchd", self.remote, "--enable-dummy=override", "--disable-system")
        self._await(lambda: any(self.directory.glob("ovs-vswitchd.*.ctl")))
        (path,) = self.directory.glob("ovs-vswitchd.*.ctl")
        self._await(lambda: self._answers(path))
        self.control = Control(path)

    @staticmethod
    def _answers(path):
        with suppress(OSError):
            Control(path).socket.close()
            return True
        return False

    def _daemon(self, name, *arguments):
        environment = dict.fromkeys(("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"), str(self.directory))
        command = (name, *map(str, arguments), "--no-chdir", "-vconsole:off")
        self.processes.append(
            subprocess.Popen(
                command,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def _await(self, ready):
        deadline = time.monotonic() + 30
        while not ready():
            assert all(p.poll() is None for p in self.processes), "a daemon died"
            assert time.monotonic() < deadline, "a daemon did not get ready"
            time.sleep(0.02)

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def vsctl(self, *arguments):
        return quiet("ovs-vsctl", "--retry", "-t", "20", f"--db={self.remote}", *arguments)

    def bridge(self, ports):
        self.bridges += 1
        return Bridge(self, f"b{self.bridges}", ports)


class Bridge:
    """A bridge with dummy ports of given OpenFlow numbers; tunnels are dummies as well."""

    def __init__(self, sandbox, name, ports):
        self.sandbox, self.name, self.ports = sandbox, name, tuple(ports)
        self.address = f"unix:{sandbox.directory}/{name}.mgmt"
        commands = ["--", "add-br", name, "--", "set", "bridge", name, "datapath_type=dummy"]
        commands += ["fail_mode=secure", 'protocols=["OpenFlow13","OpenFlow15"]']
        for number in ports:
            port = f"{name}p{number}"
            commands += ["--", "add-port", name, port, "--", "set", "Interface", port]
            commands += ["type=dummy", f"ofport_request={number}"]
        sandbox.vsctl(*commands[1:])
        shown = sandbox.control("dpif/show")
        block = shown.partition(f"  {name}:\n")[2].split("\n  b")[0]
        self.openflow_port = {
            int(datapath): int(number) for number, datapath in _DATAPATH_PORT.findall(block)
        }
        assert set(ports) <= set(self.openflow_port.values()), shown

    def record(self):
        """From now on keep every frame that leaves, for `next_frame`."""
        self.taken = dict.fromkeys(self.ports, 0)
        self.sent = {
            port: self.sandbox.directory / f"{self.name}-{port}.pcap" for port in self.ports
        }
        for port, path in self.sent.items():
            name = f"{self.name}p{port}"
            self.sandbox.vsctl("set", "Interface", name, f"options:tx_pcap={path}")
        self.sandbox.control("netdev-dummy/set-admin-state", "up")

    def receive(self, packet):
        """Let a frame come in by the packet's port."""
        name = f"{self.name}p{packet['in_port']}"
        self.sandbox.control("netdev-dummy/receive", name, composed(packet.frame).hex())

    def next_frame(self, port):
        """The next frame that left by a port, awaited."""
        path, number = self.sent[port], self.taken[port]
        self.until(lambda: path.exists() and len(frames_of(path)) > number)
        self.taken[port] += 1
        return frames_of(path)[number]

    def forward(self, state, packets):
        """Let packets come in, one connection tracker for all; how many left, as is simulated.

        Raises:
            AssertionError: another frame left than one of the simulator's.
        """
        self.sandbox.control("dpctl/ct-disable-tcp-seq-chk")
        self.sandbox.control("dpctl/flush-conntrack")
        datapath, connections, passed = Datapath.of(state), Connections(), 0
        for number, packet in enumerate(packets):
            result = run(datapath, packet, Surroundings(connections=connections))
            connections = result.connections
            self.receive(packet)
            for port, left in result.outputs:
                if port in self.ports:
                    # One too many, that should have been dropped, would be found here as well.
                    frame = self.next_frame(port)
                    assert frame == composed(left.frame), (number, port, packet, left)
                    passed += 1
        return passed

    def until(self, condition):
        """Wait for what a frame brings about."""
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, f"{self.name} passes nothing on"
            time.sleep(0.005)

    def load(self, state):
        """Replace everything the bridge holds by a state, in words of this module's own."""
        self.load_text(
            "\n".join(map(flow_text, state.flows.values())),
            "\n".join(map(group_text, state.groups.values())),
            "\n".join(map(meter_text, state.meters.values())),
        )

    def load_text(self, flows, groups="", meters=""):
        """Replace everything the bridge holds; tables may be called by name or number."""
        ofctl = ("ovs-ofctl", *OPENFLOW, "-t", "20")
        for kind in ("flows", "groups", "meters"):
            quiet(*ofctl, f"del-{kind}", self.address)
        for meter in meters.splitlines():
            quiet(*ofctl, "add-meter", self.address, meter)
        path = self.sandbox.directory / "loaded"
        path.write_text(groups)
        quiet(*ofctl, "add-groups", self.address, path)
        path.write_text(_TABLE.sub(lambda found: found[1] + str(table(found[2]).id), flows))
        quiet(*ofctl, "--bundle", "add-flows", self.address, path)

    def trace(self, packet):
        return parse_trace(self.sandbox.control("ofproto/trace", self.name, packet_text(packet)))

    def disagreement(self, packet, result):
        """What Open vSwitch sees differently from the simulator; empty when nothing."""
        traced = self.trace(packet)
        hidden = {"nd_reserved": 0, "nd_options_type": 0}
        seen = {
            "first": traced.first.with_(**hidden),
            "last": traced.last.with_(**hidden),
            "lookups": tuple(look for look in traced.lookups if look[1] is not None),
            "ports": tuple(self.openflow_port[port] for port in traced.ports),
            "punts": traced.punts,
            "expired": traced.expired,
        }
        expected = {
            "first": packet.with_(**hidden),
            "last": result.last.with_(**hidden),
            "lookups": tuple((table, flow.priority) for table, flow in result.trail),
            "ports": tuple(
                port for port, _ in result.outputs if port in self.openflow_port.values()
            ),
            "punts": len(result.punts),
            "expired": sum(drop.reason == "ttl" for drop in result.drops),
        }
        if any(isinstance(one, CheckLength) for _, flow in result.trail for one in flow.actions):
            del expected["last"]  # Open vSwitch prints what it was before lengths were asked about
        return {key: (expected[key], seen[key]) for key in expected if expected[key] != seen[key]}


def flow_text(flow):
    """One line for ovs-ofctl(8), written apart from the product's own writer."""
    terms = [_exact(*term) for term in flow.match]
    actions = [_action(action) for action in flow.actions]
    actions += [f"goto_table:{flow.goto}"] if flow.goto is not None else []
    head = [f"table={flow.table}", f"priority={flow.priority}", f"cookie={flow.cookie:#x}"]
    return f"{','.join([*head, *terms])} actions={','.join(actions) or 'drop'}"


def meter_text(meter):
    head = f"meter={meter.meter},{meter.unit},burst,bands=type=drop"
    return f"{head},rate={meter.rate},burst_size={meter.burst}"


def group_text(group):
    buckets = []
    for bucket in group.buckets:
        parts = ["bucket="]
        parts += [f"weight:{bucket.weight}"] if group.kind == "select" else []
        parts += [f"watch_port:{bucket.watch_port}"] if bucket.watch_port != ANY else []
        parts += [f"watch_group:{bucket.watch_group}"] if bucket.watch_group != ANY else []
        parts += ["actions=" + ",".join(_action(action) for action in bucket.actions)]
        buckets.append(parts[0] + ",".join(parts[1:]))
    # dp_hash, the default of select groups, recirculates, which ends a trace.
    method = ["selection_method=hash"] if group.kind == "select" else []
    return ",".join([f"group_id={group.group},type={group.kind}", *method, *buckets])


def _value(field, number):
    if field.startswith(("eth_s", "eth_d", "arp_sha", "arp_tha", "nd_sll", "nd_tll")):
        return mac_text(number)
    if FIELDS[field].bits == 128 and field != "ct_label":
        groups = f"{number:032x}"
        return ":".join(groups[i : i + 4] for i in range(0, 32, 4))
    if field in ("ip_src", "ip_dst", "arp_spa", "arp_tpa"):
        return ".".join(map(str, number.to_bytes(4, "big")))
    return hex(number) if field == "ct_label" else str(number)


def _exact(field, value, mask):
    name = "nw_ttl" if field == "ip_ttl" else field
    if mask == FIELDS[field].full:
        return f"{name}={_value(field, value)}"
    return f"{name}={_value(field, value)}/{_value(field, mask)}"


def _slice(field, offset, bits):
    return f"{field}[{offset}..{offset + bits - 1}]"


def _action(action):
    match action:
        case Output(port=port):
            return "in_port" if port == IN_PORT else f"output:{port}"
        case OutputField():
            return f"output:{_slice(action.field, action.offset, action.bits)}"
        case SetField(field=field, value=value, mask=mask):
            whole = mask == FIELDS[field].full
            text = _value(field, value) + ("" if whole else f"/{_value(field, mask)}")
            return f"set_field:{text}->{'nw_ttl' if field == 'ip_ttl' else field}"
        case Copy():
            source = _slice(action.source, action.source_offset, action.bits)
            target = _slice(action.target, action.target_offset, action.bits)
            return f"move:{source}->{target}".replace("ip_ttl", "nw_ttl")
        case DecTtl():
            return "dec_ttl"
        case GroupAction(group=number) | MeterAction(meter=number):
            return f"{'group' if isinstance(action, GroupAction) else 'meter'}:{number}"
        case Conntrack():
            return _conntrack(action)
    return _call(action)


def _call(action):
    match action:
        case Resubmit(table=table):
            return f"resubmit(,{table})"
        case CheckLength():
            return f"check_pkt_larger({action.octets})->{action.field}[{action.offset}]"
        case Conjunction():
            return f"conjunction({action.id},{action.clause}/{action.of})"
        case Punt(userdata=data, max_len=length):
            octets = ".".join(f"{octet:02x}" for octet in data)
            return f"controller(max_len={length},userdata={octets})"
    raise AssertionError(action)


def _conntrack(action):
    parts = ["commit"] if action.commit else []
    parts += [f"table={action.table}"] if action.table is not None else []
    zone = _slice(action.zone_field, action.zone_offset, 16) if action.zone_field else action.zone
    writes = ",".join(_action(inner) for inner in action.actions)
    parts += [f"zone={zone}"] + ([f"exec({writes})"] if writes else [])
    return f"ct({','.join(parts)})"


@pytest.fixture(scope="session")
def sandbox():
    with TemporaryDirectory(prefix="vs") as directory:
        running = Sandbox(directory)
        try:
            running.start()
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="session")
def run_quietly():
    """Run a command that must succeed; its standard output."""
    return quiet


@pytest.fixture(scope="session")
def compose():
    """The bytes of a packet."""
    return composed
