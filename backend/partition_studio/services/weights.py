"""What the weights of a network hold, for the details of a layer."""

import threading
from collections import OrderedDict

from partition_studio.errors import NotFoundError
from partition_studio.graph.network import Network, NetworkForm
from partition_studio.graph.weight_figures import WeightFigures, dtype_of, figures_of
from partition_studio.schemas import WeightFiguresOut, WeightOut
from partition_studio.services.models import ModelService

#: Weights whose figures are remembered.
KEPT_FIGURES = 256


class WeightNotFoundError(NotFoundError):
    """The network has no weight of that name."""

    code = "weight_not_found"
    next_step = "Ask for the weights of a layer, and use one of those names."


class WeightUnorderedError(NotFoundError):
    """The weight's elements are of a type without an order."""

    code = "weight_unordered"
    next_step = "Look at another weight."


class WeightService:
    """List the weights of a layer and look into them, one at a time. Every call may block; thread-safe."""

    def __init__(self, models: ModelService) -> None:
        """Look at the weights of these networks."""
        self._models = models
        self._figures: OrderedDict[tuple[str, NetworkForm, str], WeightFiguresOut] = OrderedDict()
        self._lock = threading.Lock()
        # One at a time: what is held while a weight is read is then bounded for all who ask together.
        self._reading = threading.Lock()

    def of_layer(self, model_id: str, layer: str) -> list[WeightOut]:
        """List the weights of a layer. Raises ModelNotFoundError, LayerNotFoundError."""
        network = self._models.network(model_id)
        weights = [network.weights[name] for name in network.layer(layer).weights]
        return [
            WeightOut(name=w.name, dtype=dtype_of(w), shape=list(w.dims), elements=w.elements, size_bytes=w.size_bytes)
            for w in weights
        ]

    def figures(self, model_id: str, name: str) -> WeightFiguresOut:
        """Look at a weight. Raises WeightNotFoundError, WeightUnorderedError, WeightUnreadableError."""
        network = self._models.network(model_id)
        key = (network.digest, network.form, name)
        with self._lock:
            if key in self._figures:
                self._figures.move_to_end(key)
                return self._figures[key]
        with self._reading:
            figures = _look(network, name)
        made = WeightFiguresOut.model_validate(figures)
        with self._lock:
            self._figures[key] = made
            while len(self._figures) > KEPT_FIGURES:
                self._figures.popitem(last=False)
        return made


def _look(network: Network, name: str) -> WeightFigures:
    weight = network.weights.get(name)
    if weight is None:
        raise WeightNotFoundError(f"The network {network.name!r} has no weight {name!r}", weight=name)
    figures = figures_of(weight)
    if figures is None:
        raise WeightUnorderedError(f"The weight {name!r} holds {dtype_of(weight)}, which has no histogram", weight=name)
    return figures
