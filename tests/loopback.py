"""A network of this machine alone."""

import socket
import struct
import sys
from types import SimpleNamespace

import pytest

from ebmrepro.data import files


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Only this machine can be reached, no mirror is set, and nothing was downloaded before."""
    connect = socket.socket.connect

    def connect_here(self, address):
        if address[0] != "127.0.0.1":
            raise OSError("network blocked by the test")
        return connect(self, address)

    def resolve_nothing(host, *args, **kwargs):
        if host != "127.0.0.1":
            raise socket.gaierror("network blocked by the test")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, args[0]))]

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", resolve_nothing)
    for name in ("http_proxy", "https_proxy", "all_proxy", files.MIRROR):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(files, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))


def raise_loopback():
    """In an empty network namespace (`unshare -n`) even 127.0.0.1 is down: bring it up there."""
    if not sys.platform.startswith("linux"):
        return
    import fcntl

    get_flags, set_flags, up = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, get_flags, request))[1]
        if not flags & up:
            request = struct.pack("16sh14x", b"lo", flags | up)
            fcntl.ioctl(any_socket, set_flags, request)
