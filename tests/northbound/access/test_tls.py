# SPDX-License-Identifier: Apache-2.0
"""The server over real TLS: who is spoken to, and who is let in."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vneter_sdn.config import Settings
from vneter_sdn.errors import IntentError
from vneter_sdn.model.snapshot import Key
from vneter_sdn.northbound.access.throttle import BURST
from vneter_sdn.northbound.server import Server, check_credentials, check_settings
from vneter_sdn.northbound.wire.tls import LOOK, Context, TlsFiles
from vneter_sdn.store.port import Edit

from .conftest import Caller

_TENANT = {"apiVersion": "vneter.io/v1", "kind": "Tenant", "metadata": {"name": "t"}, "spec": {}}


@pytest.fixture
def caller(start, secure, trusting, grant):
    """A server with one token, and a function that asks it over TLS."""
    grant("other")
    return Caller(start(secure()), trusting())


def test_a_token_opens_the_door(caller, grant):
    token = grant("ci", "editor", "red")
    assert caller(token=token).json == {
        "name": "token:ci",
        "via": "token",
        "grants": [{"role": "editor", "tenants": ["red"]}],
        "expires": None,
    }
    assert caller("/v1/tenants/red/networks", token=token).status == 200


def test_without_a_credential_only_what_is_open_is_open(caller):
    refused = caller("/v1/networks")
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="vneter"'
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json["type"] == "urn:vneter:problem:unauthenticated"
    assert caller("/healthz").status == 200
    assert caller("/v1/whoami").json["via"] == "nobody"
    assert caller("/no/such/path").status == 401


def test_a_body_is_not_read_of_whom_nobody_knows(caller):
    with caller.connected() as tls:
        head = "POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        tls.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode())
        assert tls.recv(4096).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("length", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_nobody_sends_a_body_to_what_is_open_either(caller, length):
    with caller.connected() as tls:
        tls.sendall(f"POST /healthz HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode())
        assert tls.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_a_secret_is_in_no_answer_and_in_no_log(caller, grant, store, caplog):
    caplog.set_level("DEBUG")
    token = grant("ci")
    bad = token[:-1] + ("0" if token[-1] != "0" else "1")
    answers = [caller(token=bad), caller("/v1/tokens", token=token), caller(token=token)]
    assert [one.status for one in answers] == [401, 403, 200]
    said = b"".join(one.data for one in answers).decode() + caplog.text
    said += repr(store.credentials())
    for one in (token, bad):
        assert one.rpartition("_")[2] not in said


def test_revocation_counts_at_once(caller, grant, store):
    token = grant("ci")
    assert caller(token=token).status == 200
    store.revoke("ci")
    assert caller(token=token).status == 401


def watching(caller, token):
    """A watch that has begun."""
    tls = caller.connected()
    tls.sendall(
        b"GET /v1/watch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + token.encode()
        + b"\r\n\r\n"
    )
    answer = http.client.HTTPResponse(tls)
    answer.begin()
    while not answer.readline().startswith(b"event: bookmark"):
        assert not answer.closed
    return tls, answer


def test_a_revoked_token_ends_the_watch_that_it_began(caller, grant, store):
    tls, answer = watching(caller, grant("ci"))
    store.revoke("ci")
    store.apply([Edit("apply", Key("Tenant", "", "t"), _TENANT)], author="x")
    try:
        rest = answer.read()
    except (http.client.IncompleteRead, ConnectionError):
        rest = b""  # cut off, as something was there to be told
    assert b"added" not in rest
    tls.close()


def test_a_stopping_server_ends_watches_whole(caller, grant, start):
    tls, answer = watching(caller, grant("ci"))
    caller.server.stop()
    assert b"added" not in answer.read()  # IncompleteRead if it were cut off
    tls.close()


def test_who_fails_too_often_is_told_to_wait(caller, grant):
    token = grant("ci")
    found = [caller(token="vnt_ci_" + "0" * 64) for _ in range(BURST + 1)]
    assert [one.status for one in found] == [401] * BURST + [429]
    assert int(found[-1].headers["retry-after"]) >= 1
    assert caller(token=token).status == 200


def test_names_of_hosts_do_not_matter_where_a_credential_is_needed(caller, grant):
    token = grant("ci")
    assert caller(token=token, Host="sdn.example.com").status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_are_refused(caller, version):
    caller.context.minimum_version = version
    caller.context.maximum_version = version
    caller.context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        caller()


def test_the_newest_version_is_spoken(caller):
    with caller.connected() as tls:
        assert tls.version() == "TLSv1.3"


def test_plain_http_gets_no_answer(caller):
    with socket.create_connection(("127.0.0.1", caller.port), timeout=20) as wire:
        wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in wire.recv(4096)


def test_a_client_that_does_not_know_our_authority_does_not_speak_to_us(caller):
    caller.context = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        caller()
    caller.context = ssl.create_default_context()
    caller.context.check_hostname, caller.context.verify_mode = False, ssl.CERT_NONE
    assert caller("/healthz").status == 200


# ---- mutual TLS


def test_a_certificate_is_a_credential(start, secure, trusting, grant, authority):
    ada = authority.issue("ada", "URI:spiffe://example.org/ada")
    grant("URI=spiffe://example.org/ada", "viewer", "red", certificate=True)
    server = start(secure(api_client_ca=authority.certificate))
    known = Caller(server, trusting(ada))()
    assert known.json["name"] == "certificate:URI=spiffe://example.org/ada"
    assert Caller(server, trusting(authority.issue("bob")))("/v1/networks").status == 401
    assert Caller(server, trusting())("/v1/networks").status == 401
    token = grant("ci")
    assert Caller(server, trusting(ada))(token=token).json["name"] == "token:ci"


def test_certificates_of_others_and_of_yesterday_are_refused(
    start, secure, trusting, grant, authority, stranger
):
    for name in ("eve", "old"):
        grant(f"CN={name}", "admin", certificate=True)
    server = start(secure(api_client_ca=authority.certificate))
    for bad in (stranger.issue("eve"), authority.issue("old", days=-1)):
        with pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError)):
            Caller(server, trusting(bad))()


def test_clients_without_a_certificate_are_not_spoken_to_where_one_is_required(
    start, secure, trusting, grant, authority
):
    grant("CN=ada", "viewer", certificate=True)
    settings = secure(api_client_ca=authority.certificate, api_require_certificate=True)
    server = start(settings)
    with pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError)):
        Caller(server, trusting())("/healthz")
    assert Caller(server, trusting(authority.issue("ada")))().status == 200


# ---- what is refused before anything listens


def test_off_loopback_there_must_be_a_credential(store, secure, grant, authority):
    open_to_all = secure(api_listen="0.0.0.0:8181")
    check_settings(open_to_all)
    with pytest.raises(IntentError, match="there is no credential yet"):
        check_credentials(store, open_to_all)
    with pytest.raises(IntentError, match="there is no credential yet"):
        Server(store, secure())
    check_credentials(store, secure(api_client_ca=authority.certificate))
    grant("ci")
    check_credentials(store, open_to_all)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"api_tls_certificate": "x"}, "go together"),
        ({"api_tls_key": "x"}, "go together"),
        ({"api_client_ca": "x"}, "needs --api-tls-certificate"),
        ({"api_tls_certificate": "no", "api_tls_key": "no"}, "cannot use no, no"),
        (
            {"api_tls_certificate": "x", "api_tls_key": "x", "api_require_certificate": True},
            "needs --api-client-ca",
        ),
    ],
)
def test_files_that_are_not_whole(values, says):
    with pytest.raises(IntentError, match=says):
        check_settings(Settings(**values))


def test_a_key_that_everybody_can_read_is_refused(authority, tmp_path):
    pem = authority.issue("loose")
    key = shutil.copy(pem.key, tmp_path / "loose.key")
    os.chmod(key, 0o604)
    with pytest.raises(IntentError, match="chmod 600"):
        check_settings(Settings(api_tls_certificate=pem.certificate, api_tls_key=str(key)))
    os.chmod(key, 0o640)  # as Debian's group ssl-cert has it
    check_settings(Settings(api_tls_certificate=pem.certificate, api_tls_key=str(key)))


def test_a_key_with_a_passphrase_is_refused_and_asked_of_nobody(authority, tmp_path):
    pem = authority.issue("locked")
    locked = tmp_path / "locked.key"
    words = ["openssl", "pkey", "-in", pem.key, "-aes128", "-passout", "pass:x", "-out", locked]
    subprocess.run(words, check=True, capture_output=True, timeout=30)
    with pytest.raises(IntentError, match="passphrase"):
        check_settings(Settings(api_tls_certificate=pem.certificate, api_tls_key=str(locked)))


# ---- the administrator's door, and new certificates


def test_beside_an_open_door_there_is_the_administrators(start, secure, grant, tmp_path):
    grant("ci")
    settings = secure(api_listen="0.0.0.0:0", api_require_credential=False, run_dir=str(tmp_path))
    server = start(settings)
    path = tmp_path / "api.sock"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert server.address.startswith("https://0.0.0.0:")
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(20)
        wire.connect(str(path))
        wire.sendall(b"GET /v1/whoami HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = wire.makefile("rb").read()
    assert b'"via":"local"' in answer


def test_a_new_certificate_is_used_for_new_connections(authority, stranger, pem, tmp_path, caplog):
    caplog.set_level("INFO")
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"

    class Clock:
        now = 0.0

        def __call__(self):
            self.now += LOOK
            return self.now

    def put(other):
        shutil.copy(other.certificate, certificate)
        shutil.copy(other.key, key)

    put(pem)
    context = Context(TlsFiles(str(certificate), str(key)), Clock())
    first = context.current()
    assert context.current() is first
    Path(certificate).write_text("half of")
    assert context.current() is first
    assert context.current() is first
    assert caplog.text.count("cannot be used") == 1
    os.unlink(certificate)
    assert context.current() is first
    put(authority.issue("next"))
    second = context.current()
    assert second is not first
    assert context.current() is second
    key.unlink()
    put(pem)
    key.chmod(0o644)
    assert context.current() is second
    assert "everybody on this machine can read" in caplog.text
    key.chmod(0o600)
    assert context.current() is not second


def test_a_running_server_shows_its_new_certificate(
    start, authority, trusting, grant, tmp_path, monkeypatch
):
    monkeypatch.setattr("vneter_sdn.northbound.wire.tls.LOOK", 0.0)
    paths = tmp_path / "s.pem", tmp_path / "s.key"
    for name in ("one", "two"):
        for source, target in zip(authority.issue(name), paths, strict=True):
            shutil.copy(source, target)
        if name == "one":
            token = grant("ci")
            settings = Settings(api_listen="127.0.0.1:0", run_dir=str(tmp_path),
                                api_tls_certificate=str(paths[0]),
                                api_tls_key=str(paths[1]))  # fmt: skip
            caller = Caller(start(settings), trusting())
        with caller.connected() as tls:
            subject = dict(one[0] for one in tls.getpeercert()["subject"])
        assert subject["commonName"] == name
        assert caller(token=token).status == 200


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--api-listen", "0.0.0.0:0"], "not on loopback: there the REST server needs TLS"),
        (["--api-listen", "example.org:80"], "no address to listen at"),
        (["--api-client-ca", "x"], "needs --api-tls-certificate"),
    ],
)
def test_up_refuses_what_cannot_be_safe(options, says, tmp_path):
    words = [sys.executable, "-W", "ignore", "-m", "vneter_sdn", "up", *options]
    words += ["--state-dir", str(tmp_path / "state"), "--run-dir", str(tmp_path / "run")]
    run = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1, run.stderr
    assert says in run.stderr
    assert not (tmp_path / "state").exists()
