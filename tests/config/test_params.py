"""A wrong params.yaml gets one line that names the place, what was found and what is allowed."""

import re
from pathlib import Path

import pytest
from dvc.utils.serialize import modify_yaml
from params_file import TEXT, part_of_text, shipped

from ebmrepro.config import documents, params, training, variant

ROOT = Path(__file__).parents[2]
MNIST = part_of_text("mnist")  # and the digits: what is changed below stands in these
PAIR = "dcgan__pt_generator"
BEGAN = MNIST.index("\n    began:\n")
# Variants of more than one number: those that may differ from the method, in whichever network.
MORE = {
    "magan__he": {"init"},
    "began__small_z": {"z", "code"},  # on faces the method has fewer of both
    "began__small_code": {"z", "code"},
    "began__refined": {"residual_steps", "skips"},
    "rbm__paper": {"binarised", "base_counts", "rate", "visible_bias", "precision"},
    "rbm__stack": {"layers", "cd_steps", "grids", "precision"},
}
# Not compared with their method: the tests after the first say with what.
OTHERWISE = {"ebgan__magan_nets", PAIR, *(f"dbn__depth_{n}" for n in (1, 2, 3, 4))}


def changed(tmp_path: Path, before: str, after: str, start: int = 0) -> Path:
    """params.yaml with the first `before` after `start` replaced."""
    assert before in MNIST[start:]
    path = tmp_path / "params.yaml"
    path.write_text(MNIST[:start] + MNIST[start:].replace(before, after, 1), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(documents.ParamsError) as refused:
        params.load(path)
    message = str(refused.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_the_shipped_file_is_right():
    settings = params.load(ROOT / "params.yaml")
    assert settings.run.suites == ["digits"]
    assert {"dcgan", "ebgan", "ebgan_pt", "began", "magan"} <= set(settings.run.methods)


def test_an_ablation_differs_from_its_method_in_one_number():
    """A variant is a complete block: one number differs, and perhaps how much of it is run."""
    compared = 0
    for title, suite in shipped().suites.items():
        for name in {each for each in suite.methods if "__" in each} - OTHERWISE:
            own, base = (
                params.flatten(suite.methods[each].model_dump(exclude={"epoch_fraction"}))
                for each in (name, training.base(name))
            )
            differ = [k for k in own.keys() | base.keys() if own.get(k) != base.get(k)]
            allowed = {key.rpartition(".")[2] for key in differ} <= MORE.get(name, set())
            assert len(differ) == 1 or (differ and allowed), (title, name, differ)
            compared += 1
    assert compared >= 42


def test_methods_compared_at_one_configuration_differ_in_the_method_alone():
    """MAGAN with EBGAN's own margin; EBGAN-PT with DCGAN's own discriminator."""
    compared = []
    for title, suite in shipped().suites.items():
        if (margin := suite.methods.get("ebgan__magan_nets")) and "magan" in suite.methods:
            moving = suite.methods["magan"]
            assert (margin.optim, margin.batch_size) == (moving.optim, moving.batch_size)
            for key in ("G", "encoder", "decoder", "z", "code", "epochs", "bounded"):
                assert getattr(margin.hparams, key) == getattr(moving.hparams, key), key
            compared.append(title)
    assert compared == ["digits", "mnist", "fashion_mnist", "digits__seeds"]
    for suite, name in (("digits", "dcgan"), ("mnist", PAIR), ("fashion_mnist", PAIR)):
        methods = shipped().suites[suite].methods
        own, other = methods[name].hparams, methods["ebgan_pt"].hparams
        assert (own.G, own.z) == (other.G, other.z)


def test_networks_compared_by_depth_differ_in_depth_alone():
    methods = shipped().suites["mnist"].methods
    depths = [params.flatten(methods[f"dbn__depth_{n}"].model_dump()) for n in (1, 2, 3, 4)]
    assert [len(own.pop("hparams.layers")) for own in depths] == [1, 2, 3, 4]
    assert all(own == depths[0] for own in depths)


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path):
    """YAML 1.2: 1e-4 is a number. YAML 1.1 would make it a string."""
    path = changed(tmp_path, "lambda_k: 0.1", "lambda_k: 1e-4", BEGAN)
    assert params.load(path).suites["digits"].block("began").hparams.lambda_k == 1e-4


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("gamma: 0.", "gamma: 7.", "digits.methods.began.hparams.gamma: found 7."),
        ("gamma: 0.", "gama: 0.", "digits.methods.began.hparams.gama: unknown key; allowed are "),
        ("lambda_k: 0.1", "lambda_k: none", "hparams.lambda_k: found 'none'; it should be"),
        ("reduction: mean_abs", "reduction: l1", "hparams.reduction: found 'l1'; it should be"),
        (
            "name: adam",
            "name: adm",
            "optim.G.name: found 'adm'; allowed are adam, adamax, sgd; did",
        ),
        ("lr: 0.002", "lr: -0.002", "digits.methods.began.optim.G.lr: found -0.002; it should be"),
        (
            "kind: mlp",
            "kind: cnn",
            "digits.methods.began.hparams.G.kind: found 'cnn'; allowed are mlp, conv",
        ),
        ("batch_size: 64", "batch_size: 64.5", "digits.methods.began.batch_size: found 64.5; it"),
        ("batch_size: 64", "batch_size: no", "digits.methods.began.batch_size: found 'no'; it"),
        ("batch_size: 64\n      ", "", "digits.methods.began.batch_size: this key is missing"),
    ],
)
def test_a_wrong_value_in_a_block_is_named(tmp_path: Path, before: str, after: str, message: str):
    if before not in MNIST[BEGAN:]:
        pytest.fail(f"the shipped file has no {before!r} any more: mend this test")
    assert message in refusal(changed(tmp_path, before, after, BEGAN))


