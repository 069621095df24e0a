"""The recovery kit: made here, shown once, kept by the operator and not by the machine."""

import getpass
import sys
from pathlib import Path

from ops.backup_place import Folder
from ops.children import Cannot
from storage.backup_format import BackupError, Kit, Sealer
from storage.secrets import read_secret, secret
from storage.settings import Settings

_RECIPIENT, _SIGNING = "backup-recipient", "backup-signing"
_KEY_BYTES = 32
_GROUP_AND_OTHERS = 0o077


def new_kit(settings: Settings) -> Kit:
    """Draw a recovery kit and keep its public half; backups are sealed for it from now on."""
    kit = Kit.new(Sealer(b"", secret(settings.home, _SIGNING)).signer)
    # Written as a whole: half a key would seal backups for nobody.
    folder = Folder(settings.secrets_dir)
    folder.put(f"{_RECIPIENT}-{kit.recipient.hex()[:16]}", [kit.recipient])
    folder.put(_RECIPIENT, [kit.recipient])
    return kit


def recipients(settings: Settings) -> list[bytes]:
    """The public half of every recovery key that was ever made here."""
    paths = sorted(settings.secrets_dir.glob(f"{_RECIPIENT}-*"))
    return [read_secret(path, _KEY_BYTES) for path in paths]


def sealer_of(settings: Settings) -> Sealer:
    """What this installation seals with. Raises Cannot before a recovery kit was made."""
    if not (settings.secrets_dir / _RECIPIENT).exists():
        raise Cannot(
            "There is no recovery key yet: make one with 'yanasha backup --new-recovery-key' "
            "and keep it away from this machine."
        )
    return Sealer(secret(settings.home, _RECIPIENT), secret(settings.home, _SIGNING))


def read_kit(path: str | None) -> Kit:
    """Read the recovery key from a file, or from whoever sits at the terminal. Raises Cannot."""
    if path is None:
        if not sys.stdin.isatty():
            raise Cannot("The recovery key is needed: name the file that holds it.")
        text = getpass.getpass("Recovery key: ")
    else:
        try:
            if Path(path).stat().st_mode & _GROUP_AND_OTHERS:
                raise Cannot(f"{path} can be read by other users: run 'chmod 600 {path}' first.")
            text = Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise Cannot(f"The recovery key cannot be read from {path}.") from error
    try:
        return Kit.read(text)
    except BackupError as error:
        raise Cannot(str(error)) from error
