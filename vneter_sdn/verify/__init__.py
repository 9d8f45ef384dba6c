# SPDX-License-Identifier: Apache-2.0
"""Proofs over compiled flows: every packet, not samples. Pure."""
