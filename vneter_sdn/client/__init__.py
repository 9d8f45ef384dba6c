# SPDX-License-Identifier: Apache-2.0
"""A typed client of the REST server: what the CLI is built on, and what programs may use."""

from vneter_sdn.client.client import Client
from vneter_sdn.client.results import Change, Item, Manifest
from vneter_sdn.client.transport import DEFAULT_SERVER, Tls

__all__ = ["DEFAULT_SERVER", "Change", "Client", "Item", "Manifest", "Tls"]
