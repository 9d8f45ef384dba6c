# SPDX-License-Identifier: Apache-2.0
"""OpenFlow 1.5 and 1.4: codec, validator, session, listener."""
