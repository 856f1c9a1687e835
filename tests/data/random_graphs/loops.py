"""The loops that are drawn: every way in which TensorFlow 1.15 runs a cell over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

v1 = tf.compat.v1
rnn = tf.contrib.rnn
seq2seq = tf.contrib.seq2seq
legacy = tf.contrib.legacy_seq2seq
nest = tf.nest


class Ran(NamedTuple):
    """A loop that ran: what is true of it.

    Attributes
    ----------
    prefix : str
        Of its names in the truth.
    tag : str
        Of its steps in the recorder; None where `states` gives every step.
    outputs : tensor
        What the framework returned, (sequence, timestep, …); None where it returned none.
    final : nested tensors
    layers : list of dict or None
        Descriptions of its layers; None: those of the model.
    extra : list of str
        States behind those of the layers.
    backward : bool
        Whether it read the input from the end.
    states : tuple of tensors or None
        c and m of every step, (timestep, sequence, unit), where the op itself returns them.
    """

    prefix: str
    tag: Any
    outputs: Any
    final: Any
    layers: Any = None
    extra: Any = ()
    backward: bool = False
    states: Any = None


class LoopKind(NamedTuple):
    """One kind of loop; ``run(model)`` gives a list of `Ran`.

    ``lengths``: may, must or never. ``plain``: whether a refusal is not as good as right numbers.
    ``while_``: whether there is a while loop, which may be of the second control flow.
    """

    run: Callable[..., Any]
    lengths: str = "may"
    plain: bool = False
    while_: bool = True
    stacks: bool = True
    starts: bool = True
    fused: bool = False
    dtype64: bool = True


def swapped(x):
    """Axes 0 and 1 exchanged."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.ndims)])


def _joined(steps):
    return tf.stack(steps, axis=1)


def _scoped(model):
    return {"scope": model.loop["scope"]} if model.loop.get("scope") else {}


def dynamic(model, tag="run", prefix="", time_major=False):
    cell = model.cell(tag)
    x = model.time_major_x() if time_major else model.x
    outputs, final = v1.nn.dynamic_rnn(
        cell, x, sequence_length=model.lengths, initial_state=model.start(cell), dtype=model.dtype,
        time_major=time_major, parallel_iterations=model.loop.get("parallel_iterations"),
        swap_memory=model.loop.get("swap_memory", False), **_scoped(model),
    )  # fmt: skip
    return [Ran(prefix, tag, swapped(outputs) if time_major else outputs, final)]


def static(model, lengths=True):
    cell = model.cell("run")
    outputs, final = v1.nn.static_rnn(
        cell, model.steps(), initial_state=model.start(cell), dtype=model.dtype,
        sequence_length=model.lengths, **_scoped(model),
    )  # fmt: skip
    return [Ran("", "run", _joined(outputs), final)]


def _starts(model, fw, bw):
    with v1.variable_scope("start_fw"):
        first = model.start(fw)
    with v1.variable_scope("start_bw"):
        return {"initial_state_fw": first, "initial_state_bw": model.start(bw)}


def bidirectional(model, time_major=False):
    fw, bw = model.cell("fw"), model.cell("bw")
    x = model.time_major_x() if time_major else model.x
    outputs, final = v1.nn.bidirectional_dynamic_rnn(
        fw, bw, x, sequence_length=model.lengths, dtype=model.dtype, time_major=time_major,
        **_starts(model, fw, bw), **_scoped(model),
    )  # fmt: skip
    if time_major:
        outputs = [swapped(part) for part in outputs]
    return [
        Ran("fw_", "fw", outputs[0], final[0]),
        Ran("bw_", "bw", outputs[1], final[1], backward=True),
    ]


def static_bidirectional(model):
    fw, bw = model.cell("fw"), model.cell("bw")
    width = fw.output_size
    outputs, *final = v1.nn.static_bidirectional_rnn(
        fw, bw, model.steps(), sequence_length=model.lengths, dtype=model.dtype,
        **_starts(model, fw, bw), **_scoped(model),
    )  # fmt: skip
    outputs = _joined(outputs)
    return [
        Ran("fw_", "fw", outputs[:, :, :width], final[0]),
        Ran("bw_", "bw", outputs[:, :, width:], final[1], backward=True),
    ]


