# SPDX-License-Identifier: Apache-2.0
"""TLS to a real ovsdb-server: both ends show a certificate of the fleet's CA, or nothing works."""

import socket
import subprocess

import pytest

from vneter_sdn.errors import SessionClosed
from vneter_sdn.ovsdb import operations as op
from vneter_sdn.ovsdb.client import Client, Limits
from vneter_sdn.ovsdb.transport import TlsFiles

pytestmark = pytest.mark.ovs
LIMITS = Limits(deadline=5.0)


def authority(directory, name):
    """A self-signed CA and a function that signs a certificate for a name."""
    directory.mkdir()
    ca, key = directory / "ca.pem", directory / "ca.key"
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-batch"]
    subject = ["-subj", f"/CN={name}", "-x509", "-days", "2"]
    run([*new, *subject, "-keyout", key, "-out", ca])

    def sign(common_name):
        paths = [directory / f"{common_name}.{kind}" for kind in ("key", "csr", "pem")]
        run([*new, "-subj", f"/CN={common_name}", "-keyout", paths[0], "-out", paths[1]])
        signing = ["-CA", ca, "-CAkey", key, "-CAcreateserial", "-days", "2"]
        run(["openssl", "x509", "-req", "-in", paths[1], *signing, "-out", paths[2]])
        return TlsFiles(str(paths[0]), str(paths[2]), str(ca))

    return sign


def run(command):
    subprocess.run(command, check=True, capture_output=True, timeout=30)


@pytest.fixture
def secure(ovs, tmp_path):
    """(remote, a good client's files, the files of another CA)."""
    ours, theirs = authority(tmp_path / "ours", "ours"), authority(tmp_path / "theirs", "theirs")
    server = ours("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sandbox = ovs()
    from_schema = type(sandbox).start_database.__defaults__[0]
    sandbox.start_database(
        from_schema,
        f"--remote=pssl:{port}:127.0.0.1",
        f"--private-key={server.private_key}",
        f"--certificate={server.certificate}",
        f"--ca-cert={server.ca_certificate}",
    )
    return f"ssl:127.0.0.1:{port}", ours("client"), theirs("client")


def test_certificates_of_the_fleet(secure):
    remote, good, bad = secure
    with Client(remote, limits=LIMITS, tls=good) as client:
        assert "Open_vSwitch" in client.list_dbs()
        client.monitor("Open_vSwitch", {"Open_vSwitch": None})
        big = {"x": "y" * 300_000}
        client.transact("Open_vSwitch", [op.insert("Open_vSwitch", {"external_ids": big})])
        (update,) = client.poll(10)
        ((change,),) = [rows.values() for rows in update.tables.values()]
        assert change.columns["external_ids"] == big
    mixed = TlsFiles(bad.private_key, bad.certificate, good.ca_certificate)
    with pytest.raises(SessionClosed, match="ssl:"):
        Client(remote, limits=LIMITS, tls=mixed).list_dbs()
    with pytest.raises(SessionClosed, match="CERTIFICATE_VERIFY_FAILED"):
        Client(remote, limits=LIMITS, tls=bad)
    with pytest.raises(ValueError, match="certificate"):
        Client(remote, limits=LIMITS)


def test_a_server_that_never_shakes_hands(secure, tmp_path):
    _, good, _ = secure
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(SessionClosed, match="deadline"):
            Client(
                f"ssl:127.0.0.1:{listener.getsockname()[1]}", limits=Limits(deadline=0.2), tls=good
            )
