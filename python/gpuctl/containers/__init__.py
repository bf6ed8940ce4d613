"""In which container a job runs, and what it gets of the host there.

request.py     what a container is wanted for, and the command line that came of it
apptainer.py   that command line for Apptainer and Singularity
podman.py      the same for Podman
bare.py        without a container
entry.py       the few lines of shell that know at start what is not known before
images.py      which image: flag, JobContainer, the platform's, the site's default
exposure.py    the GPUs' nodes, masks and driver libraries, as the core spells them
elf.py         which symbol versions a library wants and has
libraries.py   the host's driver libraries, and whether an image can load them
probe.py       which runtime is there and works, in a child with a deadline
choose.py      all of that together: the container of one job
"""
