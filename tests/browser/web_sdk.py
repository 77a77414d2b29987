"""The Web SDK as it is published: one version, its digest, its files as they come.

Source: https://www.npmjs.com/package/@adobe/alloy.
"""

import hashlib
import shutil
import subprocess
import tarfile
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

VERSION = "2.33.1"
_SHA512 = "yg+HD3Oslhrmt3stSwtKc22qbwjR4ehFzXfc8RCEwultr41y85S2dSsojvPt2Mife0IZ4Wp/1EexGp1f6TbWDg=="
_KEPT = Path(__file__).parents[2] / ".cache" / f"alloy-{VERSION}.tgz"
LIBRARY = "alloy.min.js"
WORKER = "alloyServiceWorker.min.js"
_INSTALL_S = 120


class WebSdkError(Exception):
    """The Web SDK is missing, or is not what was pinned."""


def bring() -> None:
    """Fetch the package from the registry that npm is set up with, unless it is there already."""
    if _KEPT.exists() and _is_pinned(_KEPT):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise WebSdkError("npm is missing: run `make browser`")
    _KEPT.parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=_KEPT.parent) as folder:
        name = f"@adobe/alloy@{VERSION}"
        command = [npm, "pack", name, "--silent", "--pack-destination", folder]
        subprocess.run(command, check=True, timeout=_INSTALL_S, stdout=subprocess.DEVNULL)
        (found,) = Path(folder).iterdir()
        if not _is_pinned(found):
            raise WebSdkError(f"{name} is not the package that was pinned")
        found.rename(_KEPT)


def read_files() -> dict[str, bytes]:
    """Return the prebuilt library and its service worker, byte for byte as published.

    Raises:
        WebSdkError: The package was not fetched yet.
    """
    if not _KEPT.exists() or not _is_pinned(_KEPT):
        raise WebSdkError("the Web SDK is missing: run `make browser`")
    with tarfile.open(_KEPT) as package:
        return {name: _member(package, f"package/dist/{name}") for name in (LIBRARY, WORKER)}


def _member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(name)
    if file is None:
        raise WebSdkError(f"the package holds no {name}")
    return file.read()


def _is_pinned(file: Path) -> bool:
    return b64encode(hashlib.sha512(file.read_bytes()).digest()).decode() == _SHA512
