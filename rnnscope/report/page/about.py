"""The parts of a page that are plain words and tables: they need no script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from rnnscope.checks.interface import STATUS_ORDER, Finding, index
from rnnscope.checks.result import CheckReport, Subject
from rnnscope.report.checking.check_words import advice, headline, measured
from rnnscope.report.page.markup import bullets, details, element, pairs, section, table
from rnnscope.seeing.page.contents import PageContents, TraceFacts
from rnnscope.trace import LayerHeader
from rnnscope.wording import number, option_value, plural, some

BAD = ("fail", "warn")


def summary(contents: PageContents) -> Iterator[Element]:
    """Where the trace comes from, and what the page leaves out."""
    if contents.trace is not None:
        yield section("summary", "Summary", pairs(_origin(contents.trace)))
    if contents.notes:
        yield element("div", bullets(contents.notes), class_="note")


def _origin(trace: TraceFacts) -> Iterator[tuple[str, str]]:
    header = trace.header
    yield "trace", trace.name
    made_by = (
        f" ({', '.join(part for part in (header.checkpoint_format, header.framework) if part)})"
    )
    yield "checkpoint", header.checkpoint + (made_by if len(made_by) > 3 else "")
    yield "input", header.input
    yield "decoder input", header.decoder_input
    sequences = plural(trace.sequences, "sequence")
    yield "size", f"{sequences} of {plural(trace.timesteps, 'timestep')}, lengths {trace.lengths}"
    yield "kept", ", ".join(trace.selection)
    yield "engine", header.engine
    yield "made", f"{header.created} by rnnscope {header.rnnscope_version}".removesuffix(" ")
    yield "command", header.command


def checks(checked: Subject) -> Element:
    """What the checks found: what is wrong with its advice, the padding, then every check."""
    report = CheckReport("", (checked,))
    counts = headline(report).partition(": ")[2]
    parts: list[Element] = [element("p", _badge(checked.status), f" {counts}")]
    bad = [one for status in BAD for one in checked.findings if one.status == status]
    parts += [_trouble(finding) for finding in bad]
    if checked.padding:
        parts.append(element("h3", "Padding"))
        parts.append(pairs((one.layer, one.verdict) for one in checked.padding))
    if checked.notes:
        parts.append(bullets(checked.notes))
    if checked.findings:
        ordered = sorted(checked.findings, key=lambda one: -STATUS_ORDER.index(one.status))
        every = details(f"All {plural(len(ordered), 'check')}", _every_check(ordered))
        parts.append(every)
    return section("checks", "Checks", *parts)


def _badge(status: str) -> Element:
    return element("strong", status, class_=f"badge {status}")


def _trouble(finding: Finding) -> Element:
    place = f" ({finding.place})" if finding.place is not None else ""
    numbers = [("measured", measured(finding)), ("limit", number(finding.limit))]
    words = ", ".join(f"{name} {value}" for name, value in numbers if value)
    return element(
        "div",
        element("p", _badge(finding.status), f" {finding.check} in {finding.layer}"),
        element("p", f"{finding.message}{place}" + (f"; {words}" if words else "")),
        element("p", advice(finding), class_="advice"),
        class_="trouble",
    )


def _every_check(findings: Iterable[Finding]) -> Element:
    rows = [
        (
            one.check,
            _badge(one.status),
            one.layer,
            measured(one),
            number(one.limit),
            index(one.place),
            one.message,
        )
        for one in findings
    ]
    columns = ("check", "status", "layer", "measured", "limit", "where", "what it says")
    return table("Every check", columns, rows, numbers=frozenset({"measured", "limit"}))


def layers(headers: Iterable[LayerHeader]) -> Element:
    """The layers, and the options of each with their origins."""
    known = list(headers)
    rows = [
        (
            header.name,
            header.source_class or "merge",
            "backward" if header.known_facts.backward else "forward",
            ", ".join(f"{state} {width}" for state, width in header.widths.items()),
            str(header.output_size),
            header.dtype,
            ", ".join(header.gates),
            some(header.inputs),
        )
        for header in known
    ]
    columns = ("layer", "cell", "direction", "states", "outputs", "dtype", "gates kept", "reads")
    whole = table("Layers", columns, rows, numbers=frozenset({"outputs"}))
    options = [_options(header) for header in known if header.options]
    return section("layers", "Layers", whole, *options)


def _options(header: LayerHeader) -> Element:
    rows = [(name, option_value(value), origin) for name, (value, origin) in header.options.items()]
    facts = [
        ("evidence", header.evidence),
        ("gate order in the file", header.stored_gate_order),
        ("variables", some(header.variables, most=12)),
        ("padding rule", header.known_facts.padding),
        ("starts from", ", ".join(header.initial_from)),
    ]
    name = f"Options of {header.name}"
    return details(name, table(name, ("option", "value", "origin"), rows), pairs(facts))
