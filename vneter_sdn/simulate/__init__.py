# SPDX-License-Identifier: Apache-2.0
"""The pipeline's meaning, run on packets. Pure."""
