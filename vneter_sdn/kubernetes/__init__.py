# SPDX-License-Identifier: Apache-2.0
"""Manifests written for Kubernetes, as our own kinds. Pure."""
