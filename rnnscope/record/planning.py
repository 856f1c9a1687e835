"""From a recipe to a planned run: checkpoint read, input opened, options applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from os.path import realpath
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError, InputError, OptionError, RnnscopeError
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.files.guarding.watched import WatchedFiles
from rnnscope.options.held_array import HeldArray
from rnnscope.record.recipes.copies import with_copies
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.recipes.recipe_inputs import as_random, open_decoder_inputs, open_source
from rnnscope.running.background import background_call
from rnnscope.running.decoding import Decoding
from rnnscope.running.overrides import LayerOptions, ValuesByLayer

if TYPE_CHECKING:
    from rnnscope.checkpoints.interface import Checkpoint
    from rnnscope.inputs import InputSource
    from rnnscope.running import Plan

BY_LAYER = ("forget_bias", "activation", "recurrent_activation", "cell_clip", "proj_clip", "cell",
            "padding")  # fmt: skip
"""Options with a value for each layer, called in `LayerOptions` as in the table."""


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """A recipe with everything opened that it names.

    Attributes
    ----------
    recipe : Recipe
    checkpoint : Checkpoint
    source : InputSource
        What the first layer that runs receives.
    plan : Plan
    input_sha256 : callable
        ``input_sha256() -> str``: the digest of the input; waits until it is there.
    opened : InputSource
        The input as the recipe names it.
    watched : WatchedFiles
        What the files were before anything was read.
    """

    recipe: Recipe
    checkpoint: Checkpoint
    source: InputSource
    plan: Plan
    input_sha256: Callable[[], str]
    opened: InputSource
    watched: WatchedFiles

    @property
    def unread(self) -> tuple[str, ...]:
        """The arrays of the input file that nothing reads, by name."""
        read = set[str]()
        decoder = self.plan.decoder_source
        if decoder is not None and decoder.path == self.opened.path:
            read |= decoder.container.read
        if realpath(self.opened.path) in map(realpath, self.checkpoint.files):
            if self.checkpoint.own_arrays is None:
                return ()  # which of them the model is made of, nobody can say by these names
            read |= self.checkpoint.own_arrays
        return tuple(name for name in self.opened.container.unread if name not in read)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the run reads, which its trace must not replace."""
        decoder = self.plan.decoder_source
        others = () if decoder is None else (decoder.path,)
        return (*self.checkpoint.files, self.source.path, *others)

    def decoder_sha256(self) -> str:
        """The digest of the decoder inputs; empty if there are none."""
        decoder, given = self.plan.decoder_source, self.recipe["decoder_inputs"]
        if decoder is None:
            return ""
        return given.sha256 if isinstance(given, HeldArray) else decoder.sha256()

    def require_unchanged(self, checkpoint_sha256: str = "", input_sha256: str = "") -> None:
        """Refuse what was read if its files were written meanwhile.

        Parameters
        ----------
        checkpoint_sha256, input_sha256 : str
            Digests that were taken while the run went on. With them files whose times leave a
            doubt are read again.

        Raises
        ------
        CheckpointError, InputError
            It names the file.
        """
        decoder = self.plan.decoder_source
        inputs = [self.opened.path, *([] if decoder is None else [decoder.path])]
        for error, what, files in (
            (CheckpointError, "checkpoint", self.checkpoint.files),
            (InputError, "input", inputs),
        ):
            if (path := self.watched.changed(files)) is not None:
                raise _was_changed(error, what, path)
        for error, what, files, digest in (
            (CheckpointError, "checkpoint", self.checkpoint.files, checkpoint_sha256),
            (InputError, "input", inputs[:1], input_sha256),
        ):
            doubtful = digest and self.watched.doubtful(files)
            if doubtful and files_sha256(files) != digest:
                raise _was_changed(error, what, files[0])


def _was_changed(error: type[RnnscopeError], what: str, path: Path) -> RnnscopeError:
    return error(
        f"The {what} was changed while it was read.",
        where=path,
        expected="a file that stays as it is until the run is done",
        found="another content, size or time than before",
        hint="run again when whoever writes it is done; nothing was kept",
    )


@contextmanager
def plan_recipe(
    recipe: Recipe,
    *,
    check_target: Callable[[tuple[Path, ...]], object] | None = None,
    adjust: Callable[[InputSource], InputSource] | None = None,
    input_sha256: str = "",
) -> Iterator[PlannedRun]:
    """Read the checkpoint and open the input of a recipe, and plan the run.

    Parameters
    ----------
    recipe : Recipe
    check_target : callable, optional
        Called with the files that the run reads, before anything slow begins; it may refuse.
    adjust : callable, optional
        Called with the opened input; what it returns is run.
    input_sha256 : str
        The digest of the input, where somebody has taken it already.

    Yields
    ------
    PlannedRun
        Open until the block ends.

    Raises
    ------
    RnnscopeError
        The checkpoint or the input cannot be read, or the options do not fit them.
    """
    with (
        with_copies(recipe) as here,
        _plan_here(here, recipe, check_target, adjust, input_sha256) as planned,
    ):
        yield planned


