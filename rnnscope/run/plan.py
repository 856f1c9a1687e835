"""Before anything is computed: which layers run, and where in the network the input goes in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.errors import InputError, OptionError, UnsupportedCellError
from rnnscope.inputs import InputSource
from rnnscope.layers import BidirectionalMerge, Dense, Embedding, Masking, PassThrough, Unsupported
from rnnscope.layers.unsupported import OWN_OUTPUT
from rnnscope.network import Layer, Network, Node, RecurrentLayer
from rnnscope.run.decoding import Decoding, wire_decoder
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
        self._model_input = model_input
        self._embedding: str | None = None
        self._notes: list[str] = []
        self._decoding = decoding

    def note(self, *notes: str) -> None:
        """Add to the plan's notes."""
        self._notes.extend(notes)

    def choose_embedding(self, name: str) -> None:
        """Let the ids go through this embedding alone."""
        names = [n.name for n in self._network.nodes if isinstance(n.layer, Embedding)]
        if name not in names:
            raise OptionError(
                "--embedding names an embedding that stands in front of no layer.",
                expected=f"one of {', '.join(names)}" if names else "a file with an embedding",
                found=name,
            )
        if not self._source.is_ids:
            raise OptionError(
                "--embedding is given for an input that holds no ids.",
                where=self._source.name,
                expected="integers (sequence, timestep), called ids or given with --ids",
                found=f"{self._source.dtype} with {self._source.features} features",
            )
        self._embedding = name

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
            if node.name not in needed or self._reads_recurrent(node) or self._obstacle(node):
                continue
            decodes = self._decodes(node)
            entry = self._decoder_entry(node) if decodes else self._entry(node, self._source)
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
        direct = frozenset(name for name, entry in entries.items() if self._is_direct(name, entry))
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

    def _decodes(self, node: Node) -> bool:
        """Whether a layer reads inputs of its own that go with another layer's final state."""
        layer = node.recurrent
        if layer is None or not layer.handed_by:
            return False
        if layer.feedback is not None:
            return True
        shared = {name for other in layer.handed_by for name in self._inputs_behind(other)}
        return not self._inputs_behind(node.name) & shared

    def _inputs_behind(self, name: str) -> set[str]:
        """The network's inputs that a layer reads in the end."""
        pending, found, seen = [name], set[str](), set[str]()
        while pending:
            current = pending.pop()
            if current in seen:
                continue
            seen.add(current)
            if current in self._nodes:
                pending.extend(self._nodes[current].reads)
            else:
                found.add(current)
        return found

    def _decoder_entry(self, node: Node) -> str | None:
        """Where the decoder inputs go in."""
        layer, source = node.recurrent, self._decoding.source
        assert layer is not None
        if source is None and not self._is_stand_in(node):
            names = " and ".join(f"'{name}'" for name in layer.handed_by)
            self._notes.append(
                f"'{node.name}' starts from the final state of {names} and reads inputs of its "
                "own, which were not given (--decoder-inputs): it was not run."
            )
            return None
        entry = self._entry(node, source or self._source)
        if entry is None and source is not None and not self._is_stand_in(node):
            given = "ids" if source.is_ids else f"{source.features} features"
            raise InputError(
                "The decoder inputs do not fit the decoder.",
                where=source.name,
                expected=f"{layer.cell.input_size} features (layer '{node.name}'), or ids where "
                "an embedding stands in front of it",
                found=given,
            )
        return entry

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

    def _obstacle(self, node: Node) -> bool:
        """Whether a layer starts from what is not computed."""
        others = [self._nodes[name] for name in node.inputs[1:] if name in self._nodes]
        return any(isinstance(other.layer, Unsupported) for other in others)

    def _is_stand_in(self, node: Node) -> bool:
        """Whether a layer's x is made of its own output, in a way that is not computed."""
        front = self._nodes.get(node.reads[0]) if node.reads else None
        layer = None if front is None else front.layer
        return isinstance(layer, Unsupported) and layer.kind in OWN_OUTPUT

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

    def _reads_recurrent(self, node: Node) -> bool:
        pending, seen = [*node.reads], set[str]()
        while pending:
            behind = self._nodes.get(name := pending.pop())
            if behind is None or name in seen:
                continue
            if behind.recurrent:
                return True
            seen.add(name)
            pending.extend(behind.reads)
        return False

    def _entry(self, root: Node, source: InputSource) -> str | None:
        """Where an input goes in for a layer that no recurrent layer feeds."""
        layer = root.recurrent
        if self._is_stand_in(root):
            stand_in = self._nodes[root.reads[0]].layer
            assert isinstance(stand_in, Unsupported)
            self._notes.append(f"'{root.name}' was not run: {stand_in.reason}.")
            return None
        entry = root.inputs[0] if root.inputs else root.name
        if self._model_input:
            return self._model_entry(root)
        if source.is_ids:
            return self._embedding_entry(root)
        masked = source.lengths is not None or source.mask is not None
        while (node := self._nodes.get(entry)) is not None:
            if not isinstance(node.layer, (Masking, PassThrough)):
                break
            if isinstance(node.layer, Masking) and masked:
                self._notes.append(
                    f"The lengths or mask given are used; '{node.name}' of the file, which would "
                    "make a mask from the input, was not run."
                )
                break
            entry = node.inputs[0]
        wrapped = self._nodes.get(entry)
        if wrapped is not None and _projects_input(wrapped):
            kernel = wrapped.layer.kernel  # type: ignore[union-attr]
            if kernel.shape[0] == source.features:
                self._notes.append(
                    f"'{root.name}' receives the input through '{wrapped.name}', the projection "
                    "that is part of its cell."
                )
                return wrapped.inputs[0]
        width = layer.cell.input_size if layer is not None else None
        return entry if width == source.features else None

    def _model_entry(self, root: Node) -> str | None:
        inputs = sorted(self._inputs_behind(root.name) & set(self._network.inputs))
        if len(inputs) != 1:
            raise OptionError(
                "--model-input needs a layer that reads one input of the model.",
                where=f"layer '{root.name}'",
                found=", ".join(inputs) or "none",
                hint="give what the layer itself receives, without --model-input",
            )
        return inputs[0]

    def _embedding_entry(self, root: Node) -> str | None:
        name = root.inputs[0] if root.inputs else ""
        while (node := self._nodes.get(name)) is not None and len(node.inputs) == 1:
            if isinstance(node.layer, Embedding) and self._embedding in (None, node.name):
                return node.inputs[0]
            name = node.inputs[0]
        return None

    def _is_direct(self, name: str, entry: str) -> bool:
        """Whether nothing but masks and dropout stand between the run's input and a layer."""
        node = self._nodes[name]
        reads = node.inputs[0] if node.inputs else name
        while reads != entry:
            between = self._nodes[reads]
            if not isinstance(between.layer, (Masking, PassThrough)):
                return False
            reads = between.inputs[0]
        return True

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
            if self._reads_recurrent(node):
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
            node.recurrent.cell.input_size: node.name for node in roots
            if node.recurrent and not self._reads_recurrent(node) and not self._decodes(node)
        }  # fmt: skip
        wanted = ", ".join(f"{width} (layer '{name}')" for width, name in widths.items())
        swapped = self._source.timesteps in widths
        return InputError(
            "The input has the wrong number of features.",
            where=self._source.name,
            expected=wanted or "a layer that reads the input",
            found=f"{self._source.features} features: {self._source.sequences} sequences x "
            f"{self._source.timesteps} timesteps x {self._source.features}",
            hint="are the axes in another order? rnnscope reads (sequence, timestep, feature)"
            if swapped
            else "is this the model's own input? Then say --model-input",
        )


def _projects_input(node: Node) -> bool:
    """Whether a node is what TensorFlow 1's InputProjectionWrapper puts in front of a cell."""
    named = "inputprojectionwrapper" in node.name.replace("_", "").lower()
    return named and isinstance(node.layer, Dense)
