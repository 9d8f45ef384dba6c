# SPDX-License-Identifier: Apache-2.0
"""The loop: snapshot, compile, diff, commit, report."""
