"""The operators LSTM, GRU and RNN of ONNX, by ONNX Runtime and by the reference of the standard."""

from __future__ import annotations

from typing import Any, ClassVar

from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.engines.interface import Failed, NotOffered
from rnnscope.model.cell import Array
from rnnscope.oracles.importing import import_framework
from rnnscope.oracles.onnx_operators import beyond_operator, feed_of, model_of, states_of


class _OnnxEngine:
    gives: ClassVar[str] = "m of every step, c of the last step only"

    def run(self, case: Case) -> Answer:
        """A model of one operator, over the whole sequences."""
        lacks = beyond_operator(case.layers[0].cell)
        if lacks:
            raise NotOffered(lacks)
        batch_first = case.layout == "sequence first"
        feed = feed_of(
            case.layers,
            case.x,
            case.lengths,
            case.initial,
            batch_first=batch_first and self.takes_batch_first,
            biased=case.biased,
        )
        batch_first = batch_first and self.takes_batch_first
        outputs = self._compute(model_of(case.layers, list(feed), batch_first=batch_first), feed)
        return states_of(outputs, len(case.layers), batch_first=batch_first)

    takes_batch_first: ClassVar[bool] = True
    """Whether it computes the attribute ``layout`` 1; else it is given x with time first."""

    def _compute(self, model: bytes, feed: dict[str, Array]) -> list[Array]:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing runs beside this process."""


class OnnxRuntimeEngine(_OnnxEngine):
    """ONNX Runtime on the CPU."""

    takes_batch_first = False

    def __init__(self) -> None:
        self._runtime = import_framework("onnxruntime", "engine onnxruntime", "take another engine")
        self.version = f"ONNX Runtime {self._runtime.__version__}, CPU"

    def _compute(self, model: bytes, feed: dict[str, Array]) -> list[Array]:
        from rnnscope.oracles.onnxruntime_verifier import run_model

        try:
            return run_model(self._runtime, model, feed)
        except Exception as error:  # its errors have no class that it tells of
            words = _last_words(error)
            if type(error).__name__ == "NotImplemented" or "does not support" in words:
                raise NotOffered(f"it says: {words}") from error
            raise Failed(f"{type(error).__name__}: {words}", "error") from error


class OnnxReferenceEngine(_OnnxEngine):
    """onnx.reference.ReferenceEvaluator, which comes with the standard."""

    def __init__(self) -> None:
        self._reference = import_framework("onnx", "engine onnx-reference", "take another engine")
        import onnx

        self._load = onnx.load_model_from_string
        self.version = f"onnx {onnx.__version__}, its ReferenceEvaluator"

    def _compute(self, model: bytes, feed: dict[str, Array]) -> list[Any]:
        try:
            evaluator = self._reference.ReferenceEvaluator(self._load(model))
            return list(evaluator.run(None, feed))
        except Exception as error:
            if isinstance(error, NotImplementedError) or "Unknown activation" in str(error):
                raise NotOffered(f"it says: {_last_words(error)}") from error
            raise Failed(f"{type(error).__name__}: {_last_words(error)}", "error") from error


def _last_words(error: Exception) -> str:
    """The sentence at the end of a message that begins with codes and places."""
    text = " ".join(str(error).split())
    for before in ("Status Message: ", "was false. ", "NOT_IMPLEMENTED : "):
        text = text.rpartition(before)[2]
    return text[:200]
