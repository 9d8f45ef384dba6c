# SPDX-License-Identifier: Apache-2.0
"""OpenFlow 1.5 and 1.4: codec, validator, session, listener."""

import os

os.environ["OSKEN_HUB_TYPE"] = "eventlet"
"""os-ken reads it when its hub is first imported, which some of its message classes do; its default
would start native threads in a process that has eventlet (design 0002)."""
