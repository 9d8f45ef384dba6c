# SPDX-License-Identifier: Apache-2.0
"""Values every other layer speaks: kinds, snapshots, flows, addresses. Imports nothing above."""
