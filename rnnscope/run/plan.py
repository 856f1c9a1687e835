"""Before anything is computed: which layers run, and where in the network the input goes in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.errors import InputError, OptionError, UnsupportedCellError
from rnnscope.inputs import InputSource
from rnnscope.model.layers import BidirectionalMerge, Unsupported
from rnnscope.model.network import Layer, Network, Node, RecurrentLayer
from rnnscope.run.decoding import Decoding, wire_decoder
from rnnscope.run.entrances import Entrances
from rnnscope.run.loops import Loop, find_loops
from rnnscope.run.wiring import FED, rewire

NO_CELL = {"optimizer slot", "moving average", "training step", "embedding", "dense layer",
           "not recurrent"}  # fmt: skip
"""Reasons to leave a variable out that say nothing of a recurrent cell."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a run does.

    Attributes
    ----------
    nodes : tuple of Node
        In the order in which they are computed.
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

    def decodes(self, node: Node) -> bool:
        """Whether a node's time is that of the decoder inputs, not of the run's input."""
        return node.name in self.decoding

    @cached_property
    def decoding(self) -> frozenset[str]:
        """The nodes whose time is that of the decoder inputs."""
        found = set(self.decoder_entries)
        for node in self.nodes:
            if node.name not in self.entries and found & {*node.reads}:
                found.add(node.name)
        return frozenset(found)


def plan_run(
    checkpoint: Checkpoint,
    source: InputSource,
    *,
    network: Network | None = None,
    layers: Iterable[str] = (),
    model_input: bool = False,
    feed: Iterable[str] = (),
    after: Iterable[str] = (),
    embedding: str | None = None,
    decoding: Decoding | None = None,
) -> Plan:
    """Decide which nodes run on an input.

    Parameters
    ----------
    checkpoint : Checkpoint
    source : InputSource
    network : Network, optional
        In place of the checkpoint's own, for example with options overridden.
    layers : iterable of str
        Patterns; only recurrent layers that fit one, and what they read, are run.
    model_input : bool
        The input is what the model takes, not what its first recurrent layer receives.
    feed, after : iterable of str
        Other connections than the file's, as `rnnscope.run.wiring.rewire` takes them. With `feed`
        the input goes to these layers alone.
    embedding : str, optional
        The embedding that takes the ids, where there are several.
    decoding : Decoding, optional
        The decoder inputs, and what is said of the decoder.

    Raises
    ------
    InputError
        No layer takes an input of this width.
    OptionError
        A pattern fits no layer, or a flag names one that is not there.
    UnsupportedCellError
        The file holds no recurrent layer that rnnscope computes.
    """
    wired = rewire(network or checkpoint.network, feed, after)
    decoding = decoding or Decoding()
    wired, notes = wire_decoder(wired, checkpoint, decoding)
    planner = _Planner(checkpoint, source, wired, model_input, decoding)
    planner.note(*notes)
    if embedding is not None:
        planner.choose_embedding(embedding)
    return planner.plan(layers)


