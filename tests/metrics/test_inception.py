"""Inception features: pytorch-fid's own numbers, from a local file, with no network."""

import hashlib
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from PIL import Image

from ebmrepro.metrics import inception
from ebmrepro.metrics.features import fit_gaussian
from ebmrepro.metrics.fid import frechet_distance
from ebmrepro.metrics.inception import FILE_NAME, VARIABLE, find_weights, inception_features

GIVEN = os.environ.get(VARIABLE)  # which conftest.py takes from every test


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of FID's architecture, and the start of their hash."""
    import torch
    from pytorch_fid import inception as peer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer, "load_state_dict_from_url", lambda *_, **__: None)
        patch.setattr(torch.nn.Module, "load_state_dict", lambda *_: None)
        network = peer.fid_inception_v3()
    torch.manual_seed(0)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 4:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        elif name.endswith("bias"):
            torch.nn.init.uniform_(parameter, -0.1, 0.1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # beside other tests, threads that wait for each other cost tenfold
    # Batch norms hold the statistics of some images, as after a training, so that features vary
    # from image to image as much as those of the real network do.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(resized(images(4, 3)))
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(network.state_dict(), path)
    yield path, hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    torch.set_num_threads(threads)
    path.unlink()  # 95 MB
    inception._network.cache_clear()


def peers(path: Path, build: str = "InceptionV3"):
    """pytorch-fid's network with the weights of a file."""
    import torch
    from pytorch_fid import inception as peer

    state = torch.load(path, weights_only=True)
    with inception._in_place_of_a_download(state):
        return getattr(peer, build)().eval()


def resized(x: np.ndarray):
    """What pytorch-fid gives to the first layer."""
    import torch

    pixels = torch.from_numpy(x).float().div(255)
    bilinear = torch.nn.functional.interpolate(
        pixels, size=(299, 299), mode="bilinear", align_corners=False
    )
    return 2 * bilinear - 1


def save(x: np.ndarray, folder: Path) -> list[Path]:
    """The images as PNG files."""
    folder.mkdir(exist_ok=True)
    files = []
    for i, image in enumerate(x):
        files.append(folder / f"{i}.png")
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(files[-1])
    return files


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a network was called")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def images(n: int, channels: int, side: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([channels, seed])
    coarse = rng.integers(0, 256, (n, channels, side // 4, side // 4), dtype=np.uint8)
    return coarse.repeat(4, axis=2).repeat(4, axis=3)


@pytest.mark.parametrize(("channels", "n"), [(1, 2), (3, 3)])
def test_features_are_those_that_pytorch_fid_computes_from_png_files(
    channels, n, weights, tmp_path, no_network
):
    from pytorch_fid.fid_score import get_activations

    path, prefix = weights
    x = images(n, channels)
    x.flags.writeable = False  # as a memory-mapped file is
    files = save(x, tmp_path / "png")

    found = inception_features(x, path, 2, "cpu", prefix)  # 2 does not divide 3: none is dropped
    features = found.features
    expected = get_activations(files, peers(path), batch_size=n, num_workers=0)

    assert features.shape == (n, 2048)
    assert features.dtype == np.float32
    assert features.std(axis=0).max() > 0.01 * features.max()  # the images differ in them
    np.testing.assert_allclose(features, expected, atol=3e-4 * features.max())


def test_what_makes_it_faster_leaves_it_as_near_to_float64_as_pytorch_fids_own(weights):
    """Folded batch norm, channels that lie last, and few images at once in the first blocks."""
    import torch

    path, prefix = weights
    x = images(2, 3)
    pixels = torch.from_numpy(x).float().div(255)
    network = peers(path)
    with torch.no_grad():
        theirs = network(pixels)[0].flatten(1).numpy()
        exact = network.double()(pixels.double())[0].flatten(1).numpy()
    ours = inception_features(x, path, 2, "cpu", prefix).features

    def error(found: np.ndarray) -> float:
        return float(np.sqrt(np.square(found - exact).mean()))

    assert error(theirs) > 0
    assert error(ours) < 2 * error(theirs)


def command_line(folders: list[Path], path: Path, monkeypatch, capsys) -> float:
    """What `python -m pytorch_fid FOLDER FOLDER` prints.

    It downloads weights unless it is given some, and passes an argument to SciPy's sqrtm that is
    gone in SciPy 1.18.
    """
    import torch
    from pytorch_fid import fid_score

    original = scipy.linalg.sqrtm
    monkeypatch.setattr(fid_score.linalg, "sqrtm", lambda x, disp: (original(x), disp))
    told = ["pytorch_fid", *map(str, folders), "--device", "cpu", "--num-workers", "0"]
    monkeypatch.setattr(sys, "argv", told)
    with inception._in_place_of_a_download(torch.load(path, weights_only=True)):
        fid_score.main()
    return float(capsys.readouterr().out.rpartition("FID:")[2])


def check_fid(path: Path, prefix: str, tmp_path: Path, monkeypatch, capsys) -> None:
    sets = [images(12, 3, seed=1), images(12, 3, seed=2)]
    folders = [tmp_path / "a", tmp_path / "b"]
    for x, folder in zip(sets, folders, strict=True):
        save(x, folder)
    fitted = [fit_gaussian(inception_features(x, path, 8, "cpu", prefix).features) for x in sets]
    found = frechet_distance(*fitted)
    assert 1 < found < 1000  # of the order that published ones have
    assert found == pytest.approx(command_line(folders, path, monkeypatch, capsys), abs=1e-3)


def test_fid_is_the_one_that_pytorch_fids_command_prints_of_the_same_png_files(
    weights, tmp_path, monkeypatch, capsys, no_network
):
    path, prefix = weights
    check_fid(path, prefix, tmp_path, monkeypatch, capsys)


def test_fid_is_the_one_of_the_command_also_by_the_real_weights(tmp_path, monkeypatch, capsys):
    if GIVEN is not None:
        monkeypatch.setenv(VARIABLE, GIVEN)
    path, reason = find_weights()
    if path is None:
        pytest.skip(str(reason))
    check_fid(path, inception.SHA256_PREFIX, tmp_path, monkeypatch, capsys)


def test_probabilities_are_the_softmax_of_the_whole_network_without_its_biases(weights):
    import torch

    path, prefix = weights
    x = images(3, 3)
    network = peers(path, "fid_inception_v3")
    found = inception_features(x, path, 3, "cpu", prefix).probabilities
    with torch.no_grad():
        biased = network(resized(x)).softmax(1).numpy()
        network.fc.bias.zero_()
        expected = network(resized(x)).softmax(1).numpy()

    assert found.shape == (3, 1008)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert np.abs(found / biased - 1).max() > 0.01
    assert np.abs(found[0] / found[1] - 1).max() > 0.01  # the images differ in them


def test_batches_are_passed_to_who_shows_how_far_they_are(weights):
    path, prefix = weights
    seen = []

    def follow(batches, count):
        for start in batches:
            seen.append((start, count))
            yield start

    inception_features(images(3, 1), path, 2, "cpu", prefix, follow)
    assert seen == [(0, 2), (2, 2)]
    read = inception._network.cache_info().misses
    inception_features(images(3, 1), path, 2, "cpu", prefix)
    assert inception._network.cache_info().misses == read  # once for all sets of images


def test_pytorch_fids_download_is_left_as_it_was_found(weights):
    from pytorch_fid import inception as peer

    before = peer.load_state_dict_from_url
    with pytest.raises(RuntimeError), inception._in_place_of_a_download({}):
        raise RuntimeError
    assert peer.load_state_dict_from_url is before


def test_weights_of_another_hash_are_not_loaded(tmp_path):
    path = tmp_path / FILE_NAME
    path.write_bytes(b"other weights")
    found = hashlib.sha256(b"other weights").hexdigest()
    with pytest.raises(ValueError, match=f"{found}, expected one that starts with 6726825d"):
        inception_features(images(2, 1), path, 2, "cpu")


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 1, 8, 8), np.float32),
        np.zeros((2, 2, 8, 8), np.uint8),
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((0, 1, 8, 8), np.uint8),
    ],
)
def test_images_that_are_not_uint8_of_one_or_three_channels_are_refused(bad, tmp_path):
    with pytest.raises(ValueError, match="images"):
        inception_features(bad, tmp_path / "never read", 2, "cpu")


