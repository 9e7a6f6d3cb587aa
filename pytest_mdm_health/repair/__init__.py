"""The only part that changes a home, and only when it is called: `mdm-health repair` and its verbs.

Read `step.py` first: what a verb promises. `carrying_out.py` does one step so that it can be taken back, `journal.py`
remembers it, `verbs/` has the verbs, `planning.py` makes a plan of a report, and `command.py` is the command line.
Nothing of pytest imports this package.
"""
