// The verbs of the binary. Each takes the context of one invocation and returns the exit code.
#pragma once

#include "context.hpp"

namespace gpuctl::app {

int run_discover(const Context& context);
int run_run(const Context& context);
int run_held(const Context& context);  // `reserve -- COMMAND`
int run_reserve(const Context& context);
int run_release(const Context& context);
int run_status(const Context& context);
int run_drain(const Context& context);
int run_undrain(const Context& context);
int run_tree(const Context& context);
int run_kill(const Context& context);
int run_cgroup(const Context& context);
int run_container_init(const Context& context);
int run_export(const Context& context);
int run_capture(const Context& context);
int run_doctor(const Context& context);
int run_fence_entry(const Context& context);
int run_config(const Context& context);
int run_help(const Invocation& invocation);

// Replaces this process by the sibling executable `gpuctl-VERB`; returns only when that is not possible.
int exec_python_verb(const Invocation& invocation);

}  // namespace gpuctl::app
