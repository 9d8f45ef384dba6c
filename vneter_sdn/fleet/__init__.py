# SPDX-License-Identifier: Apache-2.0
"""A fleet of real Open vSwitch hosts on one machine, each in a network namespace."""
