"""The page of a load's report: one HTML file that needs neither network nor scripts, light and dark, and that prints.

`python -m load.page REPORT.json` makes it again from the JSON.
"""
