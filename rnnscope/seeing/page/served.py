"""The contents of a page whose values are read from the trace when they are looked at."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rnnscope.errors import InputError, OptionError
from rnnscope.seeing.heatmap import CellBudget, Heatmap, read_heatmap
from rnnscope.seeing.page.contents import LayerFacts, PageContents, PageFacts
from rnnscope.seeing.page.embed import PageRequest, layer_label, trace_facts
from rnnscope.seeing.page.series import Shelf, page_views, valid_runs
from rnnscope.seeing.ranking import rank_units
from rnnscope.seeing.state_view import StateView
from rnnscope.seeing.together import OnRule, Side, Span, find_together
from rnnscope.trace import Trace

ANSWER_VALUES = 2**21
"""Of one answer; a longer stretch of time is binned."""

LINE_VALUES = 2**15
"""Of an answer about one unit."""

Query = Mapping[str, str]


class ServedTrace:
    """A trace that a page asks for what it shows.

    Attributes
    ----------
    contents : PageContents
        Of the page; it holds no values.
    answers : mapping of str to callable
        What the page may ask for, by name: each takes the query and returns bytes.

    Raises
    ------
    OptionError
        There is no such layer.
    InputError
        The tokens that were asked for fit no layer.
    """

    def __init__(self, trace: Trace, request: PageRequest) -> None:
        self._request = request
        names = request.choose_layers(trace)
        shelf = Shelf()
        self._views = {shelf.put_facts(view): view for view in page_views(trace, names)}
        self._check_labels()
        layers = (
            LayerFacts(layer_label(trace.layer(name)), ids)
            for name in names
            if (ids := tuple(i for i, one in self._views.items() if one.layer.name == name))
        )
        self.contents = PageContents(
            title=request.title or trace.path.name,
            trace=trace_facts(trace, names),
            checked=None,
            facts=PageFacts(served=True, layers=tuple(layers), series=shelf.series),
        )
        self.answers: dict[str, Callable[[Query], bytes]] = {
            "matrix": self.matrix,
            "line": self.line,
            "ranking": self.ranking,
            "together": self.together,
        }

    def matrix(self, query: Query) -> bytes:
        """Values of one sequence: a head as JSON, then the values as they are stored.

        The query has ``series``, ``sequence``, ``from`` and ``to``. A sequence that is small is
        given whole; else the timesteps asked for and as many around them, in bins where these are
        still too many.

        Returns
        -------
        bytes
            The size of the head in bytes as uint64, the head, and from the next multiple of eight
            on low, then, if binned, high: (unit, bin), little endian. The head has ``start``,
            ``stop``, ``bins``, ``valid`` and ``tokens``.
        """
        view, sequence = self._sequence(query)
        return self._values(view, sequence, _range(query, len(view.steps)), ANSWER_VALUES)

    def line(self, query: Query) -> bytes:
        """Values of one ``unit``: as `matrix`, with fewer bins."""
        view, sequence = self._sequence(query)
        unit = _whole(query, "unit")
        if not 0 <= unit < len(view.units):
            raise OptionError("There is no such unit.", found=query["unit"])
        view = view.take(units=np.array([unit]))
        return self._values(view, sequence, _range(query, len(view.steps)), LINE_VALUES)

    def _values(self, view: StateView, sequence: int, steps: tuple[int, int], most: int) -> bytes:
        start, stop = steps
        if len(view.steps) * len(view.units) <= most:
            start, stop = 0, len(view.steps)
        else:
            wider = (stop - start) // 2
            start, stop = max(0, start - wider), min(len(view.steps), stop + wider)
        bins = stop - start
        if bins * len(view.units) > most:
            bins = max(1, most // (2 * len(view.units)))
        picture = read_heatmap(view.take(np.arange(start, stop)), sequence, CellBudget(None, bins))
        head = {
            "start": start,
            "stop": stop,
            "bins": picture.low.shape[1],
            "valid": valid_runs(view.valid(sequence)),
            "tokens": self._tokens(view, sequence),
        }
        return _packed(head, picture)

    def ranking(self, query: Query) -> bytes:
        """The places of the units by ``by``, over the sequence that is shown."""
        view, sequence = self._sequence(query)
        found = rank_units(view, query.get("by", ""), slice(sequence, sequence + 1))
        return _json(found.places.tolist())

    def together(self, query: Query) -> bytes:
        """The units that are on throughout a span, and where else: see `find_together`.

        The query has ``from``, ``to``, ``side`` and ``threshold`` beside series and sequence.
        """
        view, sequence = self._sequence(query)
        start, stop = _range(query, len(view.steps))
        rule = OnRule(_side(query), _number(query, "threshold"))
        found = find_together(view, Span(sequence, start, stop), rule)
        places = [
            {
                "sequence": place.span.sequence,
                "from": place.span.start,
                "to": place.span.stop,
                "together": place.together,
                "others": place.others,
                "text": self._text(view, place.span),
            }
            for place in found.places
        ]
        return _json({"units": found.units, "places": places, "searched": found.searched})

    def _sequence(self, query: Query) -> tuple[StateView, int]:
        view = self._views.get(query.get("series", ""))
        if view is None:
            raise OptionError("The page has no such array.", found=query.get("series", ""))
        return view, view.check_sequence(_whole(query, "sequence"))

    def _check_labels(self) -> None:
        labels, misfit = self._request.labels, None
        if labels is None or not self._request.labels_asked:
            return
        for view in self._views.values():
            try:
                labels.of(view, 0)
            except InputError as error:  # noqa: PERF203  # the first that fits is enough
                misfit = misfit or error
            else:
                return
        if misfit is not None:
            raise misfit

    def _tokens(self, view: StateView, sequence: int) -> Sequence[str] | None:
        labels = self._request.labels
        try:
            return None if labels is None else labels.of(view, sequence)
        except InputError:  # a layer of other timesteps than these tokens are of
            return None

    def _text(self, view: StateView, span: Span) -> Sequence[str]:
        tokens = self._tokens(view, span.sequence)
        return [] if tokens is None else tokens[span.start : min(span.stop, span.start + 13)]


def _packed(head: Mapping[str, object], picture: Heatmap) -> bytes:
    text = json.dumps(head, separators=(",", ":")).encode("ascii")
    size = len(text).to_bytes(8, "little")
    padding = b" " * (-len(text) % 8)
    planes = [picture.low, picture.high] if picture.is_binned else [picture.low]
    little = picture.low.dtype.newbyteorder("<")
    values = [np.ascontiguousarray(plane, little).tobytes() for plane in planes]
    return b"".join([size, text, padding, *values])


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _range(query: Query, steps: int) -> tuple[int, int]:
    start, stop = _whole(query, "from"), _whole(query, "to")
    if not 0 <= start < stop <= steps:
        raise OptionError(
            "There are no such timesteps.",
            expected=f"some of 0 up to {steps}",
            found=f"{start} up to {stop}",
        )
    return start, stop


def _side(query: Query) -> Side:
    sides: dict[str, Side] = {"above": "above", "below": "below"}
    if query.get("side") not in sides:
        raise OptionError("A unit is on above or below a threshold.", found=query.get("side"))
    return sides[query["side"]]


def _whole(query: Query, name: str) -> int:
    number = _number(query, name)
    if number != int(number):
        raise OptionError(f"'{name}' is a whole number.", found=query[name])
    return int(number)


def _number(query: Query, name: str) -> float:
    try:
        value = float(query.get(name, ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise OptionError(f"'{name}' is a number.", found=query.get(name, "nothing"))
    return value
