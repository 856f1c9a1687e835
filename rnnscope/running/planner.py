"""Deciding which layers run, and where in the network the input goes in."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.errors import InputError, OptionError, UnsupportedCellError, spell
from rnnscope.inputs import InputSource
from rnnscope.model.layers import PassThrough, Unsupported
from rnnscope.model.layers.evaluated import EvaluatedMask
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running.decoding import Decoding, wire_decoder
from rnnscope.running.entrance_notes import entrance_notes
from rnnscope.running.entrances import Entrances
from rnnscope.running.given_states import starting_from_given, unblocked
from rnnscope.running.loops import Loop, find_loops
from rnnscope.running.nothing_runs import input_fits_none, no_recurrent_layer, nothing_runs
from rnnscope.running.plan import Plan
from rnnscope.running.skipped import SkippedLayer, SkipReason
from rnnscope.running.wiring import FED_INPUT, rewire


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
        Other connections than the file's, as `rnnscope.running.wiring.rewire` takes them. With
        `feed` the input goes to these layers alone.
    embedding : str, optional
        The embedding that takes the ids, where there are several.
    decoding : Decoding, optional
        The decoder inputs, and what is said of the decoder.

    Raises
    ------
    InputError
        No layer takes an input of this width, or an initial state that is given does not fit.
    OptionError
        A pattern fits no layer, or an option names one that is not there.
    UnsupportedCellError
        The file holds no recurrent layer that rnnscope computes.
    """
    wired = rewire(network or checkpoint.network, feed, after)
    decoding = decoding or Decoding()
    wired, notes = wire_decoder(wired, checkpoint, decoding)
    wired = unblocked(wired, source.initial)
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
        self._notes: list[str] = []
        self._skipped: dict[str, SkippedLayer] = {}
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
        network = self._network
        wanted = self._wanted(tuple(patterns))
        # The merge of two directions belongs to them, whether or not a layer reads it.
        needed = network.with_merges(network.needed_by(wanted))
        entries, decoder_entries = self._entries(needed)
        if not entries:
            raise self._no_entry([node for node in network.recurrent if node.name in needed])
        self._notes.extend(
            entrance_notes(network, entries, model_input=self._entrances.model_input)
        )
        points = frozenset(entries.values())
        decoder_points = frozenset(decoder_entries.values())
        runnable = self._runnable(needed, points | decoder_points)
        names = {node.name for node in runnable}
        skipped = tuple(self._skipped[name] for name in sorted(wanted - names))
        self._notes.extend(layer.words for layer in skipped)
        if not any(node.recurrent for node in runnable):
            raise nothing_runs(self._checkpoint, self._notes)
        as_run = starting_from_given([node for node in runnable if node.recurrent], self._source)
        runnable = [as_run.get(node.name, node) for node in runnable]
        layers = tuple(node for node in runnable if node.recurrent)
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
            skipped=skipped,
        )

    def _entries(self, needed: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Where the input, and the decoder inputs, go in for each layer that none feeds."""
        network = self._network
        entries: dict[str, str] = {}
        decoder_entries: dict[str, str] = {}
        for node in network.recurrent:
            if node.name not in needed or network.recurrent_below(node):
                continue
            if FED_INPUT in network.inputs and FED_INPUT not in node.reads:
                self._skip(
                    node, "not fed", f"the input goes to other layers alone ({spell('feed')})"
                )
                continue
            if network.uncomputed_start(node) is not None:
                self._skip_start(node)
                continue
            decodes = network.decodes(node)
            entry = (
                self._entrances.of_decoder(node)
                if decodes
                else self._entrances.of(node, self._source)
            )
            if isinstance(entry, SkippedLayer):
                self._skipped[node.name] = entry
            else:
                (decoder_entries if decodes else entries)[node.name] = entry
        return entries, decoder_entries

    def _skip(self, node: Node, reason: SkipReason, words: str) -> None:
        """Record why a layer is not run; the first reason is the one."""
        found = SkippedLayer(node.name, reason, f"'{node.name}' was not run: {words}.")
        self._skipped.setdefault(node.name, found)

    def _skip_start(self, node: Node) -> None:
        """Record that a layer starts from what is not computed, and what that is."""
        before = self._network.uncomputed_start(node)
        reason = before.layer.reason if before and isinstance(before.layer, Unsupported) else ""
        told = f": {reason}" if reason and before and not before.reads else ""
        self._skip(node, "initial state", f"its initial state is not computed{told}")

    def _check_decoder(
        self, entries: dict[str, str], loops: tuple[Loop, ...], layers: list[str]
    ) -> None:
        """Refuse decoder inputs that no layer reads, or that do not go with the input."""
        decoding = self._decoding
        if decoding.steps is not None and not loops:
            raise OptionError(
                f"{spell('decoder_steps')} is given, but no decoder makes its own inputs.",
                expected=f"a loop function, which the graph has or {spell('loop_function')} names",
                hint="without one, the decoder takes as many steps as its inputs have",
            )
        if decoding.source is None or any(name in layers for name in entries):
            self._check_sequences(entries)
            return
        raise OptionError(
            f"{spell('decoder_inputs')} is given, but no layer that is run is a decoder.",
            expected="a layer that starts from the final state of another",
            found=", ".join(f"'{name}'" for name in layers),
            hint="\n".join(self._notes)
            or f"say which with {spell('encoder')} and {spell('decoder')}",
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
            raise no_recurrent_layer(self._checkpoint, self._network)
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise OptionError(
                    f"{spell('layers')} fits no recurrent layer.",
                    expected=f"one of {', '.join(names)}",
                    found=pattern,
                )
        return {
            name for name in names
            if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
        }  # fmt: skip

    def _runnable(self, needed: Collection[str], points: frozenset[str]) -> list[Node]:
        """The nodes that follow from the entries, in order."""
        known = set(points)
        run: list[Node] = []
        for node in self._network.nodes:
            if node.name not in needed or node.name in points:
                continue
            if isinstance(node.layer, EvaluatedMask) and not known.issuperset(node.reads):
                passed = self._without_mask(node, known)
                if passed is not None:
                    known.add(node.name)
                    run.append(passed)
            elif not node.reads or not known.issuperset(node.reads):
                self._skip(node, "reads", "what it reads was not computed")
            elif not isinstance(node.layer, RecurrentLayer) and not node.layer.computed:
                self._note_uncomputed(node)
            elif self._network.uncomputed_start(node) is not None:
                self._skip_start(node)
            elif not known.issuperset(node.starts_from):
                # It would start from zeros.
                names = " and ".join(f"'{name}'" for name in node.starts_from if name not in known)
                self._skip(node, "start", f"{names}, from whose final state it starts, was not run")
            else:
                known.add(node.name)
                run.append(node)
        return run

    def _without_mask(self, node: Node, known: Collection[str]) -> Node | None:
        """What hands on the same values without lengths that are computed of what is not given.

        None where they are needed: the run is given no others.
        """
        masked, *others = node.reads
        if masked not in known:
            self._skip(node, "reads", "what it reads was not computed")
            return None
        missing = " and ".join(f"'{name}'" for name in others if name not in known)
        if self._source.lengths is None and self._source.mask is None:
            words = f"the model computes its lengths of {missing}, which is not given; give them"
            for layer in self._network.recurrent:
                if node.name in layer.reads:
                    self._skip(layer, "lengths", f"{words} with {spell('lengths')}")
            return None
        self._notes.append(
            f"The lengths or mask given are used; '{node.name}' of the file, which would compute "
            f"lengths of {missing}, was not run."
        )
        return replace(node, layer=PassThrough("lengths"), reads=(masked,))

    def _note_uncomputed(self, node: Node) -> None:
        layer = node.layer
        assert isinstance(layer, Unsupported)
        self._notes.append(
            f"'{node.name}' ({layer.kind}) is not computed by rnnscope: {layer.reason}. "
            "Layers that read it were not run."
        )

    def _no_entry(self, roots: list[Node]) -> InputError | UnsupportedCellError:
        skipped = self._skipped.values()
        if skipped and not any(layer.reason in ("width", "ids") for layer in skipped):
            words = (layer.words for layer in skipped)
            return nothing_runs(self._checkpoint, [*self._notes, *words])
        return input_fits_none(self._source, self._network, roots)
