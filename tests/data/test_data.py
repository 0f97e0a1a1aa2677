"""Where images come from, how they are split, and what happens when they are not as promised."""

import gzip
import hashlib
import json
import socket
import struct
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from ebmrepro import data
from ebmrepro.config.data import Data
from ebmrepro.config.declarations import available_sources, source_facts
from ebmrepro.config.documents import ParamsError
from ebmrepro.data import DataError, check, downloads, files, idx, ood_images
from ebmrepro.data.images import Images
from ebmrepro.data.sources import digits, fashion_mnist, mnist
from ebmrepro.data.splits import stratified
from ebmrepro.system.atomic import CannotWrite

DIGITS = Data(source="digits", test=360, validation=180, split_seed=0)


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


def idx_file(array, magic=None, dims=None):
    """A gzipped idx file of `array`, whose header may lie."""
    head = bytes((0, 0, 8, array.ndim)) if magic is None else magic
    shape = array.shape if dims is None else dims
    raw = head + struct.pack(f">{len(shape)}I", *shape) + array.astype(np.uint8).tobytes()
    return gzip.compress(raw, mtime=0)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def small_mnist(monkeypatch, tmp_path):
    """A made-up MNIST of 40 and 20 images in a mirror; returns the mirror."""
    random = np.random.RandomState(0)
    contents = {
        idx.TRAIN_IMAGES: idx_file(random.randint(0, 256, (40, 28, 28))),
        idx.TRAIN_LABELS: idx_file(np.arange(40) % 10),
        idx.TEST_IMAGES: idx_file(random.randint(0, 256, (20, 28, 28))),
        idx.TEST_LABELS: idx_file(np.arange(20) % 10),
    }
    monkeypatch.setattr(mnist, "CHECKSUMS", {name: sha256(c) for name, c in contents.items()})
    mirror = tmp_path / "mirror"
    (mirror / "MNIST/raw").mkdir(parents=True)
    for name, content in contents.items():
        (mirror / "MNIST/raw" / name).write_bytes(content)
    monkeypatch.setenv(files.MIRROR, str(mirror))
    return mirror


SMALL = Data(source="mnist", test=20, validation=0, split_seed=0)


# ---- the idx format


def test_an_idx_file_gives_back_its_array():
    array = np.random.RandomState(0).randint(0, 256, (3, 4, 5))
    assert np.array_equal(idx.decode("x", idx_file(array), 3), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_file(np.zeros((3, 4)))[:-9], "not a whole gzip file"),
        (b"<html>404 not found</html>", "not a whole gzip file"),
        (gzip.compress(b""), "found magic number , expected 00000802"),
        (gzip.compress(b"\0\0\x08\x02\0\0\0\3"), "found 8 bytes, the idx header alone takes 12"),
        (idx_file(np.zeros((3, 4)), magic=b"\0\0\x0d\2"), "00000d02, expected 00000802"),
        (idx_file(np.zeros(12)), "found magic number 00000801, expected 00000802"),
        (idx_file(np.zeros((3, 4)), dims=(3, 5)), "found 12 bytes .* 3 x 5 = 15"),
        (idx_file(np.zeros((3, 4)), dims=(3, 3)), "found 12 bytes .* 3 x 3 = 9"),
        (
            idx_file(np.zeros((3, 4)), dims=(2**32 - 1, 2**32 - 1)),
            "which says 4294967295 x 4294967295 = 18446744065119617025",
        ),
    ],
    ids=["cut", "html", "empty", "no_header", "floats", "rank", "says_more", "says_less", "huge"],
)
def test_an_idx_file_that_is_not_what_it_says_is_refused(content, message):
    with pytest.raises(DataError, match=f"^train.gz: .*{message}"):
        idx.decode("train.gz", content, 2)


# ---- mirror, network, checksums


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


# ---- sources and splits


@pytest.mark.parametrize("name", available_sources())
def test_a_source_declares_what_it_is(name):
    source = data.load_source(name)
    assert source.NAME and source.LICENCE and source.CITATION
    assert callable(source.fetch)


def test_what_digits_declares_of_its_images_is_true(tmp_path):
    """params.py checks a suite by it, long before there are images."""
    facts = source_facts("digits")
    made = data.prepare("digits", DIGITS, tmp_path / "digits")
    assert tuple(made["shape"]) == facts.shape and facts.test is None
    assert sum(split["count"] for split in made["splits"].values()) == facts.images


