# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the reader of topology files: an atlas or IntentError.

Run as ``python tests/fuzz/fuzz_atlas.py -runs=100000``.
"""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import IntentError
    from vneter_sdn.graph.atlas import atlas_from, atlas_text


def target(data: bytes) -> None:
    """One input, as a file of each form."""
    for source in ("x.gml", "x.json", "x.yaml", "x"):
        with contextlib.suppress(IntentError):
            atlas_text(atlas_from(data, source))


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