@contextmanager
def _plan_here(
    recipe: Recipe,
    given: Recipe,
    check_target: Callable[[tuple[Path, ...]], object] | None,
    adjust: Callable[[InputSource], InputSource] | None,
    input_sha256: str,
) -> Iterator[PlannedRun]:
    """Plan a recipe whose files are all here; `given` is the one that the user gave."""
    from rnnscope.checkpoints import read_checkpoint
    from rnnscope.oracles.through_keras import through_keras
    from rnnscope.running import override_options, plan_run
    from rnnscope.running.given_states import with_states_by_input_name

    watched = _watch(recipe)
    with ExitStack() as opened:
        known = (lambda: input_sha256) if input_sha256 else None
        hashed = known or _hash_in_background(recipe, opened)  # while the checkpoint is read
        with _saying_if_swapped(recipe):
            checkpoint = read_checkpoint(Path(recipe.checkpoint), layout=recipe["layout"])
        ran = recipe
        if recipe["random"] is not None:
            from rnnscope.record.recipes.random_input import random_input

            held = random_input(recipe, checkpoint)
            ran, hashed = replace(recipe, input=held), lambda: held.sha256
        for path in checkpoint.files:
            watched.add(path)
        source = opened.enter_context(open_source(ran, checkpoint))
        if ran is not recipe:
            source = as_random(source, recipe)
        source = with_states_by_input_name(checkpoint.network, source)
        opened_source = source
        decoder = open_decoder_inputs(recipe, source, opened)
        if check_target is not None:
            read = (*checkpoint.files, source.path, *([] if decoder is None else [decoder.path]))
            check_target(read)
        if adjust is not None:
            source = adjust(source)
        network = override_options(
            checkpoint.network,
            layer_options(recipe),
            insist=recipe["override"],
            dialect_names={"hard_sigmoid": checkpoint.hard_sigmoid},
        )
        front = opened.enter_context(
            through_keras(
                checkpoint,
                network,
                source,
                recipe["layers"],
                model_input=recipe["model_input"],
                trusted=recipe["trust_model"],
            )
        )
        plan = plan_run(
            checkpoint,
            front.source,
            network=network,
            layers=recipe["layers"],
            model_input=front.model_input,
            feed=(*recipe["feed"], *front.feed),
            after=recipe["after"],
            embedding=recipe["embedding"],
            decoding=Decoding(
                source=decoder,
                encoder=recipe["encoder"],
                decoder=recipe["decoder"],
                loop_function=recipe["loop_function"],
                steps=recipe["decoder_steps"],
                insist=recipe["override"],
            ),
        )
        own = front.source is source
        yield PlannedRun(
            given,
            checkpoint,
            front.source,
            plan,
            hashed if own else front.source.sha256,
            opened_source,
            watched,
        )


@contextmanager
def _saying_if_swapped(recipe: Recipe) -> Iterator[None]:
    """A hint where the input stands in the place of the checkpoint, and the other way round."""
    from rnnscope.checkpoints import swapped_with
    from rnnscope.files.arrays.reference import split_reference

    try:
        yield
    except (CheckpointError, OptionError) as error:
        if isinstance(recipe.input, str) and recipe.input:
            other, _ = split_reference(recipe.input)
            if swapped_with(Path(recipe.checkpoint), other):
                raise type(error)(
                    error.what,
                    where=error.where,
                    found=error.found,
                    hint=f"did you mean the other order: {other} {recipe.checkpoint}?",
                ) from error
        raise


def _watch(recipe: Recipe) -> WatchedFiles:
    from rnnscope.files.arrays.reference import split_reference

    given = [recipe.input, recipe["decoder_inputs"]]
    inputs = [split_reference(one)[0] for one in given if isinstance(one, str) and one]
    return WatchedFiles([Path(recipe.checkpoint), *inputs])


def layer_options(recipe: Recipe) -> LayerOptions:
    """The options of layers as the network takes them."""
    options = {name: ValuesByLayer(tuple(recipe[name] or ())) for name in BY_LAYER}
    named = tuple((pattern, True) for pattern in recipe["backward"])
    every = (("*", True),) if recipe["go_backwards"] else ()
    return LayerOptions(**options, go_backwards=ValuesByLayer(every), backward=ValuesByLayer(named))


def _hash_in_background(recipe: Recipe, opened: ExitStack) -> Callable[[], str]:
    """The digest of the input, which is given up when what is opened for the run is closed."""
    from rnnscope.files.arrays.reference import split_reference

    if isinstance(recipe.input, HeldArray):
        digest = recipe.input.sha256
        return lambda: digest
    if not recipe.input:  # refused, or random
        return lambda: ""
    file, _ = split_reference(recipe.input)
    closed = Event()
    with suppress(OSError):  # whoever opens it says what is wrong with it
        if file.is_file():  # else it is refused soon, and a pipe or a device might never end
            opened.callback(closed.set)
            return background_call(lambda: files_sha256([file], lambda: not closed.is_set())).result
    return lambda: files_sha256([file])
