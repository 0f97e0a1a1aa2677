"""Statistics, rules and where they come from, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ebmrepro.claims import form
from ebmrepro.claims.form import WORDS
from ebmrepro.metrics import catalogue

SHARE = "share "  # a unit that begins so is a part of 1
FEW = 5  # seeds: of fewer, an interval says less than the seeds themselves

Values = Mapping[str, float | None]  # seed -> number


def title(name: str) -> str:
    """`ebgan__no_hinge` -> EBGAN, no hinge."""
    method, _, variant = name.partition("__")
    known = WORDS["titles"].get(method, method.upper().replace("_", "-"))
    return f"{known}, {variant.replace('_', ' ')}" if variant else known


def statistic(tree: object) -> str:
    match tree:
        case form.Measure(of=of, measure=measure):
            return f"{_label(measure)} ({title(of)})"
        case form.Curve(of=of, column=column, take=take, over=over):
            return f"{WORDS['take'][take]} {column} ({title(of)}{WORDS['over'][over]})"
        case form.Energies(of=of, images=kind, power=power):
            squared = "squared energy" if power == 2 else "energy"
            return f"mean {squared} of {catalogue.KIND_IN_WORDS[kind]} ({title(of)})"
        case form.Number(of=of, key=key):
            return f"{key.rpartition('.')[2]} ({title(of)})"
        case form.Document(stage=stage, value=value):
            name, _, of = value.partition("@")
            of = title(of) if stage == "tour" else of
            where = WORDS["documents"][stage]
            whose = f"{of}, {where}" if of else where
            return f"{name.replace('_', ' ')} ({whose})"
        case form.Spread(among=among):
            return f"largest over smallest of {len(among)}: {statistic(among[0])}, ..."
        case form.Difference(a=a, b=b):
            return _pair(a, b, "minus")
        case form.Ratio(a=a, b=b):
            return _pair(a, b, "over")
        case form.Distance(of_ratio=part):
            return f"|log| of [{statistic(part)}]"
        case form.Pooled(of=of, share=share):
            return f"{_label(share)}, all trials together ({title(of)})"
        case form.Correlation(of=of, x=x, y=y, over=over):
            return f"rank correlation of {y} with {x} ({title(of)}{WORDS['over'][over]})"
        case form.AcrossRuns(of=names, x=x, y=y):
            systems = ", ".join(map(title, names))
            return f"rank correlation of {_label(y)} with {_label(x)} over trainings ({systems})"
        case form.Ordering(steps=steps):
            return ", then ".join(map(statistic, steps))
        case form.EveryEpoch(of=of, law=law):
            return f"epochs in which {_law(law)} is broken ({title(of)})"
    raise TypeError(f"{type(tree).__name__} is not a statistic")


def rule(rule: form.Rule, smallest: float | None = None) -> str:
    if isinstance(rule, form.Within) and rule.low == rule.high:
        return _minus(f"{rule.low:g}")
    text = _minus(WORDS["rules"][rule.kind].format(**rule.model_dump()))
    return text if smallest is None else f"{text} (smallest effect that matters: {smallest:g})"


def estimate(
    mean: float | None, low: float | None, high: float | None, values: Values, each: bool = True
) -> str:
    """`0.0123 [0.0110, 0.0136], n = 5`. Of fewer seeds than FEW, each stands there by itself:
    `0.0123 (0.0110, 0.0121, 0.0137), n = 3`, unless they are not what the mean is of."""
    if mean is None:
        return ""
    known = [value for value in values.values() if value is not None]
    digits = places(mean, low, high)
    text = number(mean, digits)
    if each and 1 < len(known) < FEW:
        return f"{text} ({', '.join(number(v, digits) for v in known)}), n = {len(known)}"
    if low is not None and high is not None:
        text += f" [{number(low, digits)}, {number(high, digits)}]"
    return f"{text}, n = {len(known)}"


def places(mean: float, low: float | None, high: float | None, *most: int) -> int:
    """Decimals: three figures of the mean or two of the interval's half-width, as is less."""
    found = [*most, *([decimals(mean, 3)] if mean else [])]
    if low is not None and high is not None and -math.inf < low < high < math.inf:
        found.append(decimals((high - low) / 2, 2))
    return min(found, default=0)


def hours(found: float) -> str:
    """`0.35`, `4.3`, `32,000`: two figures."""
    return number(float(f"{found:.2g}"), decimals(found, 2))


