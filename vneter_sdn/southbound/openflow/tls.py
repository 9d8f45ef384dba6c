# SPDX-License-Identifier: Apache-2.0
"""TLS for bridges: who may connect, and as which datapaths.

A client certificate is always required, TLS 1.2 at least. The datapath ids that a certificate
may speak for are URIs among its subject alternative names (RFC 5280 §4.2.1.6):
``urn:vneter:dpid:<16 hex digits>``, or the SPIFFE form ``spiffe://<domain>/…/switch/<16 hex>``.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_URN = re.compile(r"urn:vneter:dpid:([0-9a-f]{16})", re.ASCII)
_SPIFFE = re.compile(r"spiffe://[a-z0-9._-]+(?:/[A-Za-z0-9._-]+)*/switch/([0-9a-f]{16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Paths of the PEM files a listener needs."""

    private_key: str
    certificate: str
    ca_certificate: str


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """A context that accepts only clients with a certificate of our authority.

    Raises:
        OSError: a file cannot be read (`ssl.SSLError` when it is not what it should be).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(credentials.certificate, credentials.private_key)
    context.load_verify_locations(credentials.ca_certificate)
    return context


def datapaths(certificate: Mapping[str, Any] | None) -> frozenset[int]:
    """Datapath ids that a verified certificate (as `ssl` gives it) may speak for."""
    names = (certificate or {}).get("subjectAltName", ())
    found = set()
    for kind, name in names:
        if kind != "URI":
            continue
        matched = _URN.fullmatch(name) or _SPIFFE.fullmatch(name)
        if matched:
            found.add(int(matched[1], 16))
    return frozenset(found)
