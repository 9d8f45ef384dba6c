# SPDX-License-Identifier: Apache-2.0
"""The difference between desired and observed, as a plan. Pure."""
