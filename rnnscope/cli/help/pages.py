"""The pages that come with the package, by topic, and what is read of one."""

from __future__ import annotations

import re
from importlib.resources import files
from posixpath import dirname, join, normpath
from typing import NamedTuple


class Topic(NamedTuple):
    """A page of documentation.

    Attributes
    ----------
    page : str
        Path of the Markdown file below the package.
    title : str
        Its heading, and its line in the list of topics.
    """

    page: str
    title: str


TOPICS: dict[str, Topic] = {
    "commands": Topic("cli/COMMANDS.md", "Every command and its options"),
    "completion": Topic("cli/COMPLETION.md", "Completion in bash, zsh and fish"),
    "examples": Topic("cli/EXAMPLES.md", "Examples"),
    "checkpoints": Topic("checkpoints/FORMATS.md", "Which checkpoints are read"),
    "reading": Topic("checkpoints/READING.md", "How checkpoints are read, and why so"),
    "published": Topic("checkpoints/PUBLISHED_MODELS.md", "Published models that were read"),
    "inputs": Topic("inputs/INPUTS.md", "Inputs, lengths, masks, initial states and resets"),
    "equations": Topic("model/EQUATIONS.md", "What is computed, and where options come from"),
    "padding": Topic("model/PADDING.md", "What happens past the length of a sequence"),
    "decoders": Topic("running/DECODERS.md", "Encoder and decoder in one run"),
    "large-runs": Topic("running/LARGE_RUNS.md", "Runs larger than memory"),
    "clusters": Topic("clusters/DISTRIBUTED.md", "Past one machine: parts and clusters"),
    "traces": Topic("trace/READING.md", "Reading a trace"),
    "schema": Topic("trace/FORMAT.md", "The trace, schema version 2"),
    "object-stores": Topic("trace/stores/OBJECT_STORES.md", "Object stores, and traces as zarr"),
    "seeing": Topic("seeing/SEEING.md", "Looking at states"),
    "pages": Topic("report/page/PAGES.md", "A page to explore states"),
    "checks": Topic("checks/CHECKS.md", "The checks"),
    "streaming": Topic("streaming/STREAMING.md", "Fed in chunks"),
    "suites": Topic("record/suites/SUITES.md", "Suites of cases, in CI and in pytest"),
    "pooling": Topic("pooling/POOLING.md", "Pooling over valid steps"),
    "comparing": Topic("comparing/COMPARING.md", "Comparing states and checkpoints"),
    "explaining": Topic("explaining/EXPLAINING.md", "Why do these numbers differ?"),
    "vectors": Topic("vectors/VECTORS.md", "Test vectors for an implementation in any language"),
    "converting": Topic("converting/CONVERTING.md", "Recurrent layers in another format"),
    "conforming": Topic("conforming/CONFORMING.md", "Does an engine compute them right?"),
    "states": Topic("states/FORMATS.md", "The formats of states"),
    "speed": Topic("engines/SPEED.md", "Engines and speed"),
    "kernel": Topic("engines/compiled/KERNEL.md", "The compiled steps"),
    "trust": Topic("files/UNTRUSTED_FILES.md", "Files from people you do not trust"),
}
"""Every page by the name that ``rnnscope help`` takes, in reading order."""


TO_COPY: dict[str, Topic] = {
    "action": Topic("record/suites/ci/action.yml", "A GitHub Action to copy"),
    "pre-commit": Topic("record/suites/ci/pre-commit-hooks.yaml", "Hooks for pre-commit to copy"),
}
"""Files that are printed as they are."""


_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def read_page(topic: str) -> str:
    """The page on a topic as readable Markdown.

    Comments are left out. A link to another page reads ``text (rnnscope help TOPIC)``, one to the
    web ``text (address)``; of a link to a file that is not in the package only the text is left.
    """
    page = TOPICS[topic].page
    text = _COMMENT.sub("", (files("rnnscope") / page).read_text(encoding="utf-8"))
    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(
        part if part.startswith("```") else _LINK.sub(lambda link: _readable(link, page), part)
        for part in parts
    )


def _readable(link: re.Match[str], page: str) -> str:
    text, target = link.groups()
    if "://" in target:
        return f"{text} ({target})"
    path = normpath(join(dirname(page), target.partition("#")[0]))
    named = [name for name, topic in TOPICS.items() if topic.page == path != page]
    return f"{text} (`rnnscope help {named[0]}`)" if named else text
