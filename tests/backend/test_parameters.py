"""The parameters of config.pbtxt."""

import pytest

from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.parameters import Options


def options(version="1", **parameters):
    given = {name: {"string_value": value} for name, value in parameters.items()}
    return Options.from_config({"parameters": given}, version)


def test_without_parameters_the_backend_chooses():
    assert options() == Options() == Options("auto", "auto", 0, 0, "", "", "")


def test_our_parameters_win_over_nvidias():
    found = options(
        signature="ours", TF_SIGNATURE_DEF="theirs", threads="3", TF_NUM_INTRA_THREADS="9"
    )
    assert (found.signature, found.threads) == ("ours", 3)


def test_nvidias_parameters_are_read():
    found = options(
        TF_SIGNATURE_DEF="s", TF_GRAPH_TAG="t", TF_NUM_INTRA_THREADS="2", TF_NUM_INTER_THREADS="4"
    )
    assert (found.signature, found.tag, found.threads, found.inter_threads) == ("s", "t", 2, 4)


@pytest.mark.parametrize("value", ["-1", "two", "1.5", "1025", "²"])
def test_a_bad_number_of_threads_is_named(value):
    with pytest.raises(LoadError, match=f"TF_NUM_INTRA_THREADS is '{value}'"):
        options(TF_NUM_INTRA_THREADS=value)


def test_each_version_names_its_own_weights():
    given = {"weights_v1": "imagenet", "weights": "random"}
    assert options("1", **given).weights == "imagenet"
    assert options("2", **given).weights == "random"


def test_a_model_that_states_a_picture_s_size_has_a_contract():
    assert options(width="224") == Options(has_contract=True)


def test_parameters_without_a_meaning_here_are_ignored():
    assert options(TF_USE_PER_SESSION_THREADS="1", MAX_SESSION_SHARE_COUNT="2") == Options()
