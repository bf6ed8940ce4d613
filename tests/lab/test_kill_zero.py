"""The failure that plagued a site for a year: a payload's `kill -9 0` under `apptainer exec -C`
ended the pilot and its neighbours. Process groups cross pid namespaces, and Apptainer makes none.

Each test starts a stand-in pilot, in a process group with a neighbour, that starts the payload.
The pilot, the neighbour and who watches both are all the node's: nothing can reach this machine.
"""

from __future__ import annotations

import json

import pytest

from lab.node import Node

# The slot: a process group with a neighbour, and a pilot that starts $PAYLOAD and writes its code.
SLOT = r"""
cd /tmp && rm -f pilot.* neighbour.*
cat > slot.sh <<'END'
sleep 600 & echo $! > neighbour.pid
bash -c 'echo $$ > pilot.pid; eval "$PAYLOAD"; echo $? > pilot.code; sleep 600' &
wait
END
setsid bash slot.sh > slot.log 2>&1 &
slot=$!
for try in $(seq 600); do
    [ -e pilot.pid ] || { sleep 0.1; continue; }
    [ -e pilot.code ] && break
    kill -0 $(cat pilot.pid) 2>/dev/null || break
    sleep 0.1
done
sleep 0.3
alive() { kill -0 "$(cat $1.pid)" 2>/dev/null && echo alive || echo dead; }
echo "$(alive pilot) $(alive neighbour) $(cat pilot.code 2>/dev/null)"
kill -9 -- -$slot 2>/dev/null
cat slot.log >&2
"""

APPTAINER = "apptainer --silent exec -C --bind /opt/lab /srv/images/busybox"
PODMAN = "podman --cgroup-manager=cgroupfs run --rm --network none --rootfs /srv/images/busybox"
CONTAINERS = {"apptainer": APPTAINER, "podman": PODMAN, "none": ""}
ATTACKS = {"group": "kill -9 0", "all": "kill -9 -1"}

pytestmark = pytest.mark.lab("ns")


def outcome(node: Node, payload: str) -> list[str]:
    done = node.run(SLOT, env={"PAYLOAD": payload}, timeout=180)
    words = done.stdout.split()
    assert len(words) >= 2, f"{done.stdout}{done.stderr}"
    return words


# ---- the world ----


def test_apptainer_alone_does_not_contain_kill_zero(node: Node) -> None:
    """If this fails, Apptainer has learned to make a process group: good news, and less to do."""
    assert outcome(node, f"{APPTAINER} sh -c 'kill -9 0'")[:2] == ["dead", "dead"]


def test_apptainer_alone_contains_kill_all(node: Node) -> None:
    """Its pid namespace (-C has one) is all that `-1` can mean."""
    assert outcome(node, f"{APPTAINER} sh -c 'kill -9 -1'")[:2] == ["alive", "alive"]


def test_a_session_of_its_own_contains_kill_zero(node: Node) -> None:
    assert outcome(node, f"setsid --wait {APPTAINER} sh -c 'kill -9 0'")[:2] == ["alive", "alive"]


def test_without_a_container_kill_zero_ends_the_slot(node: Node) -> None:
    assert outcome(node, "sh -c 'kill -9 0'")[:2] == ["dead", "dead"]


def test_podman_alone_contains_kill_zero(node: Node) -> None:
    """conmon gives the container a session."""
    assert outcome(node, f"{PODMAN} sh -c 'kill -9 0'")[:2] == ["alive", "alive"]


# ---- started by gpuctl ----


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_started_by_gpuctl(node: Node, container: str, attack: str) -> None:
    payload = f"{CONTAINERS[container]} sh -c '{ATTACKS[attack]}; sleep 1'".strip()
    # rootless podman needs its subordinate ids, which a user namespace of one uid has not
    fence = "--process-fence session" if container == "podman" else ""
    run = f"gpuctl run {fence} --state-dir /tmp/state --report /tmp/report.json -- {payload}"
    pilot, neighbour, *_ = outcome(node, run)
    assert (pilot, neighbour) == ("alive", "alive")
    assert json.loads(node.get("/tmp/report.json"))["state"] == "done", "the payload never ran"
    assert node.run("pgrep conmon", user="root").code == 1


def test_podman_says_what_a_single_uid_costs(node: Node) -> None:
    """Why it is not started behind the fence's own pid namespace."""
    done = node.run(f"unshare --user --map-current-user {PODMAN} true")
    assert done.code != 0
    assert "newuidmap" in done.stderr
