# SPDX-License-Identifier: Apache-2.0
"""The core process runs eventlet alone: os-ken starts no native threads in it (design 0002)."""

import subprocess
import sys


def test_whichever_module_comes_first_os_ken_runs_on_eventlet():
    for first in (
        "vneter_sdn.daemon.core",
        "vneter_sdn_apps.icmp_errors",
        "vneter_sdn_apps.bridges",
    ):
        code = f"import {first}; from os_ken.lib import hub; print(hub.HUB_TYPE)"
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.stdout.strip() == "eventlet", (first, run.stderr)
