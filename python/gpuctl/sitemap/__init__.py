"""What a broker is told about this node: JAliEn's SiteMap, with GPUs and leases.

    from gpuctl.sitemap import sitemap
    print(json.dumps(sitemap()))

The keys are those of docs/schema/sitemap.json. JAliEn's keep its spelling and its units (Disk is in
KiB); gpuctl's own are snake_case with the unit in the name. null is what nobody told.

slot.py      from the environment: site, CE, TTL, users, partition, close storage
machine.py   from the machine and its slot: cores, memory, disk, platform
software.py  CVMFS: its revision, and the platforms whose packages this machine can run
gpus.py      from the inventory and the ledger: GPUs, the flat scalars, leases
whole.py     all of it, in order
"""

from __future__ import annotations

from gpuctl.sitemap.whole import sitemap

__all__ = ["sitemap"]
