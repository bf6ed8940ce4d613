#include "flags.hpp"

namespace gpuctl::app {

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> table = {
      {"discover", false, "", Command::none,
       "show the GPUs of this node, and what was left out and why",
       "Reads the kernel's own files, needs no vendor tool and no privilege, and takes about a "
       "millisecond. All vendors\n"
       "at once; a broken device is shown as broken and hides no other.",
       "gpuctl discover          # a table for people\n"
       "gpuctl discover -v       # also what is no GPU, with the reason\n"
       "gpuctl discover --json   # for programs; the keys are stable"},
      {"run", false, "[--] COMMAND [ARGUMENT...]", Command::all,
       "run one payload under supervision: fence, watch, end, clean up, report",
       "The payload gets a session and, where the kernel allows it, a pid namespace of its own, so "
       "that no signal of it\n"
       "reaches anything outside. TERM and INT are passed on and followed by KILL; nothing of the "
       "payload is left behind.\n\n"
       "Descriptors 0, 1 and 2 are the payload's, untouched; gpuctl prints its trace on stderr and "
       "nothing on stdout.",
       "gpuctl run -- make test                           # supervise a command\n"
       "gpuctl run --ttl 2h --report r.json -- ./train.sh # end it after two hours, write the "
       "report\n"
       "gpuctl run --gpus 2 --model A100 --wait 10m -- ./train.sh   # wait for its turn\n"
       "gpuctl run --gpu 0000:63:00.0 -- ./simulate       # this GPU only"},
      {"status", false, "", Command::none, "the GPUs with their leases, drains and who holds them",
       "A lease is `held` while its holder lives, and `releasing` until nothing of its job is left "
       "and nobody has a node of\n"
       "its GPUs open; who keeps it is named. `--repair` puts right what a crash left; nothing "
       "else "
       "is written.",
       "gpuctl status                       # a table for people\n"
       "gpuctl status --repair              # finish what a crash left\n"
       "gpuctl status --history             # why each lease came to be and ended\n"
       "gpuctl status --watch               # one JSON object a change"},
      {"reserve", false, "[--] [COMMAND [ARGUMENT...]]", Command::all,
       "reserve GPUs for a command, or for an agent that comes and goes",
       "With a command the GPUs are held while it runs, and it sees only those. With `--owner-pid` "
       "the lease is recorded: it\n"
       "lasts until `gpuctl release`, or until that process is gone, its cgroup is empty and "
       "nobody "
       "has a node of the GPUs\n"
       "open. All GPUs of one request are given together or none.",
       "gpuctl reserve --gpus 2 -- ./train.sh                  # hold two while it runs\n"
       "gpuctl reserve --job 4711 --owner-pid $$ --model A100   # prints the lease and its GPUs\n"
       "gpuctl release --job 4711"},
      {"release", false, "[LEASE]", Command::none, "give a recorded lease back",
       "Only when it is proven that nothing of its job is left; else it stays `releasing`, with "
       "those who keep it, and the\n"
       "exit code is 1. A lease that is held is given back by its holder: end that job instead.",
       "gpuctl release 3f9a0c1d2e4b5a69\ngpuctl release --job 4711"},
      {"drain", false, "GPU", Command::none,
       "give a GPU no new jobs; the rest of the node goes on serving",
       "Of three strengths: `inform` only tells, `no-new-jobs` lets the running one finish, "
       "`evict` "
       "ends it. Partitions go\n"
       "with their GPU. For root, the owner of the state directory, or the group that it belongs "
       "to.",
       "gpuctl drain 0000:63:00.0 --reason 'ECC errors' --until-check\n"
       "gpuctl drain 0000:63:00.0 --reason 'new driver' --level evict --for 2h"},
      {"undrain", false, "GPU [-- CHECK [ARGUMENT...]]", Command::after_dashes,
       "give a drained GPU jobs again",
       "With a check, which sees this GPU only, it must pass first; a drain with `--until-check` "
       "demands one.",
       "gpuctl undrain 0000:63:00.0\n"
       "gpuctl undrain 0000:63:00.0 -- ./computes-right.sh"},
      {"tree", false, "[PID]", Command::none, "show the processes of a process, a cgroup or a job",
       "Each with its state, CPU time, memory and the GPU device nodes that it holds open. Costs "
       "what the tree costs,\n"
       "however many other processes there are. Of a job, those who left the tree are found by its "
       "nonce.",
       "gpuctl tree 1234                       # the process and all below it\n"
       "gpuctl tree --job 1234                 # a job on record, its supervisor first\n"
       "gpuctl tree --cgroup /user.slice --json"},
      {"kill", false, "", Command::none,
       "end a job, a process tree or a cgroup, and prove that nothing of it is left",
       "TERM and CONT to every process, the first one first; KILL at the deadline, in a way that "
       "no fork escapes where the\n"
       "kernel has one; then the proof. What cannot be ended is named, with exit code 1.\n\n"
       "A job is ended by its supervisor, or by its records where that is dead. `--pid` ends the "
       "process and all that\n"
       "descends from it, as far as that can be seen: its proof is the weakest. gpuctl itself, its "
       "ancestors, kernel\n"
       "threads and other users' processes are never signalled.",
       "gpuctl kill --job 1234               # TERM, and KILL after the job's ForcedKillTimeout\n"
       "gpuctl kill --job 1234 --grace 0     # KILL at once\n"
       "gpuctl kill --pid 4711 --grace 10s   # a process and its descendants\n"
       "gpuctl kill --cgroup /user.slice/job # all of a cgroup (v2)"},
      {"cgroup", false, "[PID|PATH]", Command::none,
       "show where a process is among the cgroups, what it may use and what it uses",
       "Of the caller, of a process, or of a cgroup by its path. Limits are the least of all "
       "ancestors', each with who\n"
       "imposes it; cgroup v2, v1 and both at once. What the kernel does not tell is `-`, and null "
       "in JSON, never 0.\n\n"
       "Where a process has no cgroup that can be read, its descendants are added up.",
       "gpuctl cgroup                        # our own\n"
       "gpuctl cgroup 1234 --json            # of a process\n"
       "gpuctl cgroup /user.slice --watch 1s # live, with rates; Ctrl-C ends it\n"
       "gpuctl cgroup 1234 --processes       # it and its descendants, whatever cgroup they are "
       "in"},
      {"job", true, "FILE.jdl", Command::none,
       "run a whole job from its JDL: parse, choose GPUs, run, clean up, report",
       "The Executable is a local path, relative to the JDL. A job that asks for GPUs gets the "
       "first ones that fit; with\n"
       "GPURequired = false it runs on CPUs when none is free.",
       "gpuctl job hello.jdl                 # trace and report on stderr\n"
       "gpuctl job --json hello.jdl          # the report on stdout, the payload's output in "
       "./gpuctl-ID"},
      {"match", true, "FILE.jdl", Command::none, "does this job fit this node, and if not, why not",
       "Compares what the JDL wants with a node's SiteMap: JAliEn's fields, GPUs, Site Sonar "
       "constraints, and `Requirements` as\n"
       "an expression with the semantics of ClassAds. For a no, every unmet condition is told, "
       "with "
       "what was wanted and found;\n"
       "of several nodes also which one is nearest. What a node does not tell never fulfils a "
       "wish.",
       "gpuctl match job.jdl                                # this node\n"
       "gpuctl match job.jdl --node a.json --node b.json    # recorded SiteMaps\n"
       "gpuctl match job.jdl --json                         # for programs; the keys are stable"},
      {"sitemap", true, "", Command::none, "what a broker is told about this node",
       "JAliEn's keys from the environment, the slot and the machine; the GPUs, which of them are "
       "available, and the leases.\n"
       "With `--collector` the Site Sonar constraints of this node are in it too. null is what "
       "nobody told.",
       "gpuctl sitemap           # a list for people\n"
       "gpuctl sitemap --json    # for the broker, and for gpuctl match --node"},
      {"sonar", true, "", Command::none, "run Site Sonar probes on this node",
       "Asks the collector which probes to run, runs each within its time, uploads what it says, "
       "and prints all of it with the\n"
       "constraints that the collector gives. There is no default collector; without one, "
       "`--offline` runs all probes here.\n\n"
       "Probes come from a directory that is root's, the installation's or CVMFS; they get an "
       "environment of their own, without\n"
       "any token. `--serve` is a small collector, for sites that have none.",
       "gpuctl sonar --offline                        # run all probes, print the results\n"
       "gpuctl sonar --offline --probe gpu --json     # one of them\n"
       "gpuctl sonar --collector http://sonar.example.org:8080/\n"
       "gpuctl sonar --serve [::1]:8080 --database sonar.sqlite"},
      {"probe", true, "", Command::none,
       "the GPUs of this node, with all that vendor tools and libraries know of them",
       "What `gpuctl discover` finds, enriched by lspci, udev, nvidia-smi, NVML, amdgpu_top, "
       "rocm-smi, "
       "amd-smi, xpu-smi and\n"
       "nvtop, as far as they are installed. Each is asked in a child with a deadline: one that "
       "hangs "
       "costs its own answer,\n"
       "never the others'. Every field says its sources; contradictions are problems.\n\n"
       "With `--from` recorded outputs are read instead, joined with each other and with `--root`. "
       "KIND is a tool's name or\n"
       "its whole command; where it is left out the file's content tells. FILE may be a text, a "
       "gzip, "
       "an archive or a folder.",
       "gpuctl probe                                  # a table for people\n"
       "gpuctl probe --json --deadline 10s            # for programs; the keys are stable\n"
       "gpuctl probe --watch 1s --count 5 --json      # telemetry, one JSON object a line\n"
       "gpuctl probe --from 'lspci -nn=lspci.txt' --from smi.xml --json"},
      {"export", false, "FORMAT", Command::none,
       "the GPUs of one lease, or the node, in the words of another program",
       "FORMAT apptainer, podman and env give the exact options and environment that expose a "
       "lease "
       "and nothing else: they\n"
       "replace --nv and --rocm, which expose every GPU of the vendor. As text they are for `eval` "
       "in a "
       "shell, which sets its\n"
       "positional parameters; --json has them as lists, for agents in any language.\n\n"
       "FORMAT cdi is a specification for container runtimes that know the Container Device "
       "Interface: of a lease, or\n"
       "of the whole node where none is named.",
       "eval \"$(gpuctl export apptainer --lease 4711)\"\n"
       "setsid --wait apptainer exec -C \"$@\" IMAGE COMMAND\n"
       "gpuctl export podman --gpu 0000:63:00.0 --json\n"
       "gpuctl export cdi > /etc/cdi/gpuctl.json   # podman run --device gpuctl.jalien/gpu=ID …"},
      {"sanity", true, "", Command::none, "prove that the GPUs compute, where the job will run",
       "A small program is started where the job will run (a container, or none) and goes through "
       "levels: it starts, the\n"
       "vendor's library loads, the devices are exactly those assigned, memory keeps what is "
       "written, a kernel computes the\n"
       "right answer, no other GPU can be opened, the demands on driver and capability hold. "
       "Each level has a result, a time\n"
       "and words; one that hangs costs its deadline. Exit code 0 when all hold, 1 when one does "
       "not.",
       "gpuctl sanity                                  # all usable GPUs, without a container\n"
       "gpuctl sanity --gpu 0000:63:00.0 --container apptainer --image /cvmfs/…/el9-x86_64\n"
       "gpuctl sanity --api opencl --cpu-device --json # try it on a machine without a GPU"},
      {"capture", false, "FILE", Command::none,
       "record this node's GPUs for a test or a bug report",
       "Writes what `gpuctl discover` reads, and what the vendors' tools print, as a tar archive; "
       "`--root` reads it back\n"
       "after unpacking. Host and user names and serial numbers are left out, UUIDs are replaced "
       "by made-up ones. Look\n"
       "through it before you hand it on. FILE must not be there yet.",
       "gpuctl capture node.tar\n"
       "mkdir node && tar -xf node.tar -C node && gpuctl discover --root node"},
      {"doctor", false, "", Command::none,
       "what this node offers to jobs and GPUs, check by check, with the remedy",
       "Each check says pass, warn, fail or skip (`-v` shows these too), what was found, and what "
       "an administrator can do.\n"
       "What the fence can be made of is tried, in children with a deadline, and kept for this "
       "boot; "
       "`--fresh` tries again.\n"
       "Exit code 1 when a check fails; warnings alone are 0.",
       "gpuctl doctor\ngpuctl doctor --json --fresh"},
      {"fence-entry", false, "[--] COMMAND [ARGUMENT...]", Command::all,
       "inside a container: refuse the GPUs that are not the job's, prove it, and become COMMAND",
       "For whoever starts a container runtime for a job: the runtime's mounts are made, and what "
       "is "
       "left to do is done\n"
       "here, with Landlock and a seccomp filter. Every GPU node in the container's /dev that is "
       "no "
       "`--own` one is refused.\n"
       "The binary is static, so the image needs nothing. See docs/design/fence.md.",
       "gpuctl fence-entry --own /dev/nvidia0 --own /dev/nvidiactl -- ./simulate\n"
       "gpuctl fence-entry --fence strict --proof fence.json -- ./simulate   # no GPU at all"},
      {"container-init", false, "[--] COMMAND [ARGUMENT...]", Command::all,
       "inside a container: be its process 1, which hands signals on and reaps",
       "For a container runtime that has no init of its own. COMMAND's exit status is ours; a "
       "signal "
       "that ended it is 128+N.\n"
       "When it has ended the kernel ends what is left of the container.",
       "gpuctl container-init -- gpuctl fence-entry --own /dev/kfd -- ./simulate"},
      {"config", false, "", Command::none, "print every setting in force and where it comes from",
       "Sources, each over the one before: /etc/gpuctl/config.json, the file named by "
       "GPUCTL_CONFIG, environment variables,\n"
       "flags. What a file holds under `enforce` can be strengthened by later ones and never "
       "weakened.",
       "gpuctl config\ngpuctl config --json"},
      {"help", false, "[VERB]", Command::none, "explain a verb",
       "`--man` prints the manual page, `--completion` a completion script for bash or zsh.",
       "gpuctl help run\ngpuctl help --completion bash > /etc/bash_completion.d/gpuctl"},
  };
  return table;
}