def test_an_unknown_key_is_told_the_nearest_name(tmp_path: Path):
    message = refusal(changed(tmp_path, "gamma: 0.", "gama: 0.", BEGAN))
    assert message.endswith("did you mean 'gamma'?")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("ebgan_pt, began,", "ebgan_pt, bgan,", "no block 'bgan'; there are dcgan"),
        ("suites: [digits]", "suites: [digit]", "run.suites: no suite 'digit'; there are digits"),
        (
            "[3, 4, 5, 6, 7]",
            "[0, 1, 1]",
            "run.seeds: found [0, 1, 1]; it should hold each value once",
        ),
        ("source: digits", "source: digit", "digits.data.source: no source 'digit'; there are "),
        ("split: test", "split: validation", "but data.validation holds out no image"),
        ("split: test", "split: dev", "digits.evaluate.split: found 'dev'; it should be 'test' or"),
        ("next: 0.8", "next: 0.9", "digits.tour.decision.counting.next: found 0.9; next and same"),
        ("blur: [0.5, 1.0", "blur: [1.0, 0.5", "digits.tour.ranking.blur: found [1.0, 0.5, 2.0, "),
        (
            "brute_force: 4",
            "brute_force: 9",
            "digits.tour.decision.brute_force: found 9; it should",
        ),
        ("others: []", "others: [mnst]", "digits.tour.others: no suite 'mnst'; there are mnist, "),
        (
            "others: []",
            "others: [digits]",
            "digits.tour.others: no suite 'digits'; there are mnist",
        ),
        ("run:\n", "run:\nrun:\n", "run: found this key twice, in lines 4 and 5"),
        ("run:\n", "runs:\n", "run: this key is missing"),
        ("budget: 1.0", "budget: 0", "digits.budget: found 0; it should be greater than 0"),
        ("budget: 1.0", "budget: .nan", "digits.budget: found nan; it should be"),
    ],
)
def test_a_wrong_value_anywhere_is_named(tmp_path: Path, before: str, after: str, message: str):
    assert message in refusal(changed(tmp_path, before, after))