def test_an_unknown_source_is_told_the_nearest_name():
    with pytest.raises(ParamsError, match=r"'mnst'; there are .*digits.*mnist.*mean 'mnist'\?"):
        data.load_source("mnst")


def test_digits_come_back_from_grey_levels():
    grey = digits.fetch(DIGITS).images
    counts = np.rint(grey.astype(float) * 16 / 255)
    assert np.array_equal(np.rint(counts * 255 / 16), grey)
    assert np.unique(counts).tolist() == list(range(17))
    assert grey.shape == (1797, 1, 8, 8)


def test_digits_have_the_class_counts_that_uci_states_for_its_test_set():
    labels = digits.fetch(DIGITS).labels
    stated = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == stated


def test_the_digits_split_is_the_one_all_results_were_made_with(tmp_path):
    dataset = data.prepare("digits", DIGITS, tmp_path / "digits")
    assert {name: split["count"] for name, split in dataset["splits"].items()} == {
        "train": 1257,
        "validation": 180,
        "test": 360,
    }
    assert (
        dataset["splits"]["test"]["sha256"]
        == "56402c2318bea459a9460c84d818d71e50186ca38de050aa0a79cdc351d762c0"
    )


def test_splits_are_disjoint_and_miss_no_image(tmp_path):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    images = [data.read(tmp_path / "digits", s)[0] for s in ("train", "validation", "test")]
    distinct = {x.tobytes() for split in images for x in split}  # all 1,797 digits differ
    assert sum(map(len, images)) == len(distinct) == 1797


def test_every_class_has_its_share_in_every_split(tmp_path):
    dataset = data.prepare("digits", DIGITS, tmp_path / "digits")
    counts = np.array([split["per_class"] for split in dataset["splits"].values()])
    shares = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / 1797
    assert np.abs(counts - shares).max() < 1


def test_another_seed_is_another_split():
    images, other = digits.fetch(DIGITS), DIGITS.model_copy(update={"split_seed": 1})
    one, two = (data.split(images, params, "digits")["test"] for params in (DIGITS, other))
    assert not np.array_equal(one, two)


def test_a_draw_rounds_shares_by_largest_remainder():
    labels = np.repeat([0, 1, 2], [5, 3, 2])  # 4 of 10: 2, 1.2 and 0.8
    mask = stratified(labels, 4, 0, "test")
    assert np.bincount(labels[mask]).tolist() == [2, 1, 1]


def test_a_draw_of_everything_or_nothing_is_exact():
    labels = np.array([0, 0, 1, 2])
    assert stratified(labels, 4, 0, "test").all()
    assert not stratified(labels, 0, 0, "test").any()


def test_validation_and_test_are_drawn_independently():
    labels = np.zeros(1000, dtype=np.int64)
    both = stratified(labels, 500, 0, "test") & stratified(labels, 500, 0, "validation")
    assert 200 < both.sum() < 300


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        ("digits", {"test": 1797}, "s.data.test: found 1797; .* at most 1796"),
        ("digits", {"validation": 1437}, "s.data.validation: found 1437; .* at most 1436"),
        ("mnist", {"test": 19}, "s.data.test: found 19; .* so it is 20"),
    ],
)
def test_splits_that_cannot_be_had_name_the_key(small_mnist, tmp_path, source, change, message):
    params = DIGITS.model_copy(update={"source": source, **change})
    with pytest.raises(ParamsError, match=f"^params.yaml: {message}"):
        data.prepare("s", params, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_source_that_breaks_its_promise_is_found_out():
    images, labels = np.zeros((2, 1, 3, 3), dtype=np.uint8), np.zeros(2, dtype=np.int64)
    with pytest.raises(ValueError, match="images: found float64"):
        Images(images=images / 255, labels=labels, classes="a")
    with pytest.raises(ValueError, match=r"labels: found int64 \(1,\), want int64 \(2,\)"):
        Images(images=images, labels=labels[:1], classes="a")
    with pytest.raises(ValueError, match=r"test: found int64 \(2,\), want bool \(2,\)"):
        Images(images=images, labels=labels, classes="a", test=labels)


# ---- a suite's folder


def test_the_same_parameters_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        data.prepare("digits", DIGITS, tmp_path / name)
    a, b = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("a", "b"))
    assert a == b
    assert len(a) == 7