const std::vector<Flag>& flags() {
  static const std::vector<Flag> table = {
      {"root", 0, "DIR", "", false,
       "what stands in for this machine's hardware: a directory, or an archive of `gpuctl "
       "capture`"},
      {"state-dir", 0, "DIR", "", false,
       "where jobs are recorded [/run/gpuctl, else /dev/shm/gpuctl]"},
      {"json", 0, nullptr, "", false, "answer as JSON on stdout"},
      {"quiet", 'q', nullptr, "", false, "only errors on stderr"},
      {"verbose", 'v', nullptr, "", false, "more words"},
      {"help", 'h', nullptr, "", false, "explain the verb and its flags"},
      {"version", 0, nullptr, "", false, "print the version"},

      {"pci-ids", 0, "FILE", "discover,run,job,probe,export,sanity,status,reserve", false,
       "names of PCI devices to use where FILE is newer than those built in; none: never"},
      {"job", 0, "ID", "run,job,kill,tree,reserve,release", false,
       "the job's id: letters, digits, `.`, `_`, `-`; at most 64"},
      {"resubmission", 0, "N", "run,job,kill,tree,reserve", false,
       "which resubmission of the job this is [0]"},
      {"gpus", 0, "N", "run,reserve", false,
       "how many GPUs, all or none [1 where one is asked for]"},
      {"gpu", 0, "ID", "run,reserve,export,sanity", true,
       "this GPU or partition, by its id in `gpuctl discover`; may be given several times"},
      {"vendor", 0, "NAME", "run,reserve", true, "nvidia, amd or intel; any of several will do"},
      {"model", 0, "NAME", "run,reserve", true,
       "words of a model's name, whole and in order: A100, 'MI50 32GB'; any of several will do"},
      {"arch", 0, "NAME", "run,reserve", true,
       "an architecture, chip or isa: Ampere, gfx906; any of several will do"},
      {"min-memory", 0, "SIZE", "run,reserve", false,
       "memory of each GPU: 40G decimal, 40GiB binary; 7 % less will do"},
      {"same", 0, "WHAT", "run,reserve", false,
       "numa: all GPUs on one NUMA node; link: each linked to each, not over PCI (xGMI)"},
      {"exclude", 0, "ID", "run,reserve", true, "not this GPU"},
      {"allow-integrated", 0, nullptr, "run,reserve", false,
       "an integrated GPU will do, also where no model is named"},
      {"even-drained", 0, nullptr, "run", false,
       "a drained GPU too, to check it (for those who may drain)"},
      {"wait", 0, "DUR", "run,reserve,job", false,
       "wait this long for GPUs that are taken, first come first served [not at all]"},
      {"owner-pid", 0, "PID", "reserve", false, "record the lease for this process"},
      {"cgroup", 0, "PATH", "reserve", false,
       "with --owner-pid: the job's cgroup (v2), which keeps the lease while it has processes"},
      {"expires", 0, "DUR", "reserve", false,
       "with --owner-pid: after this time it is given back as soon as that is proven to be safe"},
      {"reason", 0, "TEXT", "drain,undrain", false, "why, for the history"},
      {"level", 0, "LEVEL", "drain", false, "inform, no-new-jobs or evict [no-new-jobs]"},
      {"for", 0, "DUR", "drain", false, "how long [until undrain]"},
      {"until-check", 0, nullptr, "drain", false, "undrain demands a check that passes"},
      {"repair", 0, nullptr, "status", false, "put right what a crash left"},
      {"history", 0, nullptr, "status", false, "every decision with its reason"},
      {"watch", 0, nullptr, "status", false, "one JSON object a change"},
      {"count", 0, "N", "status", false, "with --watch: stop after N objects"},
      {"lease", 0, "ID", "run,export", false,
       "a lease by its id, or by its job's, with --gpu a part of it; who holds it gives it back"},
      {"ledger-scope", 0, "SCOPE", "run,reserve,release,status,drain,undrain,job", false,
       "node, or slot: reserve although only this slot sees the ledger [node]"},
      {"lease-file", 0, "FILE", "export", false,
       "where GPUCTL_LEASE_FILE, the lease's read-only file, is written [with --lease: in the "
       "state "
       "directory, as long as the lease lasts]"},
      {"workdir", 0, "DIR", "run,job", false,
       "make the work directory alien-job-ID in DIR and remove it at the end"},
      {"input", 0, "FILE", "run", true, "bring FILE into the work directory"},
      {"output", 0, "DIR", "run,job", false,
       "where files to keep go before clean-up [./gpuctl-ID]"},
      {"keep", 0, "PATTERN", "run", true, "keep the work directory's files that match"},
      {"capture-output", 0, nullptr, "run", false,
       "the payload's stdout and stderr become files of the work directory"},
      {"env", 0, "NAME=VALUE", "run", true, "set a variable of the payload"},
      {"ttl", 0, "DUR", "run,job", false, "end the payload after this time: 90, 90s, 10m, 1h"},
      {"forced-kill-timeout", 0, "DUR", "run,job", false,
       "time between TERM and KILL [60s, at most 600s]"},
      {"outer-grace", 0, "DUR", "run,job", false,
       "the same when gpuctl itself is asked to end [25s]"},
      {"memory", 0, "SIZE", "run,job", false,
       "memory the payload may use: 8GB, 8000 (MB), in steps of 1024 [what the slot leaves]"},
      {"cpus", 0, "N", "run", false, "CPU time it may use, in CPUs: 2, 0.5 [what the slot has]"},
      {"pids", 0, "N", "run", false, "processes and threads it may have at once"},
      {"preempt", 0, "POLICY", "run", false,
       "never, growth, relative_use or absolute_use: which job of a slot goes when its memory runs "
       "out [relative_use]"},
      {"no-cgroups", 0, nullptr, "run,job", false,
       "make no cgroup for the payload (to find faults)"},
      {"leave-slot", 0, "WHEN", "run,job", false,
       "auto or never: go to a scope of systemd where the slot has no room for a cgroup and its "
       "limits can be kept [auto]"},
      {"fence", 0, "LEVEL", "run,job,fence-entry,sanity", false,
       "advisory, best or strict: how firmly the job is kept to its own GPUs [best]"},
      {"process-fence", 0, "KIND", "run", false,
       "strongest to try: pid_namespace or session; runtime: COMMAND is a container runtime that "
       "makes its own namespaces [pid_namespace]"},
      {"fence-inside", 0, nullptr, "run", false,
       "COMMAND is a container runtime that starts `gpuctl fence-entry`, which demands the LEVEL "
       "inside"},
      {"fresh", 0, nullptr, "doctor", false, "try again what the fence can be made of"},
      {"own", 0, "NODE", "fence-entry", true, "a device node of the job's: /dev/nvidia0"},
      {"protect", 0, "PID", "fence-entry", true,
       "a process that may not be signalled or tampered with, where the container shows it"},
      {"proof", 0, "FILE", "fence-entry", false, "write what was proven as JSON (gpuctl.fence/1)"},
      {"container", 0, "RUNTIME", "job,sanity", false,
       "auto, apptainer, podman or none: what the payload runs in; auto: the first that works "
       "where "
       "there is an image [auto]"},
      {"image", 0, "IMAGE", "job,sanity", false,
       "the container's image: a folder, a file or a name [JobContainer, Platform, the site's]"},
      {"sanity", 0, "WHEN", "job", false,
       "never, auto or always: prove that the GPUs compute before the payload starts; auto: where "
       "the vendor's library is [auto]"},
      {"api", 0, "NAME", "sanity", false,
       "auto, cuda, hip, level_zero or opencl: how to talk to the GPU [by its vendor]"},
      {"cpu-device", 0, nullptr, "sanity", false,
       "count OpenCL devices that are CPUs too: to try the check where there is no GPU"},
      {"write-memory", 0, "SIZE", "sanity", false,
       "how much of each GPU's memory is written and read back: 256MiB [256MiB]"},
      {"min-memory", 0, "SIZE", "sanity", false, "memory that each GPU must have: 16GB, 16GiB"},
      {"min-driver", 0, "VERSION", "sanity", false, "oldest driver that will do: 535.104"},
      {"min-runtime", 0, "VERSION", "sanity", false,
       "oldest version of the interface that will do: 12.2 (CUDA), 3.0 (OpenCL)"},
      {"min-capability", 0, "VERSION", "sanity", false,
       "least compute capability that will do: 8.0 (NVIDIA)"},
      {"report", 0, "FILE", "run,job", false, "write the report as JSON"},
      {"report-copy", 0, "FILE", "run", false,
       "write it there too, if that can be done; only FILE of --report is made up for later"},
      {"events", 0, "FILE|fd:N", "run,job", false,
       "write events while the job runs, one JSON object a line"},
      {"die-with-parent", 0, nullptr, "run", false, "end the job when the caller dies"},
      {"pid", 0, "PID", "kill", false, "a process, with all that descends from it"},
      {"cgroup", 0, "PATH", "tree,kill", false,
       "a cgroup of the v2 hierarchy and all below it, as in /proc/PID/cgroup or below the mount "
       "point"},
      {"watch", 0, "DUR", "cgroup", false, "a line each DUR with what was used meanwhile: 1s"},
      {"count", 0, "N", "cgroup", false, "end the watch after N lines"},
      {"processes", 0, nullptr, "cgroup", false,
       "count the process and its descendants instead of its cgroup"},
      {"grace", 0, "DUR", "kill", false,
       "time between TERM and KILL [the job's ForcedKillTimeout, else 60s], at most 600s"},
      {"spare", 0, "PID|NAME=VALUE", "kill", true,
       "no TERM, only the KILL at the deadline, for this process, or for all with this entry in "
       "their environment"},
      {"from", 0, "KIND=FILE", "probe", true,
       "read a recorded output instead of asking this machine; may be given several times"},
      {"source", 0, "NAME", "probe", true, "ask only this source; may be given several times"},
      {"deadline", 0, "DUR", "probe,capture", false, "how long a tool may take [30s]"},
      {"deadline", 0, "DUR", "sanity", false, "how long the whole check may take [60s]"},
      {"container", 0, "IMAGE", "probe", false,
       "an Apptainer image with lspci, for hosts that have none"},
      {"watch", 0, "DUR", "probe", false, "answer again and again, with this time between"},
      {"count", 0, "N", "probe", false, "with --watch: stop after N answers"},
      {"no-tools", 0, nullptr, "capture", false, "do not start any vendor tool"},
      {"match", 0, "WHEN", "job", false,
       "never, auto or always: refuse a job that does not fit this node; auto: in a CE's slot "
       "[auto]"},
      {"node", 0, "FILE", "match", true,
       "a node's SiteMap as JSON, or a list of them; may be given several times [this node]"},
      {"constraint", 0, "NAME", "match", true,
       "a Site Sonar constraint, also of nodes that have no value of it; may be given several "
       "times"},
      {"collector", 0, "URL", "sitemap,sonar", false, "the Site Sonar collector to ask"},
      {"offline", 0, nullptr, "sonar", false, "ask nobody, run the probes and print the results"},
      {"probe", 0, "NAME", "sonar", true, "run only this probe; may be given several times"},
      {"probes", 0, "DIR", "sonar", false, "where the probes are [the installation's]"},
      {"deadline", 0, "DUR", "sonar", false, "how long a probe may take [60s]"},
      {"serve", 0, "ADDRESS:PORT", "sonar", false, "be a collector, until a signal ends it"},
      {"database", 0, "FILE", "sonar", false, "where the collector keeps what it gets"},
      {"man", 0, nullptr, "help", false, "print the manual page"},
      {"completion", 0, "SHELL", "help", false, "print the completion script for bash or zsh"},
  };
  return table;
}

const std::vector<ExitCode>& exit_codes() {
  static const std::vector<ExitCode> table = {
      {0, "done; the answer is yes or healthy"},
      {1, "done; the answer is no: no GPU, none free, no match, survivors left, unhealthy"},
      {2, "usage or configuration error; nothing was done"},
      {3, "gpuctl failed and the answer is unknown"},
      {4, "partial: printed, but something could not be read (see `problems`)"},
      {124, "run, job, reserve: the TTL ended the payload"},
      {125,
       "run, job: the payload never started (no GPU, fence, gpuctl itself); it is safe to put the "
       "job back"},
      {126, "run, job: the command cannot be executed"},
      {127, "run, job: the command was not found"},
  };
  return table;
}

}  // namespace gpuctl::app
