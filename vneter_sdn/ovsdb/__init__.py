# SPDX-License-Identifier: Apache-2.0
"""An OVSDB client of our own (decision record 0003): bounded, durable, blocking in style.

::

    framing    bytes to JSON objects         no sockets
    values     atoms, sets, maps             no sockets
    schema     types of columns              no sockets
    protocol   messages and updates          no sockets
    operations what a transaction is made of no sockets
    replica    tables kept current           no sockets
    transport  unix, TCP, TLS
    client     one connection

Needs Open vSwitch 2.12 or newer at the other end (``monitor_cond_since``).
"""
