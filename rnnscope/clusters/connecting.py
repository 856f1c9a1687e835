"""Connecting to a Dask cluster, or starting one of processes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rnnscope.clusters.dask_cluster import Cluster
from rnnscope.clusters.interface import ClusterAddress
from rnnscope.errors import EngineError, spell
from rnnscope.files.guarding.limits import limited

CONNECT_SECONDS = 10
"""For a scheduler to answer, and for a first worker to be there."""

START_SECONDS = 120
"""For workers that are started here: a machine may be busy."""

LOST_BEFORE_GIVING_UP = 5
"""Workers that are lost with the same task; then the task is thought to be the reason."""


@contextmanager
def open_cluster(address: ClusterAddress) -> Iterator[Cluster]:
    """Connect to a cluster, or start one of processes on this machine; closed in the end.

    Raises
    ------
    EngineError
        Dask is not installed, nobody answers at the address, there is no worker, or one has another
        version of rnnscope.
    """
    try:
        import dask
        import distributed
    except ImportError as error:
        raise EngineError(
            f"{spell('dask')} needs the packages dask and distributed.",
            expected="both",
            found=str(error),
            hint="pip install 'rnnscope[dask]'",
        ) from error
    connect: Any = distributed.Client
    local: Any = distributed.LocalCluster
    with ExitStack() as opened:
        opened.enter_context(dask.config.set({
            "distributed.scheduler.allowed-failures": LOST_BEFORE_GIVING_UP,
            "distributed.comm.timeouts.connect": CONNECT_SECONDS,
            "distributed.admin.log-format": "%(message)s",
            "distributed.logging": {"distributed": "error"},
        }))  # fmt: skip
        opened.enter_context(_quiet())
        try:
            if address.is_local:
                cluster = opened.enter_context(local(
                    n_workers=address.processes, threads_per_worker=1, processes=True,
                    dashboard_address=":0", memory_limit=0, silence_logs=50,
                ))  # fmt: skip
                client = opened.enter_context(connect(cluster, timeout=START_SECONDS))
                client.wait_for_workers(address.processes, timeout=START_SECONDS)
            else:
                client = opened.enter_context(connect(address.address, timeout=CONNECT_SECONDS))
        except (OSError, TimeoutError, ValueError) as error:
            raise EngineError(
                "The cluster does not answer.",
                where=address.address,
                expected="a Dask scheduler",
                found=(str(error) or type(error).__name__).splitlines()[0],
                hint="look at the address; 'dask scheduler' prints it when it starts",
            ) from error
        made = Cluster(client, address)
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise EngineError(
                "The cluster has no workers.",
                where=address.address,
                expected="at least one",
                found=f"none for {CONNECT_SECONDS} s",
                hint=f"start some: dask worker {address.address} --nworkers 4",
            ) from error
        made.require_version()
        yield made


@contextmanager
def maybe_cluster(address: ClusterAddress | None) -> Iterator[Cluster | None]:
    """The cluster at an address; None where no address is given."""
    if address is None:
        yield None
        return
    # Threads of the connection are running: nothing is forked beside them without need.
    with limited(probe_always=False), open_cluster(address) as cluster:
        yield cluster


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own words on lost workers and the like are kept from the terminal: ours tell."""
    import logging

    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
