# SPDX-License-Identifier: Apache-2.0
"""``python -m vneter_sdn`` is ``vneterctl``."""

from vneter_sdn.cli.main import main

if __name__ == "__main__":
    main()
