"""Caddy in front: TLS with a public certificate for a domain, or with an authority of our own in a
local network, because browsers give camera and microphone to https pages only.
"""

import asyncio
import shutil
import ssl
import sys
from pathlib import Path

from ops.children import Cannot, Child, clean_env
from ops.trust import write_pages
from ops.users import low_ports, owned_file, owned_folder, reachable, server_user
from storage.settings import Settings

_HTTPS = 443
_TRUST_CSP = (
    "\"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\""
)


def caddy_child(settings: Settings) -> Child:
    """Write Caddy's configuration and give its row of the supervisor's table. Raises Cannot."""
    beside = Path(sys.executable).parent / "caddy"
    found = str(beside) if beside.exists() else shutil.which("caddy")
    if found is None:
        raise Cannot("The program `caddy` is not installed: run 'make run' to install it again.")
    # Not the stores' user: who breaks into the front door must not find the data behind it.
    uid = server_user(settings.home, "caddy")
    program = reachable(Path(found), [Path(found)], settings.home, uid)
    folder = owned_folder(settings.home / "caddy", uid)
    config = owned_file(folder / "Caddyfile", caddyfile(settings, folder).encode(), uid)
    ports = [settings.https_port, *([settings.plain_port] if settings.lan else [])]
    command = (str(program), "run", "--adapter", "caddyfile", "--config", str(config))
    argv, user = low_ports(command, uid, ports)

    async def ready() -> None:
        for port in ports:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
        if settings.lan:
            # Only now is there an authority: Caddy makes it before it listens.
            await asyncio.to_thread(write_pages, settings, folder, uid)
            # The certificate itself comes a moment after that: until then every https page fails.
            unchecked = ssl.create_default_context()
            unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
            _, writer = await asyncio.open_connection(
                "127.0.0.1", settings.https_port, ssl=unchecked, server_hostname="localhost"
            )
            writer.close()
            await writer.wait_closed()

    return Child(
        name="caddy",
        argv=argv,
        env=clean_env(settings.home, HOME=str(folder), XDG_DATA_HOME=str(folder / "data")),
        ready=ready,
        user=user,
        cwd=folder,
    )


def caddyfile(settings: Settings, folder: Path) -> str:
    """Give Caddy's configuration: our origins, nothing else, no admin port, no access log."""
    sites = ", ".join(origin for origin in settings.origins if origin.startswith("https://"))
    options = [
        "admin off",
        "persist_config off",
        *("storage file_system {", f"\troot {_quoted(folder / 'data')}", "}"),
        *("log {", "\tformat console", "\tlevel WARN", "}"),
        *("servers {", "\tprotocols h1 h2", "}"),
        f"https_port {settings.https_port}",
    ]
    if settings.lan or settings.https_port != _HTTPS:
        options.append("auto_https disable_redirects")
    if settings.lan:
        options += ["local_certs", "skip_install_trust"]
        options += ["pki {", "\tca local {", "\t\tname Yanasha", "\t\troot_cn Yanasha", "\t}", "}"]
    hosts = settings.https_hosts
    site = [
        # The one left out is where TURN listens at the same port; all of IPv6 is the pages'.
        *([f"bind {' '.join(hosts)} tcp6/[::]"] if hosts != ("",) else []),
        *(_trust(folder) if settings.lan else []),
        f"reverse_proxy 127.0.0.1:{settings.http_port} {{",
        "\tflush_interval -1",
        "\ttransport http {",
        "\t\tdial_timeout 2s",
        "\t\tresponse_header_timeout 60s",
        "\t}",
        "}",
    ]
    if settings.domain is not None:
        site.append('header Strict-Transport-Security "max-age=31536000"')
    blocks = [("", options), (sites, site)]
    if settings.lan:
        away = f"\tredir https://{{host}}:{settings.https_port}{{uri}} 307"
        plain = [*_trust(folder), "handle {", away, "}"]
        blocks.append((f"http://:{settings.plain_port}", plain))
    return "".join(
        f"{name} {{\n".lstrip() + "".join(f"\t{line}\n" for line in lines) + "}\n"
        for name, lines in blocks
    )


def _trust(folder: Path) -> list[str]:
    """Give the lines that serve the pages of ops/trust.py, /trust in the browser's language."""
    return [
        "@trust path /trust /trust/*",
        "handle @trust {",
        "\troute {",
        f"\t\troot * {_quoted(folder / 'trust')}",
        f"\t\theader Content-Security-Policy {_TRUST_CSP}",
        "\t\theader X-Content-Type-Options nosniff",
        "\t\theader Referrer-Policy no-referrer",
        "\t\theader Cache-Control no-cache",
        "\t\theader Vary Accept-Language",
        "\t\theader /trust/yanasha.crt Content-Type application/x-x509-ca-cert",
        "\t\turi strip_prefix /trust",
        *(
            line
            for language in ("tt", "en")
            for line in (
                f"\t\t@{language} {{",
                '\t\t\tpath "" /',
                f"\t\t\theader_regexp Accept-Language (?i)^{language}",
                "\t\t}",
                f"\t\trewrite @{language} /{language}.html",
            )
        ),
        '\t\t@first path "" /',
        "\t\trewrite @first /ru.html",
        "\t\ttry_files {path} {path}.html",
        "\t\tfile_server",
        "\t}",
        "}",
    ]


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
