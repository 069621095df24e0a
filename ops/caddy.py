"""Caddy in front: TLS with a public certificate for a domain, or with an authority of our own in a
local network, because browsers give camera and microphone to https pages only.
"""

import asyncio
import shutil
import sys
from pathlib import Path

from ops.children import Cannot, Child, clean_env
from ops.users import owned_file, owned_folder, reachable, server_user
from storage.settings import Settings

_PRIVILEGED = 1024
_HTTPS = 443


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
    argv: tuple[str, ...] = (str(program), "run", "--adapter", "caddyfile", "--config", str(config))
    user = uid
    if uid is not None and settings.https_port < _PRIVILEGED:
        # Ports below 1024 without being root: one capability survives the change of user.
        user = None
        argv = (
            *("setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"),
            *("--inh-caps", "-all,+net_bind_service", "--ambient-caps", "+net_bind_service"),
            *("--bounding-set", "-all,+net_bind_service", "--pdeathsig", "TERM", *argv),
        )

    async def ready() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", settings.https_port)
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
    if settings.https_port != _HTTPS:
        options.append("auto_https disable_redirects")
    if settings.lan:
        options += ["local_certs", "skip_install_trust"]
    site = [
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
    return (
        "{\n" + "".join(f"\t{line}\n" for line in options) + "}\n"
        f"{sites} {{\n" + "".join(f"\t{line}\n" for line in site) + "}\n"
    )


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
