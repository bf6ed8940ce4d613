"""A scope of systemd where the slot has no room; the way out of a slot, and back into its fate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.node import Node
from lab.wire import Remote

HOME = "/home/pilot"
REPORT = f"{HOME}/report.json"
RUN = f"gpuctl run --state-dir {HOME}/state --report {REPORT}"
MANAGER = "/sys/fs/cgroup/user.slice/user-2000.slice/user@2000.service"
SCOPES = f"ls {MANAGER}/app.slice /sys/fs/cgroup/system.slice | grep ^gpuctl-"
WHERE = "sed -n s/^0:://p /proc/self/cgroup"
SLOT_HAS_ENDED = "the slot has ended"


def report(node: Node) -> dict[str, Any]:
    """Of the last job: the file comes whole, once the job is over."""
    script = (
        f"for i in $(seq 300); do [ -s {REPORT} ] && exec cat {REPORT}; sleep 0.2; done; exit 1"
    )
    found: dict[str, Any] = json.loads(node.run(script).check().stdout)
    node.run(f"rm {REPORT}").check()
    return found


def notes(node: Node) -> str:
    return "\n".join(report(node)["cgroup"]["notes"])


def nothing_is_left(node: Node) -> bool:
    """The manager removes a scope a moment after its last process."""
    script = f"for i in $(seq 100); do {SCOPES} || exit 0; sleep 0.1; done; exit 1"
    return node.run(script, user="root").code == 0 and "gpuctl" not in commands(node)


def commands(node: Node) -> list[str]:
    return node.run("ps -eo comm=", user="root").check().stdout.split()


def start_and_wait(node: Node, command: str, place: str | None = None) -> Remote:
    """A job that has said `up` by a file; the output of a batch job comes late."""
    remote = node.start(f"{command} -- sh -c 'echo up >{HOME}/up; sleep 4711'", place=place)
    node.run(f"until [ -s {HOME}/up ]; do sleep 0.1; done; rm {HOME}/up").check()
    return remote


# ---- outside of any slot ----


@pytest.mark.lab("ns")
def test_a_pilot_of_a_service_gets_a_scope(node: Node) -> None:
    node.wait_for_place("scope")
    done = node.run(f"{RUN} -- {WHERE}").check()
    cgroup = report(node)["cgroup"]
    assert cgroup["own"] and cgroup["scope"].startswith("gpuctl-run-")
    assert done.stdout.strip() == cgroup["path"]
    assert f"/user@2000.service/app.slice/{cgroup['scope']}/job-run-" in cgroup["path"]
    assert nothing_is_left(node)


@pytest.mark.lab("ns")
@pytest.mark.parametrize(
    "env",
    [
        {"XDG_RUNTIME_DIR": None, "DBUS_SESSION_BUS_ADDRESS": None},
        {"XDG_RUNTIME_DIR": "/run/user/0"},
        {"XDG_RUNTIME_DIR": "/nowhere", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"},
    ],
    ids=["unset", "roots", "nonsense"],
)
def test_a_wrong_environment_does_not_matter(node: Node, env: dict[str, str | None]) -> None:
    node.wait_for_place("scope")
    node.run(f"{RUN} -- true", env=env).check()
    assert report(node)["cgroup"]["scope"] is not None


@pytest.mark.lab("ns")
def test_a_session_bus_without_systemd_is_passed_by(node: Node) -> None:
    node.wait_for_place("scope")
    node.run(f"dbus-run-session -- {RUN} -- true").check()
    assert report(node)["cgroup"]["scope"] is not None


@pytest.mark.lab("ns")
def test_what_is_missing_is_named_with_the_remedy(node: Node) -> None:
    node.wait_for_place("scope")
    node.run(f"gpuctl=$(command -v gpuctl); PATH=/nowhere $gpuctl {RUN[7:]} -- /bin/true").check()
    assert "`busctl`: not found" in notes(node)
    node.run(f"{RUN} --leave-slot=never -- true").check()
    assert "`--leave-slot=never`" in notes(node)
    node.run(f"{RUN} --no-cgroups -- true").check()
    assert "`--no-cgroups`" in notes(node)
    units = "user@2000.service user-runtime-dir@2000.service"
    stop = f"loginctl disable-linger pilot; systemctl stop {units}"
    node.run(stop, user="root").check()
    node.run(f"{RUN} -- true", env={"XDG_RUNTIME_DIR": "/run/user/0"}).check()
    words = notes(node)
    assert "`loginctl enable-linger 2000`" in words
    assert "`XDG_RUNTIME_DIR` is `/run/user/0`" in words


@pytest.mark.lab("ns")
def test_a_manager_without_a_bus_is_told_from_none(node: Node) -> None:
    script = """
        export XDG_RUNTIME_DIR=/run/user/2000
        runuser -u pilot -- systemctl --user stop dbus.socket dbus.service
        rm -f /run/user/2000/bus"""
    node.wait_for_place("scope")
    node.run(script, user="root").check()
    node.run(f"{RUN} -- true").check()
    assert "`dbus-user-session`" in notes(node)


@pytest.mark.lab("ns")
def test_root_asks_the_systems_manager(node: Node) -> None:
    unit = "systemd-run --quiet --pipe --wait --setenv=PATH"
    node.run(
        f"{unit} gpuctl run --state-dir /tmp/state --report {REPORT} -- true", user="root"
    ).check()
    cgroup = json.loads(node.get(REPORT))["cgroup"]
    assert cgroup["path"].startswith(f"/system.slice/{cgroup['scope']}/job-run-")
    assert nothing_is_left(node)


@pytest.mark.lab("ns")
@pytest.mark.parametrize("place", ["apptainer", "podman"])
def test_a_container_says_that_it_is_one(node: Node, place: str) -> None:
    done = node.run(
        "gpuctl run --state-dir /tmp/s --report /tmp/r -- true && cat /tmp/r", place=place
    ).check()
    cgroup = json.loads(done.stdout)["cgroup"]
    assert cgroup["scope"] is None
    assert cgroup["own"] or "container" in "\n".join(cgroup["notes"])


# ---- the tether, and deaths in the middle ----


@pytest.mark.lab("ns")
@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_what_comes_to_the_slot_comes_to_the_job(node: Node, signal: str) -> None:
    node.wait_for_place("scope")
    remote = start_and_wait(node, RUN)
    tether = node.run("pgrep -x gpuctl-tether").check().stdout.strip()
    assert "/system.slice/lab-agent.service\n" in node.get(f"/proc/{tether}/cgroup").decode()
    node.run(f"kill -{signal} {tether}").check()
    assert remote.finish(b"", 60).code == 143
    reason = report(node)["kill_reason"]
    assert reason["name"] == "KILLED"
    expected = {"TERM": "SIGTERM from the slot that we left", "KILL": SLOT_HAS_ENDED}[signal]
    assert expected in reason["detail"]["text"]
    assert nothing_is_left(node)


@pytest.mark.lab("ns")
def test_stopping_the_pilots_service_ends_the_job(node: Node) -> None:
    """The supervisor is not in the service's cgroup any more."""
    node.wait_for_place("scope")
    unit = "systemd-run --quiet --unit=pilot-1 --uid=pilot --setenv=PATH"
    job = f"sh -c 'echo up >{HOME}/up; sleep 4711'"
    node.run(f"{unit} {RUN} -- {job}", user="root").check()
    node.run(f"until [ -s {HOME}/up ]; do sleep 0.1; done").check()
    node.run("systemctl stop pilot-1", user="root").check()
    assert report(node)["kill_reason"]["name"] == "KILLED"
    assert nothing_is_left(node)


