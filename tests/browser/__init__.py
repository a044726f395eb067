"""People in a real browser, and a client that runs in one.

Needs Chromium, and npm for that client; where one of them is missing its tests are skipped, and the end of the run says
so.
"""
