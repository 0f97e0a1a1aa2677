"""Where files come from: the mirror, then the network, and never unchecked."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from loopback import no_network, raise_loopback
from small_sources import SMALL, idx_file, sha256, small_mnist

from ebmrepro.config.data import Data
from ebmrepro.data import DataError, downloads, files, idx
from ebmrepro.data.sources import fashion_mnist, mnist

__all__ = ["no_network", "small_mnist"]  # fixtures, used by name


@pytest.fixture
def server(tmp_path):
    """A folder, and the address under which its files can be downloaded."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    raise_loopback()
    folder = tmp_path / "server"
    folder.mkdir()
    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()
        thread.join()


def test_the_mirror_is_preferred_to_the_network(small_mnist, monkeypatch):
    monkeypatch.setattr(downloads, "download", None)  # calling it would be a TypeError
    fetched = mnist.fetch(SMALL)
    assert fetched.images.shape == (60, 1, 28, 28) and fetched.test is not None
    assert np.flatnonzero(fetched.test).tolist() == [*range(40, 60)]
    assert fetched.labels[fetched.test].tolist() == [*range(10), *range(10)]


def test_files_may_lie_directly_in_the_mirrors_folder(small_mnist):
    for path in (small_mnist / "MNIST/raw").iterdir():
        path.rename(small_mnist / "MNIST" / path.name)
    assert len(mnist.fetch(SMALL).images) == 60


def test_a_wrong_checksum_names_the_file_and_both_checksums(small_mnist):
    path = small_mnist / "MNIST/raw" / idx.TEST_LABELS
    path.write_bytes(idx_file(np.zeros(20)))
    with pytest.raises(DataError) as error:
        mnist.fetch(SMALL)
    expected = mnist.CHECKSUMS[idx.TEST_LABELS]
    found = sha256(path.read_bytes())
    assert str(error.value) == (
        f"{path}: found sha256 {found}, expected {expected}; the file is left as it is: replace or "
        "remove it"
    )


@pytest.mark.parametrize("source", [mnist, fashion_mnist])
def test_without_mirror_and_network_the_error_says_what_to_put_where(source):
    name = source.__name__.rpartition(".")[2]
    params = Data(source=name, test=10_000, validation=0, split_seed=0)
    with pytest.raises(DataError) as error:
        source.fetch(params)
    message = str(error.value)
    assert all(name in message for name in source.CHECKSUMS)
    assert all(url in message for url in source.URLS)
    assert f"put them in DIR/{source.FOLDER}/raw/ and set {files.MIRROR}=DIR; " in message
    assert "\n" not in message


def test_one_file_missing_from_the_mirror_is_the_one_asked_for(small_mnist):
    (small_mnist / "MNIST/raw" / idx.TRAIN_LABELS).unlink()
    with pytest.raises(DataError) as error:
        mnist.fetch(SMALL)
    place = f"{small_mnist}/MNIST/raw/"
    assert str(error.value).startswith(f"missing {idx.TRAIN_LABELS}: put them in {place}; ")


def test_a_mirror_that_does_not_exist_is_not_passed_over(monkeypatch, tmp_path):
    monkeypatch.setenv(files.MIRROR, str(tmp_path / "mirorr"))
    with pytest.raises(DataError, match=r"mirorr: no such folder"):
        mnist.fetch(SMALL)


def test_the_second_address_is_asked_when_the_first_has_other_bytes(server, capfd):
    folder, url = server
    (folder / "bad").mkdir()
    (folder / "bad/x.gz").write_bytes(b"a proxy's login page")
    (folder / "x.gz").write_bytes(b"content")
    wanted = {"x.gz": sha256(b"content")}
    urls = [f"{url}nowhere/", f"{url}bad/", url]
    assert files.obtain(["MNIST"], wanted, urls)["x.gz"].read_bytes() == b"content"
    (folder / "x.gz").unlink()
    again = files.obtain(["MNIST"], wanted, urls)["x.gz"]  # from the cache
    assert again.read_bytes() == b"content"


def test_a_download_with_the_wrong_checksum_is_not_used(server, tmp_path, capfd):
    folder, url = server
    (folder / "x.gz").write_bytes(b"other")
    with pytest.raises(DataError, match=sha256(b"other")):
        files.obtain(["MNIST"], {"x.gz": sha256(b"content")}, [url])
    assert not (tmp_path / "cache/MNIST/x.gz").exists()
