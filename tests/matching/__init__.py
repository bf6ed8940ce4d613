"""What the tests of matching share: expressions, jobs, SiteMaps of real kinds of node."""
