# SPDX-License-Identifier: Apache-2.0
"""A typed client of the REST server: what the CLI is built on, and what programs may use."""

from vneter_sdn.client.client import DEFAULT_SERVER, Client, Manifest

__all__ = ["DEFAULT_SERVER", "Client", "Manifest"]