def images(error: float | None) -> str:
    """The standard error that the draw of test images leaves, of a share or a difference of two."""
    if error is None:
        return ""
    return f"standard error by the test images alone at most {100 * error:.2g} points"


def least(claim: form.Claim) -> str:
    """From which training on the claim may be decided."""
    match claim.least:
        case form.Least(fraction=float(fraction)):
            return f"from {100 * fraction:g} % of the budget"
        case form.Least(steps=int(steps)):
            return f"from {steps:,} steps"
    return ""


def by_seed(values: Values) -> str:
    """`0: 0.012, 1: none`."""
    told = {seed: "none" if value is None else f"{value:g}" for seed, value in values.items()}
    return ", ".join(f"{seed}: {_minus(value)}" for seed, value in told.items())


def counted(verdicts: Mapping[str, int]) -> str:
    """`12 holds, 3 fails`, in the order of verdicts."""
    return ", ".join(f"{verdicts[v]} {v}" for v in form.MARKS if verdicts.get(v)) or "none"


def effect(size: float | None, unit: str) -> str:
    match unit:
        case "of tolerance" if size is not None:
            return f"{100 * size:.0f} % of tolerance"
        case "g" | "ρ" if size is not None:
            return f"{unit} = {number(size, decimals(size, 2))}"
    return ""


def number(value: float, decimals: int) -> str:
    """No minus before a zero."""
    text = f"{value:,.{decimals}f}"
    if not float(text.replace(",", "")):
        text = text.removeprefix("-")
    return _minus(text)


def _minus(text: str) -> str:
    """With real minus signs; for numbers, and for words that have no hyphen."""
    return text.replace("-", "−")


def decimals(size: float, figures: int) -> int:
    """Decimals that print a number of this size with so many significant figures."""
    if not size:
        return 0
    return min(max(figures - 1 - math.floor(math.log10(abs(size))), 0), 8)


def published(claim: form.Claim) -> str:
    return "; ".join(map(_number, claim.published)) or form.SHAPE_ONLY


def _number(value: form.Published) -> str:
    """`5.62 Inception Score`; a share, which papers print in percent, both ways."""
    if value.unit.startswith(SHARE):
        return f"{value.value:g} ({100 * value.value:g} %) {value.unit.removeprefix(SHARE)}"
    return f"{_minus(f'{value.value:g}')} {value.unit}"


def protocols(statistic: object) -> list[str]:
    """How each measure in a statistic is measured, each once."""
    lines = []
    for _, part in form.parts(statistic):
        match part:
            case form.Measure(measure=measure):
                lines.append(catalogue.describe(measure).protocol)
            case form.AcrossRuns(x=x, y=y) | form.Pooled(share=x, trials=y):
                lines += [catalogue.describe(measure).protocol for measure in (x, y)]
        lines.append(WORDS["protocols"].get(getattr(part, "kind", ""), ""))
    return list(dict.fromkeys(line for line in lines if line))


def _label(measure: str) -> str:
    label = catalogue.describe(measure).label
    named = label.startswith(("Fr", "Inception "))  # after a person, or a network
    return label if named or label[1:2].isupper() else label[0].lower() + label[1:]


def _pair(a: object, b: object, between: str) -> str:
    """Two numbers; what they share is said once."""
    if isinstance(a, form.Measure) and isinstance(b, form.Measure) and a.measure == b.measure:
        return f"{_label(a.measure)}: {title(a.of)} {between} {title(b.of)}"
    return f"{_bracketed(a)} {between} {_bracketed(b)}"


def _bracketed(part: object) -> str:
    words = statistic(part)
    several = isinstance(part, form.Difference | form.Ratio | form.Spread | form.Distance)
    return f"[{words}]" if several else words


def _law(law: form.Law) -> str:
    keys = law.model_dump()
    match law:
        case form.ChangesOnlyWhen(conditions=conditions):
            sides = (f"{_lagged(c.left)} {c.relation} {_lagged(c.right)}" for c in conditions)
            keys["conditions"] = " and ".join(sides)
        case form.Controller():
            keys |= {key: keys[key].rpartition(".")[2] for key in ("gain", "target")}
    return f"“{WORDS['laws'][law.law].format(**keys)}”"


def _lagged(side: form.Lagged) -> str:
    return f"{side.column} of the epoch before" if side.epochs_before else side.column
