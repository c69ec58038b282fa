"""The names that the device answers to.

A page of another site reaches it by a name of that site's own which leads here: by DNS rebinding,
or on the access point, whose DNS leads all names here. To a browser both are then one site, so no
Origin tells them apart; the Host does.
"""


def host_name(iam):
    """The device's name as a host name (RFC 1123 section 2.1): letters, digits and hyphens."""
    name = "".join([c if c.isalpha() or c.isdigit() else "-" for c in iam.lower()])
    return name.strip("-") or "device"


def is_own(host, config):
    """Whether a request with this Host (RFC 9110 section 7.2) is meant for the device.

    Own are address literals, which no DNS leads anywhere, `localhost`, the device's name, as it is
    and as a host name, with and without `.local`, and those of http/names.

    Args:
        host: the field's value; None, of an HTTP/1.0 client and never of a browser, is own.
        config: the `config.Config`.
    """
    if host is None:
        return True
    name = host.lower()
    if name.startswith("["):
        return True  # IPv6
    name = name.partition(":")[0]
    if name.endswith("."):
        name = name[:-1]
    parts = name.split(".")
    if len(parts) == 4 and all([part.isdigit() for part in parts]):
        return True  # IPv4
    own = config.get("device/iam").lower()
    if name in ("localhost", own, own + ".local", config.get("http/ip").lower()):
        return True
    short = name[:-6] if name.endswith(".local") else name
    if short == host_name(own):
        return True
    return name in [other.lower() for other in config.get("http/names")]
