"""An entry of a Keras model's list of layers, and what its configuration says about itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from rnnscope.checkpoints.keras.calls.inbound_nodes import Call
from rnnscope.checkpoints.keras.dialect import Dialect
from rnnscope.checkpoints.keras.layer_tensor import LayerTensor
from rnnscope.checkpoints.keras.weights import LayerKey, LayerWeights, NoWeights
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.messages.json_config import ConfigView, object_views

MODEL_CLASSES = ("Functional", "Model", "Sequential")

_KERAS_MODULES = ("keras", "tf_keras", "tensorflow")


@dataclass(frozen=True)
class Scope:
    """Where in a nest of models a layer is.

    Attributes
    ----------
    prefix : str
        The names of the models around it: ``"encoder/"``.
    suffix : str
        Tells further calls of one nested model apart.
    depth : int
    given : sequence of LayerTensor or None
        What a nested model is called on; None for the outermost model.
    """

    prefix: str = ""
    suffix: str = ""
    depth: int = 0
    given: Sequence[LayerTensor] | None = None


@dataclass(eq=False)
class LayerEntry:
    """One entry of a model's list of layers, while the model is put together.

    Attributes
    ----------
    name, class_name : str
    view : ConfigView
        The whole entry.
    weights : LayerWeights
    is_model : bool
        True for a model within the model.
    is_operation : bool
        True for an operation such as ``x + y``, which Keras 3 lists among the layers.
    calls : list of Call
    outputs : list of tuple of LayerTensor
        By call, as far as calls are placed.
    offset : int
        The number that the file gives to the first call.
    open_ended : bool
        True for a layer that is not computed: it may return any number of tensors.
    """

    name: str
    class_name: str
    view: ConfigView
    weights: LayerWeights
    is_model: bool = False
    is_operation: bool = False
    calls: list[Call] = field(default_factory=list)
    outputs: list[tuple[LayerTensor, ...]] = field(default_factory=list)
    offset: int = 0
    open_ended: bool = False

    @property
    def calls_left(self) -> int:
        """How many calls are not placed yet."""
        return len(self.calls) - len(self.outputs)


def read_entries(model: ConfigView, weights: LayerWeights, dialect: Dialect) -> list[LayerEntry]:
    """The entries of a model, each with its weights."""
    # Until Keras 2.2.2 the config of a Sequential was the list of its layers.
    stored = model.raw("config")
    if isinstance(stored, list):
        views = list(object_views(stored, f"{model.where} > config"))
    else:
        views = list(model.view("config").views("layers"))
    operations = [is_operation(view, dialect) for view in views]
    keys = [LayerKey(_name(view), class_name(view), _is_model(view)) for view in views]
    # Operations store nothing, and Keras 3 does not count them among the layers.
    layers = [key for key, is_op in zip(keys, operations, strict=True) if not is_op]
    scopes = iter(weights.layers(layers))
    return [
        LayerEntry(
            key.name,
            key.class_name,
            view,
            NoWeights() if is_op else next(scopes),
            key.is_model,
            is_op,
        )
        for key, view, is_op in zip(keys, views, operations, strict=True)
    ]


def class_name(view: ConfigView) -> str:
    """The bare class: registered classes are written ``"Package>Class"``."""
    return view.get("class_name", str).rsplit(">", 1)[-1]


def is_foreign(view: ConfigView) -> bool:
    """True for a class that is not Keras' own, even if it has the name of one."""
    module, registered = view.raw("module"), view.raw("registered_name")
    names = [view.get("class_name", str), registered if isinstance(registered, str) else ""]
    packages = {name.partition(">")[0] for name in names if ">" in name}
    foreign_module = isinstance(module, str) and module.split(".", 1)[0] not in _KERAS_MODULES
    return foreign_module or not packages <= {"keras"}


def own_class(view: ConfigView) -> str:
    """The class of a layer within a layer; one that is not Keras' own keeps its module."""
    name, registered = view.get("class_name", str), view.raw("registered_name")
    if not is_foreign(view) or ">" in name:
        return name.removeprefix("keras>")
    if isinstance(registered, str) and ">" in registered:
        return registered
    return f"{view.raw('module')}.{name}"


def input_shape(view: ConfigView) -> tuple[int | None, ...] | None:
    """The shape that an entry states for the model's input; None where it states none."""
    config = view.raw("config")
    stored = None
    if isinstance(config, dict):
        stored = config.get("batch_shape") or config.get("batch_input_shape")
    if not isinstance(stored, list) or len(stored) < 2:
        return None
    sizes = [size if isinstance(size, int) else None for size in stored]
    return tuple(sizes)


def is_operation(view: ConfigView, dialect: Dialect) -> bool:
    """True for an operation, which is no layer."""
    if dialect.number < (3,) or _is_model(view) or class_name(view) == "InputLayer":
        return False
    module, config = view.raw("module"), view.raw("config")
    if isinstance(module, str):
        return ".ops" in module
    # Every layer says whether it trains, but for SpatialDropout, which says its rate.
    return isinstance(config, dict) and not {"trainable", "rate"} & config.keys()


def _is_model(view: ConfigView) -> bool:
    return class_name(view) in MODEL_CLASSES and not is_foreign(view)


def _name(view: ConfigView) -> str:
    """A layer's name, which a Sequential of Keras 2 keeps in the config only."""
    if isinstance(view.raw("name"), str):
        return view.get("name", str)
    if isinstance(view.raw("config"), dict):
        return view.view("config").get("name", str)
    # A nested Sequential of Keras 1 and 2.0 is a bare list, without a name.
    return class_name(view).lower()
