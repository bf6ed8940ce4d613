#include "gpuctl/cgroup/slot.hpp"

#include <doctest/doctest.h>

using namespace gpuctl;

TEST_CASE("the kind of a place and the slot in it") {
  struct Row {
    const char* path;
    const char* kind;
    const char* slot;
  };
  const Row rows[] = {
      {"/", "root", "/"},
      {"", "root", "/"},
      {"/system.slice/worker_slurmstepd.scope/job_1/step_0/user/task_0", "slurm",
       "/system.slice/worker_slurmstepd.scope/job_1"},
      {"/system.slice/slurmstepd.scope/job_12/step_batch/user/task_0/own.scope", "slurm",
       "/system.slice/slurmstepd.scope/job_12"},
      {"/slurm/uid_500/job_7/step_0", "slurm", "/slurm/uid_500/job_7"},
      {"/slurm_node1/uid_500/job_7", "slurm", "/slurm_node1/uid_500/job_7"},
      {"/system.slice/slurmstepd.scope/system", "scope", "/system.slice/slurmstepd.scope"},
      {"/job_7/step_0", "other", "/job_7/step_0"},
      {"/system.slice/condor.service/htcondor/condor_var_lib_condor_execute_slot1_1@localhost",
       "htcondor",
       "/system.slice/condor.service/htcondor/condor_var_lib_condor_execute_slot1_1@localhost"},
      {"/system.slice/htcondor/_condor_slot1_11@myhost.slice/_condor_slot1_11@myhost.scope",
       "htcondor", "/system.slice/htcondor/_condor_slot1_11@myhost.slice"},
      {"/htcondor/condor_scratch_slot1@wn.site/job-5", "htcondor",
       "/htcondor/condor_scratch_slot1@wn.site"},
      {"/system.slice/condor.service", "service", "/system.slice/condor.service"},
      {"/user.slice/user-2000.slice/user@2000.service/user.slice/libpod-0a.scope/container",
       "container", "/user.slice/user-2000.slice/user@2000.service/user.slice/libpod-0a.scope"},
      {"/docker/0a1b", "container", "/docker/0a1b"},
      {"/kubepods/burstable/pod1/0a", "container", "/kubepods/burstable/pod1/0a"},
      {"/user.slice/apptainer-77.scope", "container", "/user.slice/apptainer-77.scope"},
      {"/user.slice/user-2000.slice/user@2000.service/app.slice/run-p1-i2.scope", "scope",
       "/user.slice/user-2000.slice/user@2000.service/app.slice/run-p1-i2.scope"},
      {"/user.slice/user-2000.slice/user@2000.service/init.scope", "scope",
       "/user.slice/user-2000.slice/user@2000.service/init.scope"},
      {"/user.slice/user-2000.slice/user@2000.service", "user_manager",
       "/user.slice/user-2000.slice/user@2000.service"},
      {"/user.slice/user-2000.slice/session-3.scope", "scope",
       "/user.slice/user-2000.slice/session-3.scope"},
      {"/system.slice/lab-agent.service", "service", "/system.slice/lab-agent.service"},
      {"/system.slice/docker.service", "service", "/system.slice/docker.service"},
      {"/user.slice", "slice", "/user.slice"},
      {"/lxc/x", "container", "/lxc/x"},
      {"/a:b", "other", "/a:b"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.path);
    const cgroup::Slot slot = cgroup::slot_of(row.path);
    CHECK(std::string(cgroup::name_of(slot.kind)) == row.kind);
    CHECK(slot.path == row.slot);
  }
}
