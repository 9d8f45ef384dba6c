# SPDX-License-Identifier: Apache-2.0
"""What the edge of a network answers: frames in, frames out. Pure."""