def _stacked(model, static_):
    cells = {side: [model.cell(side + str(at)) for at in range(2)] for side in ("fw", "bw")}
    run = rnn.stack_bidirectional_rnn if static_ else rnn.stack_bidirectional_dynamic_rnn
    outputs, *final = run(
        cells["fw"], cells["bw"], model.steps() if static_ else model.x,
        sequence_length=model.lengths, dtype=model.dtype, **_scoped(model),
    )  # fmt: skip
    outputs = _joined(outputs) if static_ else outputs
    width = cells["fw"][0].output_size
    top = {"fw": outputs[:, :, :width], "bw": outputs[:, :, width:]}
    return [
        Ran(f"b{at}_{side}_", side + str(at), top[side] if at else None, last[at],
            backward=side == "bw")
        for side, last in zip(("fw", "bw"), final)  # noqa: B905  # Python 3.7 has no strict
        for at in range(2)
    ]  # fmt: skip


def two_loops(model):
    """A loop above a loop, as two layers are often written."""
    first = dynamic(model.with_scope("first"), "low", "low_")
    second = dynamic(model.with_scope("second").over(first[0].outputs), "top", "top_")
    return first + second


def two_readers(model):
    """Two loops beside each other, one of them over x in another order, added behind."""
    first = dynamic(model.with_scope("one"), "one", "one_")
    turned = model.with_scope("two").over(tf.reverse(model.x, [2]))
    return first + dynamic(turned, "two", "two_")


def raw(model, change=None):
    """tf.nn.raw_rnn, fed from a TensorArray."""
    cell = model.cell("run")
    batch, steps = tf.shape(model.x)[0], tf.shape(model.x)[1]
    width = model.x.shape[-1].value
    feed = tf.TensorArray(model.dtype, size=steps).unstack(swapped(model.x))
    lengths = tf.fill([batch], steps) if model.lengths is None else model.lengths
    start = model.start(cell)
    start = cell.zero_state(batch, model.dtype) if start is None else start

    def loop_fn(time, output, state, loop_state):
        state = start if output is None else state
        if change == "state" and output is not None:
            state = nest.map_structure(lambda part: 0.8 * part, state)
        finished = time >= lengths
        over = tf.reduce_all(finished)
        following = tf.cond(
            over, lambda: tf.zeros([batch, width], model.dtype), lambda: feed.read(time)
        )
        following.set_shape([None, width])
        following = 0.5 * following if change == "x" else following
        return finished, following, state, output, None

    outputs, final, _ = v1.nn.raw_rnn(cell, loop_fn, **_scoped(model))
    return [Ran("", "run", swapped(outputs.stack()), final)]


def by_hand(model, change=None):
    """tf.while_loop over a TensorArray, with the change that is drawn."""
    cell = model.cell(None)
    batch, steps = tf.shape(model.x)[0], tf.shape(model.x)[1]
    feed = tf.TensorArray(model.dtype, size=steps).unstack(swapped(model.x))
    start = model.start(cell)
    start = cell.zero_state(batch, model.dtype) if start is None else start

    def body(time, state, kept):
        state = model.recorder.entering("run", state)
        x = feed.read(steps - 1 - time if change == "backward" else time)
        x = tf.reshape(x, [batch, model.x.shape[-1].value])
        x = 0.5 * x if change == "x" else x
        if change == "time":
            x = x * tf.cast(time + 1, model.dtype)
        entering = state
        if change == "state":
            entering = nest.map_structure(lambda part: 0.8 * part, state)
        output, new = cell(x, entering)
        if change == "carry":
            new = nest.map_structure(lambda one, other: one + 0.1 * other, new, state)
        if model.lengths is not None:
            valid = time < model.lengths
            new = nest.map_structure(lambda one, other: tf.where(valid, one, other), new, state)
            output = tf.where(valid, output, tf.zeros_like(output))
        if change == "output":
            output = tf.tanh(2 * output)
        at = steps - 1 - time if change == "backward" else time
        return time + 1, new, kept.write(at, output)

    kept = tf.TensorArray(model.dtype, size=steps)
    with v1.variable_scope(model.loop.get("scope") or "loop"):
        _, final, kept = tf.while_loop(
            lambda time, *_: time < steps, body, (tf.constant(0), start, kept),
            parallel_iterations=model.loop.get("parallel_iterations") or 10,
            swap_memory=model.loop.get("swap_memory", False),
        )  # fmt: skip
    outputs = swapped(kept.stack())
    outputs.set_shape([None, None, cell.output_size])
    return [Ran("", "run", outputs, final, backward=change == "backward")]


def by_hand_unrolled(model, change=None):
    """A Python loop over the steps, as many write it."""
    cell = model.cell(None)
    start = model.start(cell)
    state = cell.zero_state(tf.shape(model.x)[0], model.dtype) if start is None else start
    outputs = []
    with v1.variable_scope(model.loop.get("scope") or "RNN"):
        for time, x in enumerate(model.steps()):
            if time > 0:
                v1.get_variable_scope().reuse_variables()
            state = model.recorder.entering("run", state)
            if change == "state":
                state = nest.map_structure(lambda part: 0.8 * part, state)
            output, state = cell(0.5 * x if change == "x" else x, state)
            outputs.append(output)
    return [Ran("", "run", _joined(outputs), state)]


