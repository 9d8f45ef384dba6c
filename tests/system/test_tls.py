# SPDX-License-Identifier: Apache-2.0
"""A host that is reached over TLS only, both ways, with certificates of a private authority."""

import subprocess
import sys
from pathlib import Path

import pytest

OURS = 0x7600000000000001
"""What the first host's bridge is called, in a fresh database."""
THEIRS = 0xDEADBEEF

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(180)]


class Authority:
    """A private CA."""

    def __init__(self, folder: Path, name: str):
        self.folder = folder / name
        self.folder.mkdir()
        self.certificate = self.folder / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                      "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                      "-subj", f"/CN={name}")  # fmt: skip

    def _openssl(self, *words):
        subprocess.run(
            ["openssl", *words], cwd=self.folder, check=True, capture_output=True, timeout=30
        )

    def issue(self, name, *dpids):
        """Private key, certificate and CA, for the datapath ids given."""
        names = ",".join(f"URI:urn:vneter:dpid:{dpid:016x}" for dpid in dpids)
        extension = f"subjectAltName={names}\n" if names else "basicConstraints=CA:FALSE\n"
        (self.folder / f"{name}.ext").write_text(extension)
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr",
                      "-subj", f"/CN={name}")  # fmt: skip
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-out", f"{name}.pem", "-days", "2",
                      "-extfile", f"{name}.ext")  # fmt: skip
        return [str(self.folder / f"{name}.{kind}") for kind in ("key", "pem")] + [
            str(self.certificate)
        ]


def declare(controller, system, name, ovsdb, number=1):
    manifest = system.manifest("Host", name, ovsdb=ovsdb, datapathType="dummy",
                               tunnelAddresses=[f"127.0.0.{number}"],
                               underlayMtu=1600)  # fmt: skip
    controller.client.apply([manifest], "the test's")


@pytest.fixture
def secure(make_controller, make_switch, system, tmp_path):
    """A controller behind TLS, and a function that makes (host's files, OVSDB remote, host)."""
    ours = Authority(tmp_path, "ours")
    door = system.free_port()
    key, certificate, ca = ours.issue("controller")
    controller = make_controller(
        "--openflow-listen", f"pssl:{door}:127.0.0.1",
        "--openflow-advertise", f"ssl:127.0.0.1:{door}",
        "--private-key", key, "--certificate", certificate, "--ca-certificate", ca,
    )  # fmt: skip
    controller.start()

    def host(*dpids, authority=ours):
        port = system.free_port()
        files = authority.issue(f"host{port}", *dpids)
        return f"ssl:127.0.0.1:{port}", make_switch(f"pssl:{port}:127.0.0.1", files)

    return controller, ours, host


def test_a_host_is_programmed_over_tls(secure, system):
    controller, _, make = secure
    remote, host = make(OURS)
    declare(controller, system, "h1", remote)
    controller.await_synced(["h1"])
    assert controller.conditions("Host", "h1")["OpenFlowConnected"] == ("True", "OpenFlow15")
    assert host.vsctl("get", "Bridge", "br-int", "datapath_id") == f'"{OURS:016x}"'
    assert host.vsctl("--bare", "--columns=target", "list", "Controller").startswith("ssl:")
    assert host.flows() > 10


def test_a_bridge_with_an_id_of_its_own_is_known_by_its_certificate(secure, system):
    controller, _, make = secure
    remote, host = make(THEIRS)
    host.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=dummy",
               f"other_config:datapath-id={THEIRS:016x}")  # fmt: skip
    declare(controller, system, "h1", remote)
    controller.await_synced(["h1"])
    assert host.vsctl("get", "Bridge", "br-int", "datapath_id") == f'"{THEIRS:016x}"'
    assert host.flows() > 10


