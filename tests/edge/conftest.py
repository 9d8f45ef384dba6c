# SPDX-License-Identifier: Apache-2.0
"""Endpoints that ask, with a network as the store would hold it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
