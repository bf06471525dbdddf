"""Says in one line what is wrong with an answer about the golden picture, by its usual name."""

from collections.abc import Callable, Mapping

from gateway.image import Pixels
from inference.contracts.answer import Answer
from inference.contracts.expectation import Expectation
from inference.label_file import labels_sha256

Ask = Callable[[Pixels], Answer]

# A mistake explains an answer if its tensor gets one this many times nearer to the golden answer.
SUSPICION = 3.0
# How far low precision alone moves the golden probability: bf16 by at most 0.02 for twelve photos,
# int8, which "auto" may mean too, by more. A greater deviation is looked into, even if tolerated.
NOISE = {"f32": 3e-4, "bf16": 0.01, "int8": 0.03}
NOISE_AT_AUTO = NOISE["int8"]
# Two answers of one model to one tensor differ by less, whatever they were batched with.
SAME = {"f32": 1e-3, "bf16": 0.01, "int8": 0.02}
SAME_COARSEST = 0.02
NOT_A_NUMBER = "a probability is not a number (NaN)"


def judge(answer: Answer, expected: Expectation, ask: Ask) -> str | None:
    """Compare a model's answer with its golden one; `ask` asks the model about another tensor."""
    if answer.has_nan:
        return NOT_A_NUMBER
    if len(answer.labels) < len(answer.scores):
        return _unnamed(answer)
    noise = NOISE.get(expected.precision, NOISE_AT_AUTO)
    off = expected.gap(answer)
    # Of classes that are as good as equal, another may lead at another precision.
    leads = answer.probability - answer.score(expected.label) <= noise
    fits = leads and off <= expected.tolerance
    if fits and off <= noise:
        return _mislabelled(answer, expected)
    # Before the labels are judged: a picture that went wrong may well get another label.
    mistake = _explanation(off, fits, expected, ask)
    if mistake:
        return f"{mistake}: the model expects that, contrary to its own contract"
    return _mislabelled(answer, expected) if fits else _difference(answer, expected)


def _explanation(off: float, fits: bool, expected: Expectation, ask: Ask) -> str | None:
    """Name the mistake whose tensor the model answers as it should answer the right one."""
    # Another interpolation changes no more than low precision does.
    answers = {
        mistake: ask(tensor)
        for mistake, tensor in expected.tensors_gone_wrong().items()
        if not (fits and "interpolation" in mistake)
    }
    gaps = {m: expected.gap(a) for m, a in answers.items() if a.label == expected.label}
    nearest = min(gaps, key=lambda mistake: gaps[mistake], default=None)
    if nearest and gaps[nearest] < min(off / SUSPICION, expected.tolerance):
        return nearest
    return None


def _unnamed(answer: Answer) -> str:
    """Say what a label file lacks."""
    if not answer.labels:
        return "wrong label file: the answers carry no labels (label_filename in config.pbtxt)"
    return f"wrong label file: it names {len(answer.labels)} of the {len(answer.scores)} classes"


def _mislabelled(answer: Answer, expected: Expectation) -> str | None:
    """Recognise a label file that names the golden class correctly, but not the others."""
    labels = [answer.labels[number] for number in sorted(answer.labels)]
    if expected.labels_sha256 in ("", labels_sha256(labels)):
        return None
    return (
        "wrong label file: it is not the one the model was exported with (labels_sha256 in"
        " config.pbtxt; if it was changed on purpose, remove that parameter)"
    )


def _difference(answer: Answer, expected: Expectation) -> str:
    """Distinguish another model's label file from a model that answers something else."""
    close = abs(answer.probability - expected.probability) <= expected.tolerance
    # Where the model is not sure, another class may well lead at another precision.
    sure = expected.probability > 2 * expected.tolerance
    if answer.label != expected.label and close and sure:
        return (
            f"wrong label file: class {answer.best} is called '{answer.label}', but the contract"
            f" says '{expected.label}'"
        )
    return (
        f"the golden picture is {answer}, but the contract says '{expected.label}'"
        f" ({expected.probability:.4f} ± {expected.tolerance:g} at {expected.precision})"
    )


def _renamed(answer: Answer, direct: Answer) -> str:
    """Name the first class that the ensemble's label file names differently."""
    classes = sorted(answer.labels.keys() | direct.labels.keys())
    number = next(n for n in classes if answer.labels.get(n) != direct.labels.get(n))
    ours, theirs = (labels.get(number, "") for labels in (answer.labels, direct.labels))
    return (
        f"wrong label file: class {number} is called '{ours}', but by the model itself '{theirs}'"
    )


def judge_ensemble(
    answer: Answer, direct: Answer, expected: Expectation, wrong: Mapping[str, Answer]
) -> str | None:
    """Compare the answer to an encoded picture with the model's own to the right tensor.

    `wrong` are the model's own answers to what the usual mistakes make of the picture.
    """
    if answer.has_nan:
        return NOT_A_NUMBER
    same = SAME.get(expected.precision, SAME_COARSEST)
    distance = answer.distance(direct)
    nearest = min(wrong, key=lambda mistake: answer.distance(wrong[mistake]))
    if distance > SAME["f32"] and answer.distance(wrong[nearest]) < distance / SUSPICION:
        return nearest
    if distance > same:
        return f"it answers {answer}, but the model itself {direct} for the same picture"
    if answer.labels != direct.labels:
        return _renamed(answer, direct)
    if answer.version != direct.version:
        return f"it answers as version {answer.version}, but version {direct.version} serves"
    return None
