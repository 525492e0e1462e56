"""What all pages share: layout, two languages, security headers, charts; no page of its own.

The office's workbench and the server's console are applications of their own, for other people on
other machines. :func:`api.pages.site.dress` gives a Flask application their common clothes.
Nothing here knows of records, rounds or the access log.
"""