def test_a_method_that_names_no_players_is_told_to(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(params, "declared", lambda name: {})
    with pytest.raises(documents.ParamsError, match=r"methods/dbn.py: players: found none"):
        params.load(ROOT / "params.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    assert "no such file" in refusal(tmp_path / "params.yaml")


def test_a_budget_scales_epochs_and_leaves_the_rest(tmp_path: Path):
    whole = shipped()
    tenth = params.load(changed(tmp_path, "budget: 1.0", "budget: 0.1"))
    for name in whole.run.names:
        before, after = (p.block("digits", name).hparams.model_dump() for p in (whole, tenth))
        moved = {key for key in before if before[key] != after[key]}
        assert moved and all(key.endswith("epochs") for key in moved), name
        assert all(after[key] == max(1, round(before[key] / 10)) for key in moved)


def test_an_epoch_fraction_scales_the_epochs_of_its_own_block_on_top_of_the_budget(tmp_path: Path):
    path = tmp_path / "params.yaml"
    text = MNIST.replace("budget: 1.0", "budget: 0.5", 1)
    path.write_text(
        text.replace("dcgan:\n      epoch_fraction: 1.0", "dcgan:\n      epoch_fraction: 0.1", 1)
    )
    before, after = shipped(), params.load(path)
    assert before.block("digits", "dcgan").hparams.epochs == 80
    assert after.block("digits", "dcgan").hparams.epochs == 4  # 80 * 0.5 * 0.1
    assert after.block("digits", "magan").hparams.epochs == 45  # 90 * 0.5


def test_the_first_epochs_of_momentum_are_scaled_like_all_others(tmp_path: Path):
    """Else a training of 3 of 50 epochs never leaves the momentum of the first 5."""

    def momentum(budget: str, epochs: int) -> list[int]:
        text = MNIST.replace("budget: 1.0", f"budget: {budget}", 1)
        path = tmp_path / "params.yaml"
        path.write_text(text.replace("final: 0.9, epochs: 5}", f"final: 0.9, epochs: {epochs}}}"))
        rules = params.load(path).block("digits", "dbn_updown").optim
        return [rules[key].momentum.epochs for key in sorted(rules)]  # type: ignore[union-attr]

    assert momentum("1.0", 5) == [5, 5, 5, 5]
    assert momentum("0.6", 5) == [3, 3, 3, 3]
    assert momentum("0.06", 5) == [1, 1, 1, 1], "there are some, so at least one"
    assert momentum("0.06", 0) == [0, 0, 0, 0], "there are none, and none come"


def test_a_block_without_an_average_is_stored_as_before_there_were_any(tmp_path: Path):
    assert "ema" not in shipped().block("digits", "began").model_dump()
    path = changed(tmp_path, "      optim:", "      ema: {G: 0.99}\n      optim:", BEGAN)
    assert params.load(path).block("digits", "began").model_dump()["ema"] == {"G": 0.99}


def test_an_average_of_an_unknown_player_is_refused(tmp_path: Path):
    path = changed(tmp_path, "      optim:", "      ema: {g: 0.99}\n      optim:", BEGAN)
    assert refusal(path) == (
        "digits.methods.began.ema.g: unknown player; the players of began are G, D"
    )


def test_the_file_is_short_enough_for_people():
    lines = TEXT.splitlines()
    assert len(lines) <= 2600
    assert all(len(line.partition("  #")[0]) <= 80 for line in lines if line.strip()[:1] != "#")
    digits = TEXT[TEXT.index("\ndigits:\n") : TEXT.index("\n# MNIST at")]
    assert digits.count("\n") <= 280
    top = documents.compose(TEXT, "params.yaml")
    for suite, block in top.value:
        if suite.value in params.OWN:
            continue
        (methods,) = (value for key, value in block.value if key.value == "methods")
        for name, system in methods.value:
            lines = variant.end_of(system).line - name.start_mark.line + 1
            assert lines <= 20, (suite.value, name.value)


def test_what_dvc_makes_of_the_file_is_read_and_keeps_its_comments(tmp_path: Path):
    """`dvc exp run -S` wraps long lines anew, at any comma or colon."""
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    expected = documents.read_yaml(ROOT / "params.yaml")
    with modify_yaml(str(path)) as tree:
        for one in (tree, expected):
            for suite in ("digits", "mnist", "celeba"):
                one[suite]["methods"]["magan"]["hparams"]["margin_moves"] = False
    assert documents.read_yaml(path) == expected
    comments = [re.findall("#.*", text) for text in (TEXT, path.read_text(encoding="utf-8"))]
    assert comments[0] == comments[1] and len(comments[0]) > 50
    params.load(path)
