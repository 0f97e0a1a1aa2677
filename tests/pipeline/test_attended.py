"""A command that `ebmrepro repro` and `ablate` run to its end, and what is left of it then."""

import os
import signal
import sys
from pathlib import Path

import pytest

from ebmrepro.pipeline.repro import attended

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def run(program: str, hushed: str = "") -> int:
    return attended([sys.executable, "-c", program], Path(), os.environ, hushed)


def test_once_it_has_ended_signals_are_for_this_process_again():
    before = [signal.getsignal(number) for number in SIGNALS]
    assert run("raise SystemExit(3)") == 3
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_bytes_that_are_no_text_are_passed_on_as_well_as_may_be(capsys: pytest.CaptureFixture[str]):
    said = r"import sys; sys.stdout.buffer.write(b'\xe9 told\nhushed\n')"
    assert run(said, hushed="^hushed") == 0
    assert capsys.readouterr().err == "\ufffd told\n"
