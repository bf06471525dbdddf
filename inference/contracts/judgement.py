"""Says in one line what is wrong with an answer about the golden picture, by its usual name."""

from collections.abc import Callable, Mapping

from gateway.image import Pixels
from inference.contracts.answer import Answer
from inference.contracts.expectation import Expectation

Ask = Callable[[Pixels], Answer]

# An answer within the tolerance is suspected if a mistake would explain it this much better.
SUSPICION = 3.0
# Two answers of one model to one tensor differ by less, whatever they were batched with.
SAME = {"f32": 1e-3, "bf16": 0.01, "int8": 0.02}
SAME_COARSEST = 0.02


def judge(answer: Answer, expected: Expectation, ask: Ask) -> str | None:
    """Compare a model's answer with its golden one; `ask` asks the model about another tensor."""
    problem = judge_labels(answer, expected)
    if problem:
        return problem
    off = abs(answer.probability - expected.probability)
    fits = answer.label == expected.label and off <= expected.tolerance
    if fits and off <= expected.tolerance / SUSPICION:
        return None
    for mistake, tensor in expected.tensors_gone_wrong().items():
        # Coarse precision may bring an answer near another mistake's; colours stand out more.
        if fits and "channel order" not in mistake:
            continue
        other = ask(tensor)
        gap = abs(other.probability - expected.probability)
        if other.label == expected.label and gap < min(off / SUSPICION, expected.tolerance):
            return f"{mistake}: the model expects that, against its own contract"
    if fits:
        return None
    return (
        f"the golden picture is {answer}, but the contract says '{expected.label}'"
        f" ({expected.probability:.4f} ± {expected.tolerance:g} at {expected.precision})"
    )


def judge_labels(answer: Answer, expected: Expectation) -> str | None:
    """Tell a label file that belongs to another model from other mistakes."""
    if not answer.labels:
        return "wrong label file: the answers carry no labels (label_filename in config.pbtxt)"
    if len(answer.labels) < len(answer.scores):
        return (
            f"wrong label file: it names {len(answer.labels)} of the {len(answer.scores)} classes"
        )
    close = abs(answer.probability - expected.probability) <= expected.tolerance
    if answer.label != expected.label and close:
        return (
            f"wrong label file: class {answer.best} is called '{answer.label}', and the contract"
            f" says '{expected.label}'"
        )
    return None


def judge_ensemble(
    answer: Answer, direct: Answer, expected: Expectation, wrong: Mapping[str, Answer]
) -> str | None:
    """Compare the answer to an encoded picture with the model's own to the right tensor.

    `wrong` are the model's own answers to what the usual mistakes make of the picture.
    """
    same = SAME.get(expected.precision, SAME_COARSEST)
    distance = answer.distance(direct)
    nearest = min(wrong, key=lambda mistake: answer.distance(wrong[mistake]))
    if distance > SAME["f32"] and answer.distance(wrong[nearest]) < distance / SUSPICION:
        return nearest
    if distance > same:
        return f"it answers {answer}, but the model itself {direct} to the same picture"
    if answer.labels != direct.labels:
        return f"wrong label file: it says {answer}, and the model itself {direct}"
    return None
