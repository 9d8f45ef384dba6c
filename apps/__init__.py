# SPDX-License-Identifier: Apache-2.0
"""os-ken applications: each turns OpenFlow events into one call on a session."""