def test_without_weights_there_is_a_reason_and_it_names_no_place_of_this_machine(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path, reason = find_weights()
    assert path is None
    assert reason is not None
    assert VARIABLE in reason
    assert FILE_NAME in reason
    assert str(tmp_path) not in reason


def test_weights_are_found_in_torchs_hub_cache_by_their_hash(tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / FILE_NAME
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()

    assert str(cached.parent.parent) == torch.hub.get_dir()
    assert find_weights(digest[:8]) == (cached, None)
    path, reason = find_weights()
    assert path is None
    assert reason is not None
    assert digest in reason
    assert str(tmp_path) not in reason


def test_weights_that_someone_named_come_before_the_cache(tmp_path, monkeypatch):
    named = tmp_path / "mine.pth"
    named.write_bytes(b"weights")
    monkeypatch.setenv(VARIABLE, str(named))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert find_weights(hashlib.sha256(b"weights").hexdigest()[:8]) == (named, None)


def test_weights_that_someone_named_and_are_not_there_or_are_others_are_an_error(
    tmp_path, monkeypatch
):
    named = tmp_path / "mine.pth"
    monkeypatch.setenv(VARIABLE, str(named))
    with pytest.raises(ValueError, match=VARIABLE):
        find_weights()
    named.write_bytes(b"weights")
    with pytest.raises(ValueError, match=hashlib.sha256(b"weights").hexdigest()):
        find_weights()
