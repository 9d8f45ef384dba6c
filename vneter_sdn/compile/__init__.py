# SPDX-License-Identifier: Apache-2.0
"""From facts to flows, groups, meters and OVSDB rows, incrementally. Pure."""
