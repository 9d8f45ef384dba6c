# SPDX-License-Identifier: Apache-2.0
"""vneter_sdn: an SDN controller for Open vSwitch fleets."""

__version__ = "0.1.0"
