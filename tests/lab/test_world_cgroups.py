"""Facts about control groups that other rooms build on; when a distribution changes, these tell."""

from __future__ import annotations

import pytest

from lab.node import Node

GROUP = "/sys/fs/cgroup/user.slice/user-2000.slice/user@2000.service"


def home(node: Node, place: str | None, user: str = "pilot") -> str:
    """The path of the place's own control group."""
    done = node.run("cat /proc/self/cgroup", place=place, user=user).check()
    return next(line[3:] for line in done.stdout.splitlines() if line.startswith("0::"))


def owner(node: Node, group: str) -> str:
    return node.run(f"stat -c %U /sys/fs/cgroup{group}", user="root").check().stdout.strip()


@pytest.mark.lab("vm")
def test_slurm_puts_a_job_below_its_own_scope(node: Node) -> None:
    """The node's name is a prefix of slurmstepd.scope; the groups are root's."""
    script = """
        group=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
        cat /proc/self/cgroup; stat -c %U $group; mkdir $group/mine"""
    done = node.run(script, place="slurm")
    path, user = done.stdout.splitlines()
    assert path.startswith("0::/system.slice/worker_slurmstepd.scope/job_")
    assert path.endswith("/step_0/user/task_0")
    assert user == "root"
    assert "Permission denied" in done.stderr


@pytest.mark.lab("vm")
def test_slurm_limits_the_step_and_not_the_task(node: Node) -> None:
    script = """
        task=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
        cat $task/memory.max $task/../memory.max
        cat $task/cgroup.controllers"""
    done = node.run(script, place="slurm", options=["--mem=200M"]).check()
    task, step, controllers = done.stdout.splitlines()
    assert (task, step) == ("max", str(200 << 20))
    assert set(controllers.split()) >= {"cpuset", "cpu", "memory"}
    assert not {"pids", "io"} & set(controllers.split())


@pytest.mark.lab("vm")
def test_slurm_fences_the_gpus_that_it_did_not_give(node: Node) -> None:
    """No driver is behind them: ENXIO is the device's own answer, EPERM that of the filter."""
    script = """
        for n in 0 1 2 3; do
            dd if=/dev/nvidia$n count=0 2>&1 | grep -o 'not permitted\\|No such device'
        done
        env | grep CUDA_VISIBLE"""
    none = node.run(script, place="slurm").stdout.splitlines()
    assert none == ["not permitted"] * 4
    one = node.run(script, place="slurm", options=["--gres=gpu:1"]).check().stdout.splitlines()
    assert one == ["No such device", *["not permitted"] * 3, "CUDA_VISIBLE_DEVICES=0"]


@pytest.mark.lab("vm")
def test_htcondor_gives_the_job_its_group(node: Node) -> None:
    script = """
        group=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
        echo $group; stat -c %U $group; cat $group/memory.max $group/cgroup.controllers
        mkdir $group/mine && rmdir $group/mine && echo made"""
    done = node.run(script, place="condor").check()
    group, user, limit, controllers, made = done.stdout.splitlines()
    assert "/htcondor/condor_var_lib_condor_execute_slot1_1@" in group
    assert (user, limit, made) == ("pilot", str(512 << 20), "made")
    assert set(controllers.split()) >= {"cpu", "io", "memory", "pids"}


@pytest.mark.lab("vm")
def test_a_delegated_scope_may_limit_and_kill(node: Node) -> None:
    """Move to a leaf, enable the controllers, limit a child: all as the user."""
    script = """
        set -e
        group=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
        mkdir $group/leaf $group/job
        echo $$ > $group/leaf/cgroup.procs
        for each in cpu cpuset io memory pids; do echo +$each > $group/cgroup.subtree_control; done
        echo 64M > $group/job/memory.max
        echo 10 > $group/job/pids.max
        echo '50000 100000' > $group/job/cpu.max
        cat $group/job/memory.max $group/job/pids.max $group/job/cpu.max
        (echo $BASHPID > $group/job/cgroup.procs; exec sleep 600) &
        until grep -q . $group/job/cgroup.procs; do :; done
        echo 1 > $group/job/cgroup.kill
        wait $! || echo "status $?"
        rmdir $group/job"""
    done = node.run(script, place="scope").check()
    assert done.stdout.splitlines() == [str(64 << 20), "10", "50000 100000", "status 137"]


@pytest.mark.lab("ns")
def test_the_top_of_what_is_delegated_keeps_its_kill(node: Node) -> None:
    """Delegation gives three files of the top; of what the user makes below, every file."""
    script = """
        top=/sys/fs/cgroup/user.slice/user-2000.slice/user@2000.service
        scope=/sys/fs/cgroup$(grep ^0:: /proc/self/cgroup | cut -d: -f3)
        for group in $top $scope; do
            for file in cgroup.procs cgroup.subtree_control cgroup.kill cgroup.freeze; do
                [ -w $group/$file ] && printf '%s ' $file
            done
            echo
        done"""
    top, scope = node.run(script, place="scope").stdout.splitlines()
    assert top.split() == ["cgroup.procs", "cgroup.subtree_control"]
    assert scope.split() == [*top.split(), "cgroup.kill", "cgroup.freeze"]


