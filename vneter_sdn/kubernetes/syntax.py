# SPDX-License-Identifier: Apache-2.0
"""How Kubernetes wants names, labels and ports written, as its API server checks them."""

from __future__ import annotations

import re

_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL = re.compile(rf"{_DNS}\Z")
_SUBDOMAIN = re.compile(rf"{_DNS}(\.{_DNS})*\Z")
_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
_PORT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")

_PLAIN = "letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
_LOWER = "lower-case letters, digits and '-', beginning and ending with a letter or digit"


def _shown(text: str) -> str:
    return repr(text[:64])


def dns_label(text: str) -> str:
    """A name without dots, as of a Namespace (RFC 1123).

    Raises:
        ValueError: it is not written so; the message says how.
    """
    if len(text) > 63 or not _LABEL.match(text):
        raise ValueError(f"{_shown(text)} is no name: it has 1 to 63 {_LOWER}")
    return text


def dns_subdomain(text: str) -> str:
    """A name that may have dots, as of most kinds (RFC 1123).

    Raises:
        ValueError: it is not written so; the message says how.
    """
    if len(text) > 253 or not _SUBDOMAIN.match(text):
        raise ValueError(
            f"{_shown(text)} is no name: it has at most 253 characters, in parts joined by '.', "
            f"each of {_LOWER}"
        )
    return text


def label_key(text: str) -> str:
    """``app``, ``example.com/app``.

    Raises:
        ValueError: it is not written so; the message says how.
    """
    prefix, slash, name = text.rpartition("/")
    if len(name) > 63 or not _PART.match(name):
        raise ValueError(
            f"{_shown(text)} is no key of a label: {'after the /, ' if slash else ''}"
            f"it has 1 to 63 {_PLAIN}"
        )
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.match(prefix)):
        text = f"{_shown(text)} is no key of a label: before the / is a DNS name in lower case"
        raise ValueError(text)
    return text


def label_value(text: str) -> str:
    """The value of a label; may be empty.

    Raises:
        ValueError: it is not written so; the message says how.
    """
    if len(text) > 63 or (text and not _PART.match(text)):
        raise ValueError(
            f"{_shown(text)} is no value of a label: it is empty, or has at most 63 {_PLAIN}"
        )
    return text


def port_name(text: str) -> str:
    """The name of a port (RFC 6335 §5.1, in lower case).

    Raises:
        ValueError: it is not written so; the message says how.
    """
    if text.isdecimal():
        raise ValueError(f"{_shown(text)} in quotes is the name of a port; write {text[:8]} plain")
    if len(text) > 15 or not _PORT.match(text) or not re.search("[a-z]", text):
        raise ValueError(
            f"{_shown(text)} is no name of a port: it has 1 to 15 lower-case letters, digits and "
            "single '-', at least one letter, and neither begins nor ends with '-'"
        )
    return text


def port_number(number: int) -> int:
    """A port.

    Raises:
        ValueError: it is not 1 to 65535.
    """
    if not 1 <= number <= 65535:
        raise ValueError(f"{str(number)[:24]} is no port; ports are 1 to 65535")
    return number
