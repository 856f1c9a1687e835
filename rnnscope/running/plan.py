"""What was decided before anything is computed: which layers run, and where the input goes in."""

from __future__ import annotations

from functools import cached_property

from rnnscope.deferred_dataclass import dataclass
from rnnscope.inputs import InputSource
from rnnscope.model.network import Network, Node
from rnnscope.running.loops import Loop
from rnnscope.running.skipped import SkippedLayer


@dataclass(frozen=True, eq=False)
class Plan:
    """What a run does.

    Attributes
    ----------
    nodes : tuple of Node
        In the order in which they are computed, as they are run: with the initial states that the
        user gives in the place of the file's.
    entries : frozenset of str
        Names of nodes or network inputs whose value is the run's input.
    layers : tuple of Node
        The recurrent nodes among `nodes`.
    from_input : frozenset of str
        The recurrent nodes that read the run's input itself, through masks and dropout at most.
    notes : tuple of str
    decoder_entries : frozenset of str
        Names of nodes or network inputs whose value is the decoder's input.
    decoder_source : InputSource or None
        The decoder's input.
    decoder_steps : int or None
        How many steps a decoder with a loop function takes, where not as many as its input has.
    loops : tuple of Loop
        Decoders with a loop function.
    skipped : tuple of SkippedLayer
        The layers that were asked for and are not run; `notes` has their words.
    """

    nodes: tuple[Node, ...]
    entries: frozenset[str]
    layers: tuple[Node, ...]
    from_input: frozenset[str]
    notes: tuple[str, ...]
    decoder_entries: frozenset[str] = frozenset()
    decoder_source: InputSource | None = None
    decoder_steps: int | None = None
    loops: tuple[Loop, ...] = ()
    skipped: tuple[SkippedLayer, ...] = ()

    def decodes(self, node: Node) -> bool:
        """Whether a node's time is that of the decoder inputs, not of the run's input."""
        return node.name in self.decoding

    @cached_property
    def decoding(self) -> frozenset[str]:
        """The nodes whose time is that of the decoder inputs."""
        ran = Network((), self.nodes)
        return ran.downstream_of(self.decoder_entries, until=self.entries)
