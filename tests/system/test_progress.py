"""What a long stage says of itself where there is no terminal."""

from __future__ import annotations

import time

import pytest

from ebmrepro.system import progress


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Of ten epochs of 2 s each and then ninety of 20 s."""
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for epoch in progress.follow(range(100), 100, "mnist dbn seed 0"):
        clock[0] += 2 if epoch < 10 else 20
    return capsys.readouterr().out.splitlines()


def test_the_time_to_go_is_by_the_pace_of_now_and_not_of_an_earlier_phase(lines: list[str]):
    told = {int(line.split()[4]): int(line.split()[-4]) for line in lines[:-1]}
    assert lines[0] == "mnist dbn seed 0: 5 of 100 epochs, about 190 s to go"
    late = {done: left for done, left in told.items() if done > 20}
    assert late and all(left == 20 * (100 - done) for done, left in late.items())


def test_lines_are_seconds_apart_and_the_last_says_what_all_took(lines: list[str]):
    assert len(lines) == 92 and lines[-1] == "mnist dbn seed 0: 100 epochs in 1820.0 s"
