# SPDX-License-Identifier: Apache-2.0
"""What processes hold in memory (keys, tokens as they come) is not written to disk by a crash."""

import resource
import subprocess
import sys

import pytest

SAYS = """
import resource, sys
from vneter_sdn.daemon import {module}

def said(*_):
    print(*resource.getrlimit(resource.RLIMIT_CORE))
    sys.exit(0)

{module}.{first} = said
sys.argv = ["-m", "settings.json", "changes"]
{module}.{call}
"""


def _allowed():
    """As a service manager may: as much as may be."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


@pytest.mark.parametrize(
    ("module", "first", "call"),
    [
        ("api", "read_settings", "main()"),
        ("core", "read_settings", "main()"),
        ("prover", "read_settings", "main()"),
        ("supervisor", "_signalled", "run(None)"),
    ],
)
def test_no_process_that_has_settings_leaves_a_core(module, first, call):
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("nothing here leaves one")
    code = SAYS.format(module=module, first=first, call=call)
    words = [sys.executable, "-W", "ignore", "-c", code]
    found = subprocess.run(
        words, capture_output=True, text=True, timeout=120, check=True, preexec_fn=_allowed
    )
    assert found.stdout.split() == ["0", "0"]
