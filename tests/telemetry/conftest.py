# SPDX-License-Identifier: Apache-2.0
"""Imports what warns on import, before warnings become errors."""

from __future__ import annotations

import os
import warnings

os.environ["OSKEN_HUB_TYPE"] = "eventlet"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import eventlet  # noqa: F401
    import os_ken.base.app_manager  # noqa: F401
