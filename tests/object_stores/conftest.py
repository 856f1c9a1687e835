"""A server that speaks S3, in a process of its own: moto's. Nothing leaves this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import uuid

import pytest

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("moto.server")
pytest.importorskip("s3fs")


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    """The address of the server, with keys and endpoint in the environment."""
    log = tmp_path_factory.mktemp("moto") / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=out, stderr=out, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        _wait(port, process, log)
        url = f"http://127.0.0.1:{port}"
        with pytest.MonkeyPatch.context() as patch:
            for name in [one for one in os.environ if one.startswith(("AWS_", "FSSPEC_"))]:
                patch.delenv(name)
            patch.setenv("AWS_ENDPOINT_URL", url)
            patch.setenv("AWS_ACCESS_KEY_ID", "testing")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-that-is-never-shown")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
            fsspec.config.conf.clear()
            _forget()
            yield url
    finally:
        process.kill()
        process.wait(timeout=10)


def _forget():
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def _wait(port, process, log):
    for _ in range(300):
        if process.poll() is not None:
            break
        with socket.socket() as client:
            client.settimeout(1)
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"moto's server did not start:\n{log.read_text()}")


@pytest.fixture
def bucket(server):
    """A bucket of one test, as ``s3://NAME``."""
    import s3fs

    name = f"b{uuid.uuid4().hex[:12]}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


@pytest.fixture
def s3(server):
    """The judge: s3fs by itself."""
    import s3fs

    system = s3fs.S3FileSystem()
    system.invalidate_cache()
    return system
