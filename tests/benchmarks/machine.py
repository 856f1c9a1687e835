"""What a benchmark ran on: numbers mean little without it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine(*packages: str) -> dict[str, object]:
    """The processor, the cores this process may use, and versions (None: not installed)."""
    allowed = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": cpu_model(),
        "cores": len(allowed(0)) if allowed else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": {name: installed(name) for name in packages},
    }


def cpu_model() -> str:
    """The processor's name, as far as the system tells."""
    known = Path("/proc/cpuinfo")
    if known.exists():
        for line in known.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def busy_seconds() -> float | None:
    """What all processes together have taken of the processors since the start; None: not told."""
    known = Path("/proc/stat")
    if not known.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal, *_ = (
        int(number) for number in known.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def installed(package: str) -> str | None:
    """A package's version, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def described(found: dict[str, object]) -> str:
    """The machine in one or two lines, for people."""
    versions = found["versions"]
    assert isinstance(versions, dict)
    names = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    return (
        f"{found['cpu']}, {found['cores']} cores, {found['system']}, load {found['load_before']}\n"
        f"Python {found['python']}, {names}"
    )
