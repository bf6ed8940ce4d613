// What kind of place a cgroup is, told by its path alone: who made it, and which of its ancestors is the slot.
//
//   Slot slot = slot_of("/system.slice/worker_slurmstepd.scope/job_7/step_0/user/task_0");
//   slot.kind == SlotKind::slurm; slot.path == "/system.slice/worker_slurmstepd.scope/job_7"; slot.name == "job_7"
#pragma once

#include <string>
#include <string_view>

namespace gpuctl::cgroup {

enum class SlotKind {
  root,          // of the hierarchy, or of a cgroup namespace
  slurm,         // …slurmstepd.scope/job_N/step_M/… (v2), /slurm/uid_U/job_N/… (v1)
  htcondor,      // …/htcondor/…slot1_1@host, since HTCondor 25 …slot1_1@host.slice/….scope
  container,     // libpod, docker, cri-o, containerd, kubepods, Apptainer
  scope,         // of systemd: processes that somebody else started (sessions, systemd-run --scope)
  service,       // of systemd, or of a user's manager
  user_manager,  // user@UID.service itself and what it keeps outside its units
  slice,         // of systemd: holds units, normally no processes
  other,
};

// "root", "slurm", "htcondor", ... as in JSON.
const char* name_of(SlotKind kind);

struct Slot {
  SlotKind kind = SlotKind::other;
  std::string
      path;  // of the ancestor (or itself) that is the slot: a job's, a container's, a unit's
  std::string name;  // that cgroup's own name; empty at the root
};

// A batch job goes before a container in it, a container before the unit that it runs in.
Slot slot_of(std::string_view path);

}  // namespace gpuctl::cgroup
