# SPDX-License-Identifier: Apache-2.0
"""The central graph of bridges and links, and the paths over it."""