@pytest.mark.lab("ns")
@pytest.mark.parametrize("fence", ["pid_namespace", "session"])
def test_a_supervisor_killed_in_its_scope(node: Node, fence: str) -> None:
    """With a pid namespace all of it goes at once; else what is left keeps its scope, until the
    next start ends it."""
    node.wait_for_place("scope")
    remote = start_and_wait(node, f"{RUN} --process-fence {fence}")
    node.run("kill -KILL $(pgrep -x gpuctl)").check()
    remote.finish(b"", 60)
    if fence == "session":
        assert node.run(SCOPES).code == 0
    else:
        assert nothing_is_left(node)
    node.run(f"gpuctl -q run --state-dir {HOME}/state --leave-slot=never -- true").check()
    assert nothing_is_left(node)
    assert "gpuctl-tether" not in commands(node)
    assert node.run(f"ls {HOME}/state/jobs/2000").stdout == ""


@pytest.mark.lab("ns")
def test_killed_at_any_moment_of_the_move(node: Node) -> None:
    """Whatever had been done, systemd and the kernel take it back."""
    node.wait_for_place("scope")
    script = f"""
        for ms in $(seq 0 2 120); do
            gpuctl -q run --state-dir {HOME}/state -- sleep 4711 </dev/null >/dev/null 2>&1 &
            sleep $(printf '0.%03d' $ms); kill -KILL $!; wait $!
        done 2>/dev/null"""
    node.run(script)
    assert nothing_is_left(node)
    assert not {"gpuctl-tether", "gpuctl-init", "busctl", "sleep"} & set(commands(node))
    units = "systemctl --user list-units --all --plain --no-legend 'gpuctl-*'"
    forgotten = node.run(f'for i in $(seq 50); do [ -z "$({units})" ] && exit; sleep 0.1; done')
    assert forgotten.code == 0, node.run(units).stdout


