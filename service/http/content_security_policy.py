"""What a browser lets the service's pages load and do (Content Security Policy, level 3)."""


def page_policy(*, scripts: str = "", styles: str = "", images: str = "") -> dict[str, str]:
    """The header of a page that loads this service's own files and talks to it alone.

    Args:
        scripts, styles, images: further sources, as the policy's syntax has them.
    """
    sources = {
        "default-src": "'none'",
        "script-src": f"'self' {scripts}",
        "style-src": f"'self' {styles}",
        "img-src": f"'self' data: {images}",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    policy = "; ".join(f"{name} {allowed}".rstrip() for name, allowed in sources.items())
    return {"Content-Security-Policy": policy}
