"""Two processes on halves of every batch train what one process trains on the whole."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trainings
from small import METHODS, NORMED, build, pictures, training
from torch import nn

from ebmrepro.config.documents import ParamsError
from ebmrepro.config.optimisers import SGD, Momentum
from ebmrepro.networks import distributed, random
from ebmrepro.training import batch_norm
from ebmrepro.training.batches import Batches

FORKS = multiprocessing.get_context("forkserver")
# EBGAN-PT's term is over the pairs of a rank's own images, so halves have other pairs.
SAME_IN_RANKS = [name for name in METHODS if name != "ebgan_pt"]
# Adam would make whole steps of rounding where a gradient is 0, and take a sum for a mean.
DESCENT = SGD(
    name="sgd",
    lr=1e-3,
    momentum=Momentum(initial=0.0, final=0.0, epochs=0),
    weight_decay=0.0,
)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def in_ranks(function: Callable[..., Any], *args: Any, count: int = 2) -> list[Any]:
    """What `function` returns in each of `count` ranks."""
    port, pipes, crew = free_port(), [], []
    for rank in range(count):
        receiver, sender = FORKS.Pipe(duplex=False)
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
        crew.append(FORKS.Process(target=_rank, args=(told, sender, function, args), daemon=True))
        crew[-1].start()
        sender.close()
        pipes.append(receiver)
    answers = [pipe.recv() for pipe in pipes]
    for process in crew:
        process.join()
    return answers


def _rank(told: dict[str, int], sender: Any, function: Callable[..., Any], args: Any) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", **{key: str(value) for key, value in told.items()}}
    torch.set_num_threads(1)
    with distributed.joined(torch.device("cpu")):
        sender.send(function(*args))


def trained(names: list[str], optim: SGD | None = None) -> dict[str, Any]:
    """Of each method: records of three epochs, and the state after them."""
    found = {}
    for name in names:
        run = training(build(name, NORMED), name, optim=optim)
        records = list(run.epochs())
        found[name] = records, {k: v.numpy() for k, v in run.method.state_dict().items()}
    return found


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return trained(METHODS, DESCENT)


@pytest.fixture(scope="module")
def halves() -> list[dict[str, Any]]:
    return in_ranks(trained, METHODS, DESCENT)


@pytest.fixture(scope="module")
def as_shipped() -> list[dict[str, Any]]:
    return in_ranks(trained, METHODS)


@pytest.mark.parametrize("name", SAME_IN_RANKS)
def test_two_ranks_train_what_one_process_trains(name: str, alone: Any, halves: Any):
    """Up to the order of sums: batch normalisation, k_t, the margin and z are the whole batch's."""
    records, state = alone[name]
    its_records, its_state = halves[0][name]
    for record, its in zip(records, its_records, strict=True):
        assert its == pytest.approx(record, rel=1e-5, abs=1e-5)
    for key in state:
        np.testing.assert_allclose(its_state[key], state[key], rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", METHODS)
def test_ranks_never_drift_apart(name: str, as_shipped: Any):
    (_, first), (_, second) = (half[name] for half in as_shipped)
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


def test_a_batch_that_ranks_cannot_share_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ParamsError, match="batch_size: found 8, which 3 ranks cannot share evenly"):
        Batches(*pictures(), 8, 0, torch.device("cpu"))


def _drawn() -> list[np.ndarray]:
    torch.manual_seed(0)
    p = torch.full((2000, 3), 0.3)
    with random.WholeBatch():
        found = [
            torch.randn(2000, 3),
            torch.rand((2000, 3)),
            torch.randn_like(p),
            p.bernoulli(),
            random.bernoulli(p),
            random.one_of(torch.tensor([[1.0, 2.0, 1.0]]).expand(2000, 3)),
        ]
    return [each.numpy() for each in found]


def test_ranks_draw_other_numbers_of_the_same_law():
    first, second = in_ranks(_drawn)
    torch.manual_seed(0)
    whole = torch.randn(4000, 3).numpy()  # what one process draws for the whole batch
    np.testing.assert_array_equal(np.concatenate([first[0], second[0]]), whole)
    for mine, other in zip(first, second, strict=True):
        assert (mine != other).any()
    for place in 3, 4:
        bits = np.concatenate([first[place], second[place]])
        assert set(np.unique(bits)) == {0.0, 1.0}
        assert abs(bits.mean() - 0.3) < 5 * (0.21 / bits.size) ** 0.5
    shares = np.bincount(np.concatenate([first[5], second[5]]).ravel(), minlength=3) / 4000
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=5 * (0.25 / 4000) ** 0.5)


def _states(rows: int = 20) -> list[np.ndarray]:
    torch.manual_seed(0)
    p = torch.full((rows, 3), 0.3)
    with random.WholeBatch():
        return [random.bernoulli(p).numpy(), random.one_of(p).numpy()]


def test_ranks_share_the_bits_and_labels_that_one_process_draws():
    for parts, whole in zip(zip(*in_ranks(_states), strict=True), _states(40), strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def _normalised(x: torch.Tensor) -> list[Any]:
    layers: Any = nn.Sequential(nn.BatchNorm2d(3))
    if distributed.count() > 1:
        batch_norm.over_ranks(layers)
    own: Any = x[distributed.rows(len(x))].requires_grad_()
    y = layers(own)
    (y**3).mean().backward()
    distributed.average_gradients(list(layers.parameters()))
    (layer,) = layers
    grads = own.grad / distributed.count(), layer.weight.grad, layer.bias.grad
    return [t.detach().numpy() for t in (y, *grads, *layers.buffers())]


def test_batch_normalisation_is_of_the_whole_batch():
    """Values, gradients and running statistics are those of torch's layer on all rows."""
    torch.manual_seed(0)
    x = torch.randn(6, 3, 4, 4)
    y, dx, *rest = _normalised(x.clone())
    first, second = in_ranks(_normalised, x)
    np.testing.assert_allclose(np.concatenate([first[0], second[0]]), y, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([first[1], second[1]]), dx, atol=1e-6)
    for mine, whole in zip(first[2:], rest, strict=True):
        np.testing.assert_allclose(mine, whole, atol=1e-5)


def torchrun(folder: Path, name: str) -> subprocess.Popen[str]:
    """The stage command as anyone would give it, twice at once."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", str(free_port()), str(trainings.ROOT / "stages/train.py")]
    settings = {"EBMREPRO_TRACKING": "off", "EBMREPRO_CHECKPOINT_SECONDS": "0"}
    return subprocess.Popen(
        [*command, trainings.SUITE, name, "0"],
        cwd=folder,
        env={**os.environ, **settings, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_torchrun_of_the_stage_command_stops_and_goes_on(tmp_path: Path):
    folder = trainings.project(tmp_path / "project", ["began"])
    whole = torchrun(folder, "began")
    said, _ = whole.communicate(timeout=120)
    assert whole.returncode == 0, said
    assert said.count("epochs in") == 1  # one rank talks
    out = trainings.out(folder, "began")
    wanted = trainings.outputs(out)

    trainings.clear(folder, "began")
    stopped = torchrun(folder, "began")
    while not list(folder.glob(".ebmrepro/checkpoints/*/2-ranks-cpu-torch-*/*.pt")):
        assert stopped.poll() is None
        time.sleep(0.02)
    stopped.send_signal(signal.SIGTERM)
    said, _ = stopped.communicate(timeout=120)
    assert stopped.returncode != 0
    again = torchrun(folder, "began")
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "going on after step" in said
    assert trainings.outputs(out) == wanted