def test_what_was_written_can_be_read_and_says_what_it_is(tmp_path, small_mnist):
    data.prepare("s", SMALL.model_copy(update={"validation": 10}), tmp_path / "s")
    text = (tmp_path / "s/dataset.json").read_text()
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"
    dataset = data.describe(tmp_path / "s")
    assert (dataset["source"], dataset["name"]) == ("mnist", mnist.NAME)
    assert dataset["shape"] == [1, 28, 28]
    images, labels = data.read(tmp_path / "s", "validation")
    assert images.dtype == np.uint8 and labels.dtype == np.int64
    assert not images.flags.writeable
    assert np.bincount(labels).tolist() == dataset["splits"]["validation"]["per_class"] == [1] * 10
    assert sha256(images.tobytes()) == dataset["splits"]["validation"]["sha256"]


def test_a_split_that_was_not_asked_for_is_not_there(tmp_path, small_mnist):
    data.prepare("s", SMALL, tmp_path / "s")
    assert not (tmp_path / "s/validation.npy").exists()
    with pytest.raises(DataError, match="no split 'validation'; there are test, train"):
        data.read(tmp_path / "s", "validation")


def test_a_missing_folder_names_the_stage_that_makes_it(tmp_path):
    with pytest.raises(DataError, match=r"dataset\.json: no such file; the data stage makes it"):
        data.read(tmp_path, "train")


def test_a_failed_prepare_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(path, array, saved=[]):  # noqa: B006, counts its calls
        saved.append(path)
        if len(saved) == 3:
            raise OSError("no space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(CannotWrite, match=r"data/digits: cannot be written: no space"):
        data.prepare("digits", DIGITS, tmp_path / "data/digits")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_failed_prepare_leaves_the_old_data(tmp_path, monkeypatch):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    before = (tmp_path / "digits/train.npy").read_bytes()
    with monkeypatch.context() as patch, pytest.raises(CannotWrite, match="no space"):
        patch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError("no space")))
        data.prepare("digits", DIGITS, tmp_path / "digits")
    assert (tmp_path / "digits/train.npy").read_bytes() == before
    data.prepare("digits", DIGITS.model_copy(update={"validation": 0}), tmp_path / "digits")
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
    assert not (tmp_path / "digits/validation.npy").exists()


