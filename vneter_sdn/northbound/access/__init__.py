# SPDX-License-Identifier: Apache-2.0
"""Who asks the REST server for something, and what they may do (design 0019). No Flask here."""
