"""`gpuctl job`: one whole job from its JDL to its report.

options.py  what the caller asks for, apart from the JDL
trace.py    the story as it happens: stderr, events, report
fit.py      what the JDL wants of the node, apart from GPUs
gpus.py     the node's GPUs, and which of them the job gets
files.py    what comes into the work directory, and what is kept of it
place.py    the container it runs in, and whether its GPUs compute there
plan.py     all of that as the command line of one `gpuctl run`
signals.py  what is sent to us goes to the supervisor
outcome.py  the report: the supervisor's, completed; or that of a job that never started
whole.py    the steps in order
"""