def test_preparing_data_needs_neither_torch_nor_scikit_learn():
    code = (
        "import sys; from ebmrepro import data; "
        "from ebmrepro.networks import images; from ebmrepro.data import check, ood_images; "
        "from ebmrepro.config.data import Data; "
        "params = Data(source='digits', test=9, validation=0, split_seed=0); "
        "data.load_source('digits').fetch(params); "
        "ood_images.patches((1, 8, 8), 1, 0); "
        "sys.exit(', '.join({'torch', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# ---- the check that users run


def test_a_folder_as_it_was_written_passes_the_check(tmp_path):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    report = check.check("digits", tmp_path / "digits")
    assert report.counts == {"train": 1257, "validation": 180, "test": 360}
    assert report.shape == (1, 8, 8)
    assert report.agrees is None


def test_holding_out_images_for_validation_does_not_move_the_error(tmp_path):
    data.prepare("a", DIGITS, tmp_path / "a")
    data.prepare("b", DIGITS.model_copy(update={"validation": 0}), tmp_path / "b")
    a, b = (check.check(n, tmp_path / n).pca_error for n in ("a", "b"))
    assert a == b


@pytest.mark.parametrize("file", ["test.npy", "validation_labels.npy"])
def test_a_flipped_bit_is_found(tmp_path, file):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    path = tmp_path / "digits" / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x80
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{file}: found sha256 .*, expected "):
        check.check("digits", tmp_path / "digits")


def test_a_shape_that_dataset_json_does_not_know_is_found(tmp_path):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    path = tmp_path / "digits/test.npy"
    np.save(path, np.load(path).reshape(-1, 1, 4, 16))
    with pytest.raises(DataError, match=r"uint8 \(360, 1, 4, 16\) .* says uint8 \(360, 1, 8"):
        check.check("digits", tmp_path / "digits")


def test_an_array_cut_short_is_named(tmp_path):
    data.prepare("digits", DIGITS, tmp_path / "digits")
    path = tmp_path / "digits/train.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"train\.npy: not an array of NumPy: mmap length"):
        check.check("digits", tmp_path / "digits")


def test_an_error_agrees_when_it_rounds_to_the_published_one():
    report = check.Report("s", "S", (1, 2, 2), {}, 30, pca_error=13.8663, published=13.87)
    assert report.agrees
    assert not check.Report("s", "S", (1, 2, 2), {}, 30, 13.8751, 13.87).agrees


def test_pca_reconstructs_images_of_its_own_rank():
    random = np.random.RandomState(0)
    parts = random.randint(0, 2, (3, 16))
    x = (random.randint(0, 80, (50, 3)) @ parts).astype(np.uint8).reshape(50, 1, 4, 4)
    assert check.pca_error([x[:30]], x[30:], 3) < 1e-20
    assert check.pca_error([x[:30]], x[30:], 2) > 1e-3


def test_pca_without_components_is_the_distance_from_the_mean():
    train = np.array([[0, 0], [255, 255]], dtype=np.uint8).reshape(2, 1, 1, 2)
    test = np.array([[255, 255]], dtype=np.uint8).reshape(1, 1, 1, 2)
    assert check.pca_error([train], test, 0) == pytest.approx(2 * 0.5**2)


def test_the_error_of_pca_is_what_lies_across_the_leading_direction():
    # Train varies along (1, 1) only, about (0.2, 0.2); the test image (0.6, 0) is 0.6 / sqrt 2 off.
    train = np.array([[0, 0], [102, 102]], dtype=np.uint8).reshape(2, 1, 1, 2)
    test = np.array([[153, 0]], dtype=np.uint8).reshape(1, 1, 1, 2)
    assert check.pca_error([train], test, 1) == pytest.approx(0.6**2 / 2)


def test_more_components_than_pixels_are_refused():
    x = np.zeros((2, 1, 2, 2), dtype=np.uint8)
    with pytest.raises(ValueError, match="found 5 components; images have 4"):
        check.pca_error([x], x, 5)


# ---- probes


@pytest.mark.parametrize("probe", [ood_images.noise, ood_images.patches])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 20)])
def test_a_probe_has_the_datas_shape_and_its_seed_decides_it(probe, shape):
    x = probe(shape, 5, 0)
    assert x.dtype == np.uint8 and x.shape == (5, *shape)
    assert np.array_equal(x, probe(shape, 5, 0))
    assert not np.array_equal(x, probe(shape, 5, 1))
    assert len({image.tobytes() for image in x}) == 5


def test_noise_uses_every_grey_level_alike():
    counts = np.bincount(ood_images.noise((1, 32, 32), 250, 0).ravel(), minlength=256)
    assert np.abs(counts / 1000 - 1).max() < 0.2  # 6 standard deviations


def test_shuffling_moves_pixels_and_changes_none():
    x = np.arange(4 * 3 * 5 * 5, dtype=np.uint16).astype(np.uint8).reshape(4, 3, 5, 5)
    y = ood_images.shuffled(x, 0)
    assert not np.array_equal(x, y)
    for before, after in zip(x.reshape(4, 3, 25), y.reshape(4, 3, 25), strict=True):
        assert sorted(map(bytes, before.T.copy())) == sorted(map(bytes, after.T.copy()))


def test_every_image_is_shuffled_in_its_own_way():
    x = np.broadcast_to(np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8), (9, 1, 8, 8))
    y = ood_images.shuffled(x, 0)
    assert len({image.tobytes() for image in y}) == 9
    assert np.array_equal(y, ood_images.shuffled(x, 0))


def test_patches_have_structure_where_noise_has_none():
    def neighbours(x):
        x = x.astype(float)
        return np.corrcoef(x[..., :-1].ravel(), x[..., 1:].ravel())[0, 1]

    assert neighbours(ood_images.patches((1, 8, 8), 500, 0)) > 0.8
    assert abs(neighbours(ood_images.noise((1, 8, 8), 500, 0))) < 0.05


def test_patches_as_large_as_the_photographs_allow_are_cut_at_full_scale():
    assert ood_images.patches((3, 427, 640), 1, 0).shape == (1, 3, 427, 640)
    with pytest.raises(ValueError, match="do not fit"):
        ood_images.patches((3, 428, 64), 1, 0)
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        ood_images.patches((2, 8, 8), 1, 0)
