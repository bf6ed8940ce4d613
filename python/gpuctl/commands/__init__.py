"""The verbs of the command line that are written in Python: `gpuctl-VERB` runs VERB.main."""
