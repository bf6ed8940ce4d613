"""The whole job, step by step: parse, look, decide, run, report.

`run_job` returns the exit code. It raises GpuctlError only where there is nothing to report: a JDL
that is none, a setting that may not be.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from gpuctl import jdl
from gpuctl.containers.choose import Container
from gpuctl.errors import GpuctlError
from gpuctl.host import Host
from gpuctl.jdl import Jdl, JobRequest
from gpuctl.job.deliver import deliver
from gpuctl.job.events import EventSink
from gpuctl.job.fit import demand_fit, look_at_fit
from gpuctl.job.gpus import choose_gpus, demand
from gpuctl.job.lease import Leased, leased_gpus
from gpuctl.job.options import JobOptions
from gpuctl.job.outcome import completed, fence_json, jdl_json, match_json, never_started
from gpuctl.job.place import check_gpus, place_of, quarantine
from gpuctl.job.plan import Plan, make_plan
from gpuctl.job.refusal import EXIT_NEVER_STARTED, RefusedError
from gpuctl.job.signals import Signals
from gpuctl.job.trace import Trace
from gpuctl.match.gpus import Choice
from gpuctl.match.unmet import Unmet
from gpuctl.report import Report
from gpuctl.sanity.answer import Answer
from gpuctl.supervisor import Ended, Supervisor

__all__ = ["run_job"]

EXIT_USAGE = 2
# tags that change what the payload finds, and that gpuctl does not act on
_NOT_DONE = (
    ("packages", "`Packages` are not set up: the payload gets the environment of its caller"),
    ("validation_command", "`ValidationCommand` is not run"),
)


@dataclass
class Progress:
    """What is known so far: a refusal may come after any step."""

    command: tuple[str, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    choice: Choice | None = None
    container: Container | None = None
    sanity: Answer | None = None
    problems: list[str] = field(default_factory=list)


def run_job(options: JobOptions) -> int:
    options.check()
    events = EventSink(options.events)
    try:
        trace = Trace(options.quiet, events)
        with Signals() as signals:
            return _run(options, trace, events, signals)
    finally:
        events.close()


def _run(options: JobOptions, trace: Trace, events: EventSink, signals: Signals) -> int:
    host = Host(options.root, options.state_dir, ledger_scope=options.ledger_scope)
    doc = jdl.load(options.jdl)
    request = JobRequest.from_jdl(doc)
    _tell(doc, request, trace)
    progress = Progress(request.command)
    try:
        ended = _start(doc, request, options, host, trace, events, signals, progress)
    except RefusedError as refused:
        report = _refusal(options, refused, trace, progress)
    else:
        if ended.report is None:
            return _without_report(ended)
        report = ended.report
    more: dict[str, Any] = {
        "jdl": jdl_json(options.jdl, request),
        "match": match_json(progress.choice, progress.unmet),
        "container": progress.container.to_json() if progress.container else None,
        "sanity": progress.sanity.to_json() if progress.sanity else None,
    }
    if progress.container is not None and progress.container.runtime is not None:
        more["command"] = list(progress.command)  # not what starts the container
        more["fence"] = fence_json(report["fence"], progress.container)
    report = completed(report, trace, **more)
    report["problems"] = [*report["problems"], *progress.problems, *_not_done(request)]
    return deliver(Report.from_json(report), options, trace)


def _tell(doc: Jdl, request: JobRequest, trace: Trace) -> None:
    trace.mark("parsed")
    words = " ".join(request.command)
    trace.say(f"{doc.name}: {words[:200]}{'...' if len(words) > 200 else ''}")
    for warning in request.warnings:
        trace.warn(f"{doc.name}:{warning}")
    for problem in _not_done(request):
        trace.warn(problem)


def _not_done(request: JobRequest) -> list[str]:
    return [words for tag, words in _NOT_DONE if getattr(request, tag)]


def _start(
    doc: Jdl,
    request: JobRequest,
    options: JobOptions,
    host: Host,
    trace: Trace,
    events: EventSink,
    signals: Signals,
    progress: Progress,
) -> Ended:
    progress.unmet = look_at_fit(doc, request, options, trace)
    with ExitStack() as kept:
        lease, container = _settle(request, options, host, trace, signals, progress, kept)
        signals.check()
        plan = make_plan(request, doc, options, lease.id, trace, container)
        progress.command = plan.command
        ended = _supervise(plan, events, signals, lease.descriptors)
        container.clean_up()
    if ended.report is None and -ended.returncode in signals.ending:
        signals.check()  # it blocks signals before it starts the payload: so there was none
    if ended.report is None and ended.returncode == EXIT_NEVER_STARTED:
        raise RefusedError("KILLED", "the supervisor did not take the job; its words are on stderr")
    return ended


def _settle(
    request: JobRequest,
    options: JobOptions,
    host: Host,
    trace: Trace,
    signals: Signals,
    progress: Progress,
    kept: ExitStack,
) -> tuple[Leased, Container]:
    """GPUs that are the job's and were proven to compute in its container; `kept` gives them back.

    Of those that do not compute, others are taken, while there are any; then the reason is that
    they do not.
    """
    failed: dict[str, str] = {}
    refused: RefusedError | None = None
    while True:
        progress.choice = choose_gpus(request.gpu, host, trace, failed)
        if refused is not None and not progress.choice.ok and not progress.choice.cpu_only:
            raise refused
        demand(progress.choice)
        demand_fit(progress.unmet, options)
        trace.mark("matched")
        with ExitStack() as attempt:
            wanted = (request, options, host, progress.choice, signals, trace, failed)
            lease = attempt.enter_context(leased_gpus(*wanted, progress.problems))
            progress.choice = lease.choice
            place = place_of(request, options, lease, trace)
            progress.container = place.container
            try:
                progress.sanity = check_gpus(place, options, trace)
            except RefusedError as error:
                bad = error.more.get("gpus")
                if not bad:
                    raise
                refused = error
                failed.update((gpu_id, f"it failed the sanity check: {error}") for gpu_id in bad)
                quarantine(place, bad, str(error), trace)
                continue
            kept.enter_context(attempt.pop_all())
            return lease, place.container


def _supervise(
    plan: Plan, events: EventSink, signals: Signals, descriptors: tuple[int, ...]
) -> Ended:
    signals.check()
    passed = (*events.inherited, *descriptors)
    with Supervisor(plan.arguments, env=plan.environment, pass_fds=passed) as supervisor:
        signals.forward_to(supervisor)
        return supervisor.wait()


def _refusal(
    options: JobOptions, refused: RefusedError, trace: Trace, progress: Progress
) -> dict[str, Any]:
    trace.error(f"{refused.kill_reason}: {refused}")
    trace.event("verdict", kill_reason=refused.kill_reason, detail=str(refused))
    trace.mark("ended")
    report = never_started(options, progress.command, refused)
    trace.event("end", report=report)
    return report


def _without_report(ended: Ended) -> int:
    if ended.returncode == EXIT_USAGE:  # its words are on stderr
        return EXIT_USAGE
    how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"code {ended.returncode}"
    raise GpuctlError(
        f"the supervisor ended with {how} and left no report; the next `gpuctl run` of this user "
        "ends what is left of the job"
    )
