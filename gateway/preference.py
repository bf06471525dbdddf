"""Which model answers when a request names none and MODEL is not set."""

from collections.abc import Mapping

from gateway.model import Model

FLAGSHIP = "vgg16"
EMBEDDED = "efficientnet_lite0"  # what the exporter takes if VGG16's weights are unavailable


def preferred(newest: Mapping[str, Model]) -> str:
    """Return the name of the default model; `newest` has each model's newest version.

    Adding another model beside the usual ones changes nothing. Random weights answer only if there
    are no others.
    """
    return min(newest, key=lambda name: _rank(newest[name]))


def stands_in_for(newest: Mapping[str, Model]) -> str:
    """Return the model that the preferred one stands in for, "" if there is none."""
    name = preferred(newest) if newest else ""
    return FLAGSHIP if name == EMBEDDED and newest[name].weights == "imagenet" else ""


def _rank(model: Model) -> tuple[bool, int, str]:
    if model.weights == "random":
        return True, int(model.name == FLAGSHIP), model.name
    favourites = (FLAGSHIP, EMBEDDED)
    place = favourites.index(model.name) if model.name in favourites else len(favourites)
    return False, place, model.name
