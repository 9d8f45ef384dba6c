# SPDX-License-Identifier: Apache-2.0
"""Processes: the core, the API server, the database, and their supervisor."""
