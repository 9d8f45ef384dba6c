# SPDX-License-Identifier: Apache-2.0
"""What an intent must satisfy, and the numbers it is given. Pure."""