def _attention_cell(model, tag, memory):
    kind = model.loop["attention"]
    build = seq2seq.BahdanauAttention if kind["kind"] == "bahdanau" else seq2seq.LuongAttention
    more = {"normalize" if kind["kind"] == "bahdanau" else "scale": kind["normed"]}
    mechanism = build(3, memory, memory_sequence_length=model.lengths, dtype=model.dtype, **more)
    wrapped = seq2seq.AttentionWrapper(
        model.cell(None), mechanism, attention_layer_size=kind["size"],
        output_attention=kind["output_attention"],
    )  # fmt: skip
    return model.recorder.watch(wrapped, tag)


ATTENTION = ("state_attention", "state_time", "state_alignments", "state_attention_past")


def attention_dynamic(model):
    cell = _attention_cell(model, "run", v1.layers.dense(model.x, 3, name="memory"))
    outputs, final = v1.nn.dynamic_rnn(cell, model.x, dtype=model.dtype, **_scoped(model))
    return [Ran("", "run", outputs, final, extra=ATTENTION)]


def decode(model, attention=False):
    """seq2seq.dynamic_decode with a TrainingHelper over x."""
    batch, steps = tf.shape(model.x)[0], tf.shape(model.x)[1]
    lengths = tf.fill([batch], steps) if model.lengths is None else model.lengths
    memory = v1.layers.dense(model.x, 3, name="memory") if attention else None
    cell = _attention_cell(model, "run", memory) if attention else model.cell("run")
    start = None if attention else model.start(cell)
    start = cell.zero_state(batch, model.dtype) if start is None else start
    dense = v1.layers.Dense(2, use_bias=False) if model.loop.get("output_layer") else None
    decoder = seq2seq.BasicDecoder(
        cell, seq2seq.TrainingHelper(model.x, lengths), start, output_layer=dense
    )
    outputs, final, _ = seq2seq.dynamic_decode(
        decoder, impute_finished=model.loop.get("impute", False), **_scoped(model)
    )
    return [Ran("", "run", outputs.rnn_output, final, extra=ATTENTION if attention else ())]


def legacy_decoder(model):
    cell = model.cell("run")
    start = model.start(cell)
    start = cell.zero_state(tf.shape(model.x)[0], model.dtype) if start is None else start
    outputs, final = legacy.rnn_decoder(model.steps(), start, cell)
    return [Ran("", "run", _joined(outputs), final)]


def legacy_attention(model):
    cell = model.cell("run")
    start = model.start(cell)
    start = cell.zero_state(tf.shape(model.x)[0], model.dtype) if start is None else start
    outputs, final = legacy.attention_decoder(
        model.steps(), start, tf.tanh(v1.layers.dense(model.x, 3, name="memory")), cell
    )
    return [Ran("", "run", _joined(outputs), final)]


def encoder_decoder(model):
    """Two loops; the second starts from the state that the first one ends with."""
    lower = model.with_scope("encoder")
    cell = lower.cell("enc")
    encoded, state = v1.nn.dynamic_rnn(
        cell, model.x, sequence_length=model.lengths, dtype=model.dtype, scope="encoder"
    )
    upper = model.over(model.decoder_x())
    outputs, final = v1.nn.dynamic_rnn(
        upper.cell("dec"), upper.x, initial_state=state, dtype=model.dtype, scope="decoder"
    )
    return [Ran("enc_", "enc", encoded, state), Ran("dec_", "dec", outputs, final)]


def legacy_seq2seq(model):
    """What basic_rnn_seq2seq does: an unrolled encoder, and a decoder of another cell."""
    steps = tf.unstack(model.decoder_x(), axis=1)
    with v1.variable_scope("basic_rnn_seq2seq"):
        encoded, state = v1.nn.static_rnn(model.cell("enc"), model.steps(), dtype=model.dtype)
        outputs, final = legacy.rnn_decoder(steps, state, model.cell("dec"))
    return [
        Ran("enc_", "enc", _joined(encoded), state),
        Ran("dec_", "dec", _joined(outputs), final),
    ]


def _fused_cell(model):
    return rnn.LSTMBlockFusedCell(
        model.desc["layers"][0]["units"], **model.desc["layers"][0]["options"]
    )


