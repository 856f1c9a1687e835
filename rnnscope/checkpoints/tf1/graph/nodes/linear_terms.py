"""What a gate is made of: products with columns of stored weights, biases, a diagonal term."""

from __future__ import annotations

from dataclasses import replace

from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.deferred_dataclass import dataclass


@dataclass(frozen=True)
class FactorPart:
    """Some columns (on the last axis) of a stored weight.

    Attributes
    ----------
    tensor : GraphTensor
    start, stop : int
    row : int or None
        Which row of a matrix of biases (Keras GRU keeps two); None for all of the weight.
    """

    tensor: GraphTensor
    start: int
    stop: int
    row: int | None = None

    @property
    def width(self) -> int:
        return self.stop - self.start

    def columns(self, start: int, stop: int) -> FactorPart:
        """Some of these columns, counted from the part's own first."""
        return replace(self, start=self.start + start, stop=self.start + stop)


@dataclass(frozen=True)
class Product:
    """``concat(inputs) @ kernel``."""

    inputs: tuple[GraphTensor, ...]
    kernel: FactorPart


@dataclass(frozen=True)
class Linear:
    """A sum of products, biases, one constant, one diagonal term, and what is none of these.

    Attributes
    ----------
    products : tuple of Product
    biases : tuple of FactorPart
    constant : float
        What is added at run time; `constant_name` is the node that holds it.
    peephole, on : GraphTensor or None
        A diagonal weight and the state it is multiplied with.
    others : tuple of GraphTensor
    """

    products: tuple[Product, ...] = ()
    biases: tuple[FactorPart, ...] = ()
    constant: float = 0.0
    constant_name: str = ""
    peephole: GraphTensor | None = None
    on: GraphTensor | None = None
    others: tuple[GraphTensor, ...] = ()

    @property
    def width(self) -> int | None:
        widths = {product.kernel.width for product in self.products}
        return widths.pop() if len(widths) == 1 else None

    @property
    def tensors(self) -> tuple[GraphTensor, ...]:
        """Every weight tensor of the sum."""
        parts = [*(product.kernel for product in self.products), *self.biases]
        return tuple(dict.fromkeys(part.tensor for part in parts))

    def plus(self, other: Linear) -> Linear:
        return Linear(
            self.products + other.products,
            self.biases + other.biases,
            self.constant + other.constant,
            self.constant_name or other.constant_name,
            self.peephole or other.peephole,
            self.on or other.on,
            self.others + other.others,
        )

    def columns(self, start: int, stop: int) -> Linear:
        return replace(
            self,
            products=tuple(
                replace(product, kernel=product.kernel.columns(start, stop))
                for product in self.products
            ),
            biases=tuple(bias.columns(start, stop) for bias in self.biases),
        )


@dataclass(frozen=True)
class Gate:
    """``act(linear)``, where the linear is made of products, and of nothing unknown."""

    activation: str
    linear: Linear