# ---- in a slot ----


@pytest.mark.lab("vm")
def test_a_slot_with_a_device_filter_is_not_left(node: Node) -> None:
    done = node.run(f"{RUN} -- {WHERE}", place="slurm").check()
    assert "slurmstepd.scope/job_" in done.stdout
    assert "device filter" in notes(node)


@pytest.mark.lab("vm")
def test_a_slot_with_room_is_not_left(node: Node) -> None:
    done = node.run(f"{RUN} -- {WHERE}", place="condor").check()
    assert "/htcondor/" in done.stdout
    assert report(node)["cgroup"]["scope"] is None


def without_device_filter(node: Node) -> None:
    node.wait_for_place("slurm")
    script = """
        sed -i s/ConstrainDevices=yes/ConstrainDevices=no/ /etc/slurm/cgroup.conf
        systemctl restart slurmd
        until sinfo -h -o %t | grep -qE 'idle|mix'; do sleep 0.5; done"""
    node.run(script, user="root").check()


@pytest.mark.lab("vm")
def test_a_slurm_jobs_limits_hold_outside_of_it(node: Node) -> None:
    without_device_filter(node)
    script = (
        f"""{RUN} -- sh -c 'cd /sys/fs/cgroup$({WHERE})/..; cat memory.max cpuset.cpus.effective'"""
    )
    done = node.run(script, place="slurm", options=["--mem=150M"]).check()
    assert done.stdout.split() == [str(150 << 20), "0"]
    assert report(node)["cgroup"]["scope"] is not None
    node.run(f"{RUN} -- tail /dev/zero", place="slurm", options=["--mem=150M"])
    ended = report(node)
    assert ended["exit"]["signal_name"] == "SIGKILL"
    assert (ended["kill_reason"]["name"], ended["oom"]["level"]) == ("OOM_SYSTEM", "job")
    stayed = node.run(f"{RUN} --leave-slot=never -- {WHERE}", place="slurm").check()
    assert "slurmstepd.scope/job_" in stayed.stdout


@pytest.mark.lab("vm")
def test_two_jobs_of_a_slot_do_not_both_take_its_memory(node: Node) -> None:
    """The second stays, unless each was given its part."""
    without_device_filter(node)
    memory = f"sh -c 'cat /sys/fs/cgroup$({WHERE})/../memory.max'"
    script = f"""
        gpuctl -q run --state-dir {HOME}/state -- sh -c 'echo up >{HOME}/up; sleep 4711' &
        until [ -s {HOME}/up ]; do sleep 0.2; done
        gpuctl -q run --state-dir {HOME}/state -- {WHERE}
        gpuctl -q run --state-dir {HOME}/state --memory 20MB -- {memory}
        kill %1; wait"""
    done = node.run(script, place="slurm", options=["--mem=150M"]).check()
    stayed, limit = done.stdout.split()
    assert "slurmstepd.scope/job_" in stayed
    assert int(limit) == (20 + 64) << 20


@pytest.mark.lab("vm")
def test_scancel_ends_a_job_that_left(node: Node) -> None:
    without_device_filter(node)
    start_and_wait(node, RUN, place="slurm")
    node.run("scancel --user pilot").check()
    assert report(node)["kill_reason"]["name"] == "KILLED"
    assert nothing_is_left(node)


@pytest.mark.lab("vm")
def test_condor_rm_ends_a_job_that_left(node: Node) -> None:
    """A slot that is root's, as HTCondor makes it where it does not delegate."""
    wait = f"until [ -e {HOME}/go ]; do sleep 0.2; done; "
    node.start(f"{wait}{RUN} -- sh -c 'echo up >{HOME}/up; sleep 4711'", place="condor")
    script = f"""
        slots=/sys/fs/cgroup/system.slice/condor.service/htcondor
        until ls -d $slots/*slot1_1*; do sleep 0.5; done
        chown -R root: $slots; touch {HOME}/go
        until [ -s {HOME}/up ]; do sleep 0.2; done"""
    node.run(script, user="root").check()
    assert node.run(SCOPES).code == 0
    node.run("condor_rm -all").check()
    ended = report(node)
    assert ended["cgroup"]["scope"] is not None
    assert ended["kill_reason"]["name"] == "KILLED"
    assert nothing_is_left(node)