class _Planner:
    def __init__(
        self,
        checkpoint: Checkpoint,
        source: InputSource,
        network: Network,
        model_input: bool,
        decoding: Decoding,
    ) -> None:
        self._checkpoint = checkpoint
        self._source = source
        self._network = network
        self._nodes = {node.name: node for node in network.nodes}
        self._notes: list[str] = []
        self._decoding = decoding
        self._entrances = Entrances(
            network, source, decoding.source, self._notes, model_input=model_input
        )

    def note(self, *notes: str) -> None:
        """Add to the plan's notes."""
        self._notes.extend(notes)

    def choose_embedding(self, name: str) -> None:
        """Let the ids go through this embedding alone."""
        self._entrances.choose_embedding(name)

    def plan(self, patterns: Iterable[str]) -> Plan:
        wanted = self._wanted(tuple(patterns))
        needed = self._ancestors(wanted)
        # The merge of two directions belongs to them, whether or not a layer reads it.
        needed |= {
            node.name
            for node in self._network.nodes
            if isinstance(node.layer, BidirectionalMerge) and needed.issuperset(node.inputs)
        }
        entries: dict[str, str] = {}
        decoder_entries: dict[str, str] = {}
        fed = FED in self._network.inputs
        for node in self._network.recurrent:
            if fed and FED not in node.inputs:
                continue
            if (
                node.name not in needed
                or self._entrances.reads_recurrent(node)
                or self._entrances.obstructed(node)
            ):
                continue
            decodes = self._entrances.decodes(node)
            entry = (
                self._entrances.of_decoder(node)
                if decodes
                else self._entrances.of(node, self._source)
            )
            if entry is not None:
                (decoder_entries if decodes else entries)[node.name] = entry
        if not entries:
            raise self._no_entry([node for node in self._network.recurrent if node.name in needed])
        points = frozenset(entries.values())
        decoder_points = frozenset(decoder_entries.values())
        runnable = self._runnable(needed, points | decoder_points)
        layers = tuple(node for node in runnable if node.recurrent)
        self._mention_skipped(wanted, {node.name for node in layers})
        if not layers:
            raise UnsupportedCellError(
                "None of the file's recurrent layers can be run on this input.",
                where=self._checkpoint.path,
                found=" ".join(dict.fromkeys(self._notes)),
                hint="'rnnscope inspect' lists the layers and what each reads",
            )
        direct = frozenset(
            name for name, entry in entries.items() if self._entrances.is_direct(name, entry)
        )
        loops = find_loops(runnable)
        self._check_decoder(decoder_entries, loops, [node.name for node in layers])
        return Plan(
            nodes=tuple(runnable),
            entries=points,
            layers=layers,
            from_input=direct,
            notes=tuple(dict.fromkeys(self._notes)),
            decoder_entries=decoder_points,
            decoder_source=self._decoding.source,
            decoder_steps=self._decoding.steps,
            loops=loops,
        )

    def _check_decoder(
        self, entries: dict[str, str], loops: tuple[Loop, ...], layers: list[str]
    ) -> None:
        """Refuse decoder inputs that no layer reads, or that do not go with the input."""
        decoding = self._decoding
        if decoding.steps is not None and not loops:
            raise OptionError(
                "--decoder-steps is given, but no decoder makes its own inputs.",
                expected="a loop function, which the graph has or --loop-function names",
                hint="without one, the decoder takes as many steps as its inputs have",
            )
        if decoding.source is None or any(name in layers for name in entries):
            self._check_sequences(entries)
            return
        raise OptionError(
            "--decoder-inputs is given, but no layer that is run is a decoder.",
            expected="a layer that starts from the final state of another",
            found=", ".join(f"'{name}'" for name in layers),
            hint="\n".join(self._notes) or "say which with --encoder and --decoder",
        )

    def _check_sequences(self, entries: dict[str, str]) -> None:
        source = self._decoding.source
        if source is not None and entries and source.sequences != self._source.sequences:
            raise InputError(
                "The decoder inputs are not as many sequences as the input.",
                where=source.name,
                expected=f"{self._source.sequences} sequences, as {self._source.name}",
                found=f"{source.sequences} sequences",
            )

    def _wanted(self, patterns: tuple[str, ...]) -> set[str]:
        names = [node.name for node in self._network.recurrent]
        if not names:
            left = sorted(self._checkpoint.left_out, key=lambda entry: entry.reason in NO_CELL)
            reasons = [f"{entry.name}: {entry.reason}" for entry in left]
            unsupported = [
                f"{node.name}: {node.layer.kind}, {node.layer.reason}"
                for node in self._network.nodes
                if isinstance(node.layer, Unsupported)
            ]
            raise UnsupportedCellError(
                "The file holds no recurrent layer that rnnscope computes.",
                where=self._checkpoint.path,
                expected="an LSTM, GRU or simple recurrent layer",
                found="; ".join((unsupported + reasons)[:6]) or "no variables",
                hint="'rnnscope inspect' lists everything the file holds",
            )
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise OptionError(
                    "--layer fits no recurrent layer.",
                    expected=f"one of {', '.join(names)}",
                    found=pattern,
                )
        return {
            name for name in names
            if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
        }  # fmt: skip

    def _ancestors(self, names: Iterable[str]) -> set[str]:
        needed: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name in needed or name not in self._nodes:
                continue
            needed.add(name)
            node = self._nodes[name]
            pending.extend(node.inputs)
            if node.recurrent:
                pending.extend(node.recurrent.handed_by)
        return needed

    def _runnable(self, needed: set[str], points: frozenset[str]) -> list[Node]:
        """The nodes that follow from the entries, in order."""
        known = set(points)
        run: list[Node] = []
        for node in self._network.nodes:
            if node.name not in needed or node.name in points:
                continue
            layer = node.layer
            ready = bool(node.inputs) and all(name in known for name in node.inputs)
            ready = ready or (isinstance(layer, RecurrentLayer) and node.name in points)
            if not ready or not self._has_start(layer, known):
                continue
            if isinstance(layer, Unsupported):
                self._notes.append(
                    f"'{node.name}' ({layer.kind}) is not computed by rnnscope: {layer.reason}. "
                    "Layers that read it were not run."
                )
                continue
            known.add(node.name)
            run.append(node)
        return run

    def _has_start(self, layer: RecurrentLayer | Layer, known: set[str]) -> bool:
        """Whether the layers that a layer starts from are run: else it would start from zeros."""
        return not isinstance(layer, RecurrentLayer) or known.issuperset(layer.handed_by)

    def _mention_skipped(self, wanted: set[str], run: set[str]) -> None:
        mentioned = "\n".join(self._notes)
        for name in sorted(wanted - run):
            if f"'{name}'" in mentioned:
                continue
            node = self._nodes[name]
            layer = node.recurrent
            width = layer.cell.input_size if layer else 0
            if self._entrances.reads_recurrent(node):
                self._notes.append(f"'{name}' was not run: what it reads was not computed.")
            else:
                self._notes.append(
                    f"'{name}' was not run: it takes {width} features, the input has "
                    f"{self._source.features}."
                )

    def _no_entry(self, roots: list[Node]) -> InputError:
        if self._source.is_ids:
            return InputError(
                "The input holds ids, but no embedding of the file stands in front of a layer.",
                where=self._source.name,
                expected="features (sequence, timestep, feature)",
                found=f"ids of shape {(self._source.sequences, self._source.timesteps)}",
            )
        widths = {
            node.recurrent.cell.input_size: node.name
            for node in roots
            if node.recurrent
            and not self._entrances.reads_recurrent(node)
            and not self._entrances.decodes(node)
        }
        wanted = ", ".join(f"{width} (layer '{name}')" for width, name in widths.items())
        further = [
            node.name
            for node in self._nodes.values()
            if node.recurrent and node.recurrent.cell.input_size == self._source.features
        ]
        hint = "is this the model's own input? Then say --model-input"
        if further:
            hint = (
                f"it fits layer '{further[0]}', which reads others: --feed '{further[0]}' gives "
                "the input to it"
            )
        elif self._source.timesteps in widths:
            hint = "are the axes in another order? rnnscope reads (sequence, timestep, feature)"
        return InputError(
            "The input has the wrong number of features.",
            where=self._source.name,
            expected=wanted or "a layer that reads the input",
            found=f"{self._source.features} features: {self._source.sequences} sequences x "
            f"{self._source.timesteps} timesteps x {self._source.features}",
            hint=hint,
        )
