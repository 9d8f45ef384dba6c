# SPDX-License-Identifier: Apache-2.0
"""``vneterctl up``: the controller in one command."""

from __future__ import annotations

import logging

from vneter_sdn.config import Settings


def up(settings: Settings, *, verbose: bool) -> None:
    """Run until interrupted.

    Raises:
        IntentError: the REST server may not listen where it should.
        VneterError: the controller cannot start.
    """
    from vneter_sdn.daemon.preflight import check
    from vneter_sdn.daemon.supervisor import run
    from vneter_sdn.northbound.server import listen_options

    listen_options(settings.api_listen)  # the server's own process would only fail again and again
    check(settings)

    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    run(settings)
