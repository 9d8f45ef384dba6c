# SPDX-License-Identifier: Apache-2.0
"""os-ken applications: each turns OpenFlow events into one call on a session."""

import vneter_sdn.southbound.openflow  # noqa: F401 - chooses os-ken's hub before os-ken is imported
