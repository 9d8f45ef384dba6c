# SPDX-License-Identifier: Apache-2.0
"""OVSDB database files (ovsdb(5), "Database Format"): a log of records with SHA-1 checksums.

``ovsdb-server`` silently drops everything from the first damaged record on. So whoever starts one
asks `verify` first, and never serves intent that shrank because a bit flipped.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from vneter_sdn.errors import DecodeError, StoreUnavailable
from vneter_sdn.ovsdb.schema import Schema

_HEADER = re.compile(rb"OVSDB (JSON|CLUSTER) ([0-9]{1,10}) ([0-9a-f]{40})\n")


def verify(path: Path) -> int:
    """The number of whole records of a database file.

    A last record that was cut short is what a crash leaves, was never acknowledged, and is fine.

    Raises:
        StoreUnavailable: a record is damaged although others follow it, or there is none.
    """
    data, position, records = path.read_bytes(), 0, 0
    while position < len(data):
        header = _HEADER.match(data, position)
        start = header.end() if header else position
        end = start + (int(header[2]) if header else 0)
        body = data[start:end]
        sound = header is not None and hashlib.sha1(body, usedforsecurity=False).hexdigest() == (
            header[3].decode()
        )
        if not sound:
            if records and not _HEADER.search(data, position + 1):
                return records
            raise StoreUnavailable(
                f"{path} is damaged at byte {position} of {len(data)}; restore a backup"
            )
        position, records = end, records + 1
    if not records:
        raise StoreUnavailable(f"{path} is empty; restore a backup, or remove it to start anew")
    return records


def schema_of(path: Path) -> Schema:
    """The schema of a standalone database file: its first record.

    Raises:
        StoreUnavailable: the file does not begin with one.
    """
    with path.open("rb") as file:
        header = _HEADER.fullmatch(file.readline(128))
        try:
            return Schema.parse(json.loads(file.read(int(header[2]) if header else 0)))
        except (ValueError, DecodeError) as error:
            raise StoreUnavailable(f"{path} does not begin with a schema: {error}") from error
