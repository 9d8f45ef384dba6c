# SPDX-License-Identifier: Apache-2.0
"""What compiled state means, on packets: one bridge, a whole fleet, and what the intent allows."""
