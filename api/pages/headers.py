"""What browsers are told about every page: take nothing from elsewhere, run nothing inline."""

from flask import Response

_SOURCES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
POLICY = "; ".join(f"{what} {sources}" for what, sources in _SOURCES.items())
"""Content-Security-Policy (W3C CSP Level 3).  ``data:`` is for the icons inside Bootstrap's CSS."""


def add_headers(answer: Response) -> Response:
    """Add the headers to an answer; an ``after_request`` function."""
    headers = answer.headers
    headers["Content-Security-Policy"] = POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    # Pages show what is nobody else's business; stylesheets and scripts may be kept.
    if answer.mimetype in ("text/html", "application/json"):
        headers["Cache-Control"] = "no-store"
    return answer
