# SPDX-License-Identifier: Apache-2.0
"""What the supervisor hands its children: the settings, in a file that only we may read."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from vneter_sdn.config import Settings
from vneter_sdn.ovsdb.transport import TlsFiles
from vneter_sdn.store.port import Retention


def settings_file(run_dir: str) -> Path:
    """Where they are."""
    return Path(run_dir) / "settings.json"


def write_settings(settings: Settings) -> Path:
    """Write the settings below the run directory; returns where."""
    run_dir = Path(settings.run_dir)
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    path = settings_file(settings.run_dir)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(settings))
    fresh.rename(path)
    return path


def read_settings(path: str) -> Settings:
    """Settings that the supervisor wrote."""
    return msgspec.json.decode(Path(path).read_bytes(), type=Settings)


def retention(settings: Settings) -> Retention:
    """How much of the past stores keep."""
    return Retention(
        revisions=settings.history_revisions,
        seconds=settings.history_days * 86_400,
        audit=settings.history_audit,
        requests=settings.idempotency_hours * 3_600,
    )


def tls_files(settings: Settings) -> TlsFiles | None:
    """The process's key and certificates; None unless all three are set."""
    files = (settings.private_key, settings.certificate, settings.ca_certificate)
    return TlsFiles(*files) if all(files) else None


def refuse(run_dir: str, why: str) -> None:
    """Tell the supervisor why a child cannot do its work with these settings, whatever it tries."""
    (Path(run_dir) / "refused").write_text(why, encoding="utf-8")


def refusal(run_dir: str) -> str:
    """What a child told so; it is forgotten with that."""
    path = Path(run_dir) / "refused"
    try:
        why = path.read_text(encoding="utf-8")
    except OSError:
        return "its log says why"
    path.unlink(missing_ok=True)
    return why
