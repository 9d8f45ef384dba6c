# SPDX-License-Identifier: Apache-2.0
"""The commands of the README that make certificates, run as they are written there."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import stat
import subprocess
from pathlib import Path

import vneter_sdn
from vneter_sdn.config import Settings

README = Path(vneter_sdn.__file__).parent / "northbound" / "README.md"


def _commands() -> str:
    section = README.read_text(encoding="utf-8").partition("\n## Certificates\n")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def test_certificates_that_are_made_so_are_good_ones(start, grant, tmp_path):
    subprocess.run(
        ["bash", "-euc", _commands()], cwd=tmp_path, check=True, capture_output=True, timeout=60
    )
    for key in ("ca.key", "server.key", "ada.key"):
        assert stat.S_IMODE((tmp_path / key).stat().st_mode) == 0o600
    grant("CN=ada", "viewer", certificate=True)
    here = {name: str(tmp_path / name) for name in ("server.pem", "server.key", "ca.pem")}
    server = start(
        Settings(
            api_listen="127.0.0.1:0", run_dir=str(tmp_path), api_require_credential=True,
            api_tls_certificate=here["server.pem"], api_tls_key=here["server.key"],
            api_client_ca=here["ca.pem"],
        )
    )  # fmt: skip
    client = ssl.create_default_context(cafile=here["ca.pem"])
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_cert_chain(str(tmp_path / "ada.pem"), str(tmp_path / "ada.key"))
    port = int(server.address.rpartition(":")[2])
    with client.wrap_socket(
        socket.create_connection(("127.0.0.1", port), timeout=20), server_hostname="sdn.example.com"
    ) as wire:
        asking = http.client.HTTPConnection("sdn.example.com")
        asking.sock = wire
        asking.request("GET", "/v1/whoami")
        assert '"certificate:CN=ada"' in asking.getresponse().read().decode()
