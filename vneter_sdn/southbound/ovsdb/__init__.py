# SPDX-License-Identifier: Apache-2.0
"""OVSDB (RFC 7047): a bounded client, and one session per host."""
