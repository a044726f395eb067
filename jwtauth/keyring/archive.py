"""The keys folder in one file, apart from backups of the database: a tar file of its files as they are on the disk."""

import io
import re
import tarfile
from pathlib import Path
from typing import Final

from jwtauth.errors import ConfigurationError
from jwtauth.keyring.folder import SECRET_FILE, SUFFIX, read_private, write_private

_KEY_FILE: Final = re.compile(f"[A-Za-z0-9_-]+{re.escape(SUFFIX)}")
_ADVICE: Final = "name a file that `jwtauth backup --secrets` has made"


def write(contents: dict[str, bytes], path: Path) -> None:
    """Write files into an archive that only its owner reads.

    Raises:
        ConfigurationError: it cannot be written.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.mode, member.size = 0o600, len(content)
            tar.addfile(member, io.BytesIO(content))
    write_private(path, archive.getvalue())


def read(path: Path) -> dict[str, bytes]:
    """The files in an archive by name; nothing is unpacked anywhere.

    Raises:
        ConfigurationError: others can read it, or it is no archive of a keys folder.
    """
    content = read_private(path)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            found = {member.name: _content(tar, member) for member in tar.getmembers()}
    except (tarfile.TarError, EOFError, ValueError):
        raise ConfigurationError(f"{path} is damaged or no archive of secrets; {_ADVICE}") from None
    if SECRET_FILE not in found or not all(map(_is_ours, found)):
        raise ConfigurationError(f"{path} is no archive of secrets; {_ADVICE}")
    return found


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    is_plain = member.isreg() and not member.issparse()  # the holes of a sparse one would be filled, in memory
    file = tar.extractfile(member) if is_plain else None
    if file is None:
        raise ValueError(f"{member.name} is no file")
    content = file.read()
    if len(content) != member.size:
        raise EOFError(member.name)
    return content


def _is_ours(name: str) -> bool:
    return name == SECRET_FILE or _KEY_FILE.fullmatch(name) is not None
