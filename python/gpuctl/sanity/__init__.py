"""Prove that GPUs compute, in the very container and fence that the job will get.

demand.py   what is asked of the GPUs: memory, driver, interface, capability
plan.py     which interface for which GPU, and the probe's command line
probe.py    one run of the probe program, read line by line, with a deadline
answer.py   levels and verdicts, and their JSON (docs/schema/sanity.json)
check.py    all of that in order
text.py     the answer for people
"""
