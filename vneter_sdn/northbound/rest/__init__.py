# SPDX-License-Identifier: Apache-2.0
"""The REST server, and the only place that imports Flask."""
