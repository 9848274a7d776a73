"""The page of one run, report.html: everything about it in one file. (:mod:`padim.report` compares many runs.)"""
