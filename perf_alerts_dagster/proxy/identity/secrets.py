"""Secrets that nobody configured: made once, kept in the state folder, readable by its owner.

Of several starters one makes a secret, and all of them use that one.
"""

import hashlib
import os
import re
import secrets
import tempfile
from pathlib import Path

from perf_alerts_dagster.domain.errors import SettingsError
from perf_alerts_dagster.proxy.identity.registry import Key, Registry, configured_keys
from perf_alerts_dagster.settings import Settings

ADMIN_KEY_FILE = "admin_key.sha256"
TOKEN_SECRET_FILE = "jwt_secret"  # noqa: S105 - the name of a file
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
# Enough for each of the algorithms: 64 bytes for HS512.
_SECRET_BYTES = 64
_SECRET = re.compile(r"[A-Za-z0-9_-]{86,}", re.ASCII)


def new_key(role: str) -> str:
    """A key that nobody guesses; its beginning lets scanners find one that leaked."""
    return f"pa_{role}_{secrets.token_urlsafe(32)}"


def first_admin_key(settings: Settings) -> str | None:
    """Make an admin key where none is configured and none was made: the text to print, once.

    Only its hash is kept. To have another one made, delete the file `admin_key.sha256`.

    Raises:
        SettingsError: the state folder cannot be written.
    """
    if not settings.auth_enabled or configured_keys(settings):
        return None
    key = new_key("admin")
    made = _make(settings.state_dir / ADMIN_KEY_FILE, hashlib.sha256(key.encode()).hexdigest())
    return key if made else None


def registry(settings: Settings) -> Registry:
    """The keys of the settings, or the one that the first start made.

    None is made here, where nobody could be told of it: `first_admin_key` comes before.

    Raises:
        SettingsError: there is no key at all, or the state folder cannot be read.
    """
    keys = configured_keys(settings)
    if keys or not settings.auth_enabled:
        return Registry(keys)
    path = settings.state_dir / ADMIN_KEY_FILE
    if not path.exists():
        raise SettingsError(
            "ALERT_ADMIN_API_KEY is not set, nor is a key of another role, and none was made yet"
        )
    text = _kept(path, _HASH)
    return Registry([Key(role="admin", name="", hash=bytes.fromhex(text))])


def token_secret(settings: Settings) -> bytes:
    """What tokens are signed with: the configured secret, or one that is made once.

    Raises:
        SettingsError: the state folder cannot be read or written.
    """
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value().encode()
    path = settings.state_dir / TOKEN_SECRET_FILE
    if not path.exists():
        _make(path, secrets.token_urlsafe(_SECRET_BYTES))
    return _kept(path, _SECRET).encode()


def _make(path: Path, text: str) -> bool:
    """Whether this call made the file; it is there as a whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            return False
        # mkstemp makes files of mode 0600.
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(f"{text}\n")
                file.flush()
                os.fsync(file.fileno())
            # Unlike a rename, a link never replaces what another starter has made meanwhile.
            os.link(draft, path)
        except FileExistsError:
            return False
        finally:
            os.unlink(draft)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
    return True


def _kept(path: Path, form: re.Pattern[str]) -> str:
    try:
        path.chmod(0o600)
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is damaged; delete it to have a new one made") from error
    if not form.fullmatch(text):
        raise SettingsError(f"{path} is damaged; delete it to have a new one made")
    return text