def fused(model, backward=False):
    """LSTMBlockFusedCell, whose op itself returns every state."""
    cell = _fused_cell(model)
    run = rnn.TimeReversedFusedRNN(cell) if backward else cell
    before = len(tf.compat.v1.get_default_graph().get_operations())
    outputs, final = run(
        swapped(model.x), initial_state=model.start(cell), dtype=model.dtype,
        sequence_length=model.lengths,
    )  # fmt: skip
    ops = tf.compat.v1.get_default_graph().get_operations()[before:]
    (op,) = [op for op in ops if op.type == "BlockLSTM"]
    return [
        Ran(
            "",
            None,
            swapped(outputs),
            final,
            backward=backward,
            states=(op.outputs[1], op.outputs[6]),
        )
    ]


def adapted(model, dynamic_, backward=False):
    """FusedRNNCellAdaptor round an ordinary cell."""
    cell = model.cell("run")
    run = rnn.FusedRNNCellAdaptor(cell, use_dynamic_rnn=dynamic_)
    run = rnn.TimeReversedFusedRNN(run) if backward else run
    x = swapped(model.x) if dynamic_ or backward else model.steps()
    outputs, final = run(
        x, initial_state=model.start(cell), dtype=model.dtype, sequence_length=model.lengths
    )
    outputs = _joined(outputs) if isinstance(outputs, (list, tuple)) else swapped(outputs)
    return [Ran("", "run", outputs, final, backward=backward)]


LOOPS = {
    "dynamic_rnn": LoopKind(dynamic, plain=True),
    "dynamic_rnn_time_major": LoopKind(lambda m: dynamic(m, time_major=True), plain=True),
    "static_rnn": LoopKind(static, plain=True, while_=False),
    "bidirectional_dynamic_rnn": LoopKind(bidirectional, plain=True),
    "bidirectional_time_major": LoopKind(lambda m: bidirectional(m, True), plain=True),
    "static_bidirectional_rnn": LoopKind(static_bidirectional, plain=True, while_=False),
    "stack_bidirectional_dynamic_rnn": LoopKind(
        lambda m: _stacked(m, static_=False), plain=True, stacks=False, starts=False
    ),
    "stack_bidirectional_rnn": LoopKind(
        lambda m: _stacked(m, static_=True), plain=True, stacks=False, starts=False, while_=False
    ),
    "two_loops": LoopKind(two_loops, plain=True, starts=False),
    "two_readers": LoopKind(two_readers, starts=False),
    "raw_rnn": LoopKind(raw),
    "raw_rnn_state_scaled": LoopKind(lambda m: raw(m, "state")),
    "raw_rnn_x_scaled": LoopKind(lambda m: raw(m, "x")),
    "while_loop": LoopKind(by_hand),
    "while_loop_x_scaled": LoopKind(lambda m: by_hand(m, "x")),
    "while_loop_x_by_time": LoopKind(lambda m: by_hand(m, "time")),
    "while_loop_state_scaled": LoopKind(lambda m: by_hand(m, "state")),
    "while_loop_state_carried": LoopKind(lambda m: by_hand(m, "carry")),
    "while_loop_output_squash": LoopKind(lambda m: by_hand(m, "output")),
    "while_loop_backward": LoopKind(lambda m: by_hand(m, "backward"), lengths="never"),
    "unrolled_by_hand": LoopKind(by_hand_unrolled, lengths="never", while_=False),
    "unrolled_state_scaled": LoopKind(
        lambda m: by_hand_unrolled(m, "state"), lengths="never", while_=False
    ),
    "unrolled_x_scaled": LoopKind(
        lambda m: by_hand_unrolled(m, "x"), lengths="never", while_=False
    ),
    "dynamic_decode": LoopKind(decode),
    "attention_decode": LoopKind(lambda m: decode(m, attention=True), starts=False),
    "attention_dynamic_rnn": LoopKind(attention_dynamic, lengths="never", starts=False),
    "legacy_rnn_decoder": LoopKind(legacy_decoder, lengths="never", while_=False),
    "legacy_attention_decoder": LoopKind(legacy_attention, lengths="never", while_=False),
    "encoder_decoder": LoopKind(encoder_decoder, plain=True, starts=False),
    "legacy_seq2seq": LoopKind(
        legacy_seq2seq, lengths="never", plain=True, starts=False, while_=False
    ),
    "fused": LoopKind(fused, plain=True, stacks=False, fused=True, dtype64=False, while_=False),
    "fused_backward": LoopKind(
        lambda m: fused(m, backward=True),
        plain=True,
        stacks=False,
        fused=True,
        dtype64=False,
        while_=False,
    ),
    "adapted_dynamic": LoopKind(lambda m: adapted(m, dynamic_=True), plain=True),
    "adapted_backward": LoopKind(lambda m: adapted(m, dynamic_=True, backward=True), plain=True),
    "adapted_static": LoopKind(lambda m: adapted(m, dynamic_=False), plain=True, while_=False),
}
