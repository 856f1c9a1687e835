"""A suite of cases: its file, each case done, all of them in processes beside each other."""
