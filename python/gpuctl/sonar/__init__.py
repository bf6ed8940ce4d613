"""Site Sonar: small probes that tell a collector what a node is like.

names.py      what a probe and a constraint may be called
client.py     the collector's HTTP interface, which is JAliEn's; nothing it does can hurt the node
probes.py     where probes are, and whether they may be trusted
runner.py     one probe: a child with a deadline and an environment of its own
rounds.py     a whole round: ask, run, upload, read the constraints
store.py      what a collector keeps (SQLite); rules.py the constraints it makes of it
collector.py  the HTTP side of that
"""
