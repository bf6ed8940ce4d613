"""gpuctl: GPUs and jobs on a worker node.

    import gpuctl

    for gpu in gpuctl.Host().discover().gpus:
        print(gpu.id, gpu.model, gpu.health.state)
    report = gpuctl.run(["./simulate", "--events", "100"], ttl="2h")
    print(report.exit_code, report.kill_reason.name)
    assert gpuctl.kill(pid=4711, grace="10s").ended

Names are loaded at their first use (PEP 562), so that `import gpuctl` costs next to nothing in
programs that may never need them.
"""

TYPE_CHECKING = False  # what typing's own constant is, without importing typing
if TYPE_CHECKING:
    from gpuctl import cgroups as cgroups
    from gpuctl import errors as errors
    from gpuctl import jdl as jdl
    from gpuctl import processes as processes
    from gpuctl._core import version as __version__
    from gpuctl.errors import GpuctlError as GpuctlError
    from gpuctl.gpus import Gpu as Gpu
    from gpuctl.gpus import Inventory as Inventory
    from gpuctl.host import Host as Host
    from gpuctl.killer import KillReport as KillReport
    from gpuctl.killer import kill as kill
    from gpuctl.report import Report as Report
    from gpuctl.runner import run as run

__all__ = [
    "Gpu",
    "GpuctlError",
    "Host",
    "Inventory",
    "KillReport",
    "Report",
    "__version__",
    "cgroups",
    "errors",
    "jdl",
    "kill",
    "processes",
    "run",
]

# name -> (module, attribute); None: the module itself
_PLACES = {
    "Gpu": ("gpuctl.gpus", "Gpu"),
    "GpuctlError": ("gpuctl.errors", "GpuctlError"),
    "Host": ("gpuctl.host", "Host"),
    "Inventory": ("gpuctl.gpus", "Inventory"),
    "KillReport": ("gpuctl.killer", "KillReport"),
    "Report": ("gpuctl.report", "Report"),
    "__version__": ("gpuctl._core", "version"),
    "cgroups": ("gpuctl.cgroups", None),
    "errors": ("gpuctl.errors", None),
    "jdl": ("gpuctl.jdl", None),
    "kill": ("gpuctl.killer", "kill"),
    "processes": ("gpuctl.processes", None),
    "run": ("gpuctl.runner", "run"),
}


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module `gpuctl` has no attribute `{name}`")
    from importlib import import_module

    module = import_module(place[0])
    value = module if place[1] is None else getattr(module, place[1])
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
