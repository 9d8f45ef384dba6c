# SPDX-License-Identifier: Apache-2.0
"""The API process: REST over the store, on threads.

``python -m vneter_sdn.daemon.api SETTINGS.json``.
"""

from __future__ import annotations

import atexit
import gc
import logging
import sys
import time

from vneter_sdn.config import Settings
from vneter_sdn.daemon import dumps, errand
from vneter_sdn.daemon.children import REFUSED
from vneter_sdn.daemon.handover import read_settings, refuse, retention, tls_files
from vneter_sdn.daemon.heartbeat import alive
from vneter_sdn.errors import IntentError, StoreUnavailable, VneterError
from vneter_sdn.northbound.access.first import first_token
from vneter_sdn.northbound.server import serve
from vneter_sdn.store.ovsdb import OvsdbStore
from vneter_sdn.store.port import Store
from vneter_sdn.telemetry import logs

_log = logging.getLogger(__name__)
RETRY = 0.5


def _open_store(settings: Settings) -> OvsdbStore:
    while True:
        try:
            return OvsdbStore(settings.db, tls=tls_files(settings), retention=retention(settings))
        except StoreUnavailable as away:
            _log.warning("%s; trying again", away)
            time.sleep(RETRY)


def _verified(store: Store, settings: Settings, file: str) -> Store:
    """The store, with whatever proves what is written to it."""
    if settings.verify_applies == "off":
        return store
    from vneter_sdn.daemon.proofs import DistantProofs  # of no use otherwise
    from vneter_sdn.daemon.verified import VerifiedStore

    proofs = DistantProofs(file, settings.verify_limit)
    return VerifiedStore(store, proofs, enforce=settings.verify_applies == "enforce")


def main() -> None:
    """Serve until SIGTERM."""
    dumps.forbid()
    atexit.register(gc.freeze)  # or the interpreter looks through all that is left before it ends
    settings = read_settings(sys.argv[1])
    logs.set_up(settings.log_level, file=logs.log_file(settings.state_dir, "api"))
    store = _verified(_open_store(settings), settings, sys.argv[1])
    try:
        first_token(store, settings.api_first_token)
        serve(
            store,
            settings,
            core_alive=lambda: alive(settings.run_dir),
            inject=lambda asked: errand.ask(settings.run_dir, asked),
        )
    except IntentError as refused:
        _log.error("the REST server does not listen at %s: %s", settings.api_listen, refused)
        refuse(settings.run_dir, refused.problems[0].message)
        sys.exit(REFUSED)
    except (VneterError, OSError) as refused:
        _log.error("the REST server cannot listen at %s: %s", settings.api_listen, refused)
        sys.exit(1)
    finally:
        store.close()


if __name__ == "__main__":
    main()
