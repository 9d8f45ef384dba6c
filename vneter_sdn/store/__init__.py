# SPDX-License-Identifier: Apache-2.0
"""Where intent is kept: one OVSDB database, and its in-memory twin."""
