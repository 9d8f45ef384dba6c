# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 on sockets, with or without TLS, in front of a WSGI application (design 0019)."""
