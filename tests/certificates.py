"""A certificate for tests of encrypted connections."""

from __future__ import annotations

import shutil
import subprocess

import pytest

__all__ = ["certificate"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Paths of a key and of a certificate for localhost, signed by itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes certificates, is not installed")
    directory = tmp_path_factory.mktemp("certificate")
    key, made = str(directory / "key.pem"), str(directory / "certificate.pem")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-nodes"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", made, *subject]
    subprocess.run(command, check=True, capture_output=True)
    return key, made
