"""Inception features: pytorch-fid's own numbers, from a local file, with no network."""

import hashlib
import socket

import numpy as np
import pytest
from PIL import Image

from ebmrepro.metrics import inception
from ebmrepro.metrics.inception import FILE_NAME, VARIABLE, find_weights, inception_features


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of FID's architecture, and the start of their hash."""
    import torch
    from pytorch_fid import inception as peer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer, "load_state_dict_from_url", lambda *_, **__: None)
        patch.setattr(torch.nn.Module, "load_state_dict", lambda *_: None)
        network = peer.fid_inception_v3()
    # Variance-preserving, so that features at the far end still depend on the image.
    torch.manual_seed(0)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 4:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        elif name.endswith("bias"):
            torch.nn.init.uniform_(parameter, -0.1, 0.1)
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(network.state_dict(), path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # beside other tests, threads that wait for each other cost tenfold
    yield path, hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    torch.set_num_threads(threads)
    path.unlink()  # 95 MB
    inception._network.cache_clear()


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a network was called")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def images(n: int, channels: int, side: int = 20) -> np.ndarray:
    rng = np.random.default_rng(channels)
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
    files = []
    for i, image in enumerate(x):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(image[0] if channels == 1 else image.transpose(1, 2, 0)).save(files[-1])

    features = inception_features(x, path, 2, "cpu", prefix)  # 2 does not divide 3: none is dropped
    network = inception._network(path, "cpu", prefix)
    expected = get_activations(files, network, batch_size=n, num_workers=0)

    assert features.shape == (n, 2048)
    assert features.dtype == np.float32
    assert features.std(axis=0).max() > 0.01 * features.max()  # the images differ in them
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5 * features.max())


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
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path, reason = find_weights()
    assert path is None
    assert reason is not None
    assert VARIABLE in reason
    assert FILE_NAME in reason
    assert str(tmp_path) not in reason


def test_weights_are_found_in_torchs_hub_cache_by_their_hash(tmp_path, monkeypatch):
    import torch

    monkeypatch.delenv(VARIABLE, raising=False)
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


@pytest.mark.parametrize("variable", ["TORCH_HOME", "XDG_CACHE_HOME", None])
def test_the_hub_cache_is_where_torch_says(variable, tmp_path, monkeypatch):
    import torch

    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    assert str(inception._hub_cache()) == torch.hub.get_dir()


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