def test_a_certificate_of_another_datapath_is_refused_and_the_host_says_so(secure, system):
    controller, ours, make = secure
    remote, host = make(THEIRS)
    declare(controller, system, "h1", remote)
    refused = ("False", "UnexpectedDatapath")
    system.until(
        lambda: controller.conditions("Host", "h1").get("OpenFlowConnected") == refused,
        what="the refusal on the Host",
    )
    status = controller.client.get("Host", "", "h1")["status"]
    (message,) = [c["message"] for c in status["conditions"] if c["type"] == "OpenFlowConnected"]
    assert f"is {OURS:016x}, may only be {THEIRS:016x}" in message
    assert controller.conditions("Host", "h1")["DatabaseConnected"] == ("True", "Connected")
    assert host.flows() == 0
    host.stop_switch()
    host.start_switch(ours.issue("right", OURS))
    controller.await_synced(["h1"])


def test_a_certificate_that_names_no_datapath_is_refused_and_the_host_says_so(secure, system):
    controller, _, make = secure
    remote, host = make()
    declare(controller, system, "h1", remote)
    refused = ("False", "TlsRefused")
    system.until(
        lambda: controller.conditions("Host", "h1").get("OpenFlowConnected") == refused,
        what="the refusal on the Host",
    )
    status = controller.client.get("Host", "", "h1")["status"]
    (message,) = [c["message"] for c in status["conditions"] if c["type"] == "OpenFlowConnected"]
    assert "names no datapath" in message
    assert host.flows() == 0


def test_a_stranger_does_not_disturb_the_host_whose_name_he_takes(secure, system):
    controller, _, make = secure
    remote, _ = make(OURS)
    declare(controller, system, "h1", remote)
    controller.await_synced(["h1"])
    _, stranger = make(THEIRS)
    (target,) = controller.options[controller.options.index("--openflow-advertise") + 1 :][:1]
    since = controller.log_length()
    stranger.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=dummy",
                   f"other_config:datapath-id={OURS:016x}", "protocols=OpenFlow15",
                   "--", "set-controller", "br-int", target)  # fmt: skip
    controller.await_log("may only be", 1, since)
    assert controller.conditions("Host", "h1")["OpenFlowConnected"] == ("True", "OpenFlow15")


def test_a_host_of_another_authority_is_not_spoken_to(secure, system, tmp_path):
    controller, _, make = secure
    remote, host = make(OURS, authority=Authority(tmp_path, "theirs"))
    declare(controller, system, "h1", remote)
    unreachable = ("False", "Unreachable")
    system.until(
        lambda: controller.conditions("Host", "h1").get("DatabaseConnected") == unreachable,
        what="the refusal on the Host",
    )
    assert host.vsctl("list-br") == ""


def test_plain_tcp_works_on_loopback(make_controller, make_switch, system):
    door, port = system.free_port(), system.free_port()
    controller = make_controller("--openflow-listen", f"ptcp:{door}:127.0.0.1",
                                 "--openflow-advertise", f"tcp:127.0.0.1:{door}")  # fmt: skip
    controller.start()
    host = make_switch(f"ptcp:{port}:127.0.0.1")
    declare(controller, system, "h1", f"tcp:127.0.0.1:{port}")
    controller.await_synced(["h1"])
    assert host.flows() > 10


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--openflow-listen", "ptcp:6653:0.0.0.0"], "plain TCP is for loopback"),
        (["--openflow-listen", "ptcp:6653:[::]"], "plain TCP is for loopback"),
        (["--openflow-advertise", "tcp:192.0.2.1:6653"], "plain TCP is for loopback"),
        (["--openflow-advertise", "192.0.2.1"], "write ssl:ADDRESS:PORT"),
        (["--openflow-listen", "pssl:6653:127.0.0.1"], "needs --private-key"),
        (["--private-key", "key.pem"], "go together"),
        (["--private-key", "no", "--certificate", "no", "--ca-certificate", "no"], "cannot use"),
        (["--db", "ssl:192.0.2.1:6641"], "needs --private-key"),
        (["--db", "192.0.2.1"], "--db: not an OVSDB remote"),
    ],
)
def test_what_cannot_be_safe_is_refused_at_the_start(options, says, tmp_path):
    words = [sys.executable, "-W", "ignore", "-m", "vneter_sdn", "up", *options]
    words += ["--state-dir", str(tmp_path / "state"), "--run-dir", str(tmp_path / "run")]
    run = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1, run.stderr
    assert run.stderr.startswith("error: ")
    assert says in run.stderr
    assert not (tmp_path / "state").exists()
