# SPDX-License-Identifier: Apache-2.0
"""What is sent to bridges and hosts, and what they answer."""