@pytest.mark.lab("vm")
def test_a_memory_kill_shows_in_memory_events(node: Node) -> None:
    script = """
        group=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
        mkdir $group/leaf $group/job; echo $$ > $group/leaf/cgroup.procs
        echo +memory > $group/cgroup.subtree_control
        echo 32M > $group/job/memory.max; echo 0 > $group/job/memory.swap.max 2>/dev/null
        (echo $BASHPID > $group/job/cgroup.procs; exec tail /dev/zero) || echo "status $?"
        grep -w oom_kill $group/job/memory.events
        [ $(cat $group/job/memory.peak) -le $((32 << 20)) ] && echo peak"""
    done = node.run(script, place="scope").check()
    assert done.stdout.splitlines() == ["status 137", "oom_kill 1", "peak"]


@pytest.mark.lab("vm", kernel="5.10")
def test_the_old_kernel_has_neither_kill_nor_peak(node: Node) -> None:
    done = node.run(f"cd {GROUP}; ls cgroup.freeze cgroup.kill memory.peak", user="root")
    assert done.stdout.split() == ["cgroup.freeze"]


ZOMBIE_LEADER = """\
import ctypes, os, sys, threading, time
def beat():
    while True:
        time.sleep(0.05)
threading.Thread(target=beat).start()
open(sys.argv[1], "w").write(str(os.getpid()))
ctypes.CDLL(None).syscall(60, 0)  # exit(2) of this thread alone
"""


def after_cgroup_kill(node: Node) -> tuple[str, str]:
    """`populated` of a group whose only process has lost its main thread: after `cgroup.kill`,
    and after `gpuctl kill --cgroup`."""
    node.put(ZOMBIE_LEADER.encode(), "/tmp/leader.py")
    script = """
        group=/sys/fs/cgroup$(grep ^0:: /proc/self/cgroup | cut -d: -f3)
        mkdir $group/leaf $group/job; echo $$ > $group/leaf/cgroup.procs
        (echo $BASHPID > $group/job/cgroup.procs; exec python3 /tmp/leader.py /tmp/leader.pid) &
        until [ -s /tmp/leader.pid ]; do sleep 0.1; done
        until grep -q ' Z ' /proc/$(cat /tmp/leader.pid)/stat; do sleep 0.1; done
        echo 1 > $group/job/cgroup.kill; sleep 1
        grep populated $group/job/cgroup.events
        gpuctl kill --cgroup $group/job >&2
        grep populated $group/job/cgroup.events"""
    first, second = node.run(script, place="scope").stdout.splitlines()
    return first, second


@pytest.mark.lab("vm")
def test_cgroup_kill_ends_a_process_whose_main_thread_has_exited(node: Node) -> None:
    """As of 6.12.117; 6.12.107 and 6.18.44 leave it alive, however often it is written."""
    assert after_cgroup_kill(node) == ("populated 0", "populated 0")


@pytest.mark.lab("ns")
def test_gpuctl_ends_it_on_every_kernel(node: Node) -> None:
    assert after_cgroup_kill(node)[1] == "populated 0"


@pytest.mark.lab("ns")
def test_cgroup_procs_shows_others_as_zero(node: Node) -> None:
    """From an inner pid namespace a member that has no number there reads as 0."""
    script = """
        group=/sys/fs/cgroup$(grep ^0:: /proc/self/cgroup | cut -d: -f3)
        unshare --user --map-root-user --pid --fork cat $group/cgroup.procs"""
    done = node.run(script, place="scope").check()
    assert "0" in done.stdout.split()


@pytest.mark.lab("vm")
def test_a_user_scope_inside_a_batch_job_leaves_the_slot(node: Node) -> None:
    """And with it the slot's limits, device filter and accounting."""
    script = "XDG_RUNTIME_DIR=/run/user/2000 systemd-run --user --scope -q cat /proc/self/cgroup"
    done = node.run(script, place="slurm").check()
    assert done.stdout.startswith("0::/user.slice/user-2000.slice/")


@pytest.mark.lab("vm")
def test_apptainer_stays_and_podman_leaves(node: Node) -> None:
    assert home(node, "apptainer") == "/system.slice/lab-agent.service"
    inside = node.start("echo up; sleep 60", place="podman", image="busybox")
    inside.wait_for("up", timeout=120)
    pid = node.run("pgrep -fx 'sleep 60'", user="root").check().stdout.split()[-1]
    assert "/user@2000.service/user.slice/libpod-" in node.get(f"/proc/{pid}/cgroup").decode()
