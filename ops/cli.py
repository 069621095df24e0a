"""`yanasha`: what an operator types.

Cannot, BadSetting, UnsafeSecret: one sentence on the screen, exit code 1, no traceback.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ops.ask import is_ready
from ops.children import Cannot
from ops.home import read_state, running_pid, sentence
from ops.supervisor import say
from storage.secrets import UnsafeSecret
from storage.settings import BadSetting, Settings

_INTERRUPTED = 130


async def status(settings: Settings, *, as_json: bool) -> int:
    """Show what runs; 1 when nothing does."""
    pid = running_pid(settings.home)
    found: dict[str, Any] = {"running": pid is not None, "home": str(settings.home)}
    if pid is not None:
        found |= read_state(settings.home)
        found["ready"] = await is_ready(settings)
    if as_json:
        say(json.dumps(found, ensure_ascii=False, indent=1))
    elif pid is None:
        say(f"Yanasha is not running in {settings.home}.")
    else:
        answer = "ready" if found["ready"] else "not ready"
        since = found.get("started_at", "?")
        say(f"Yanasha is {answer}, pid {pid}, since {since}, in {settings.home}.")
        for url in found.get("urls", []):
            say(f"  {url}")
        say(f"  {'child':9} {'pid':>7}  {'state':9} {'up since':21} restarts")
        for row in found.get("children", []):
            say(
                f"  {row['name']:9} {row['pid'] or '-':>7}  {row['state']:9} "
                f"{row['up_since'] or '-':21} {row['restarts']}"
            )
    return 0 if pid is not None else 1


def _parser() -> argparse.ArgumentParser:
    def add(name: str, text: str, example: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    parser = argparse.ArgumentParser(
        prog="yanasha",
        description="Remote consultations and lessons on one server of your own.",
        epilog="Settings are environment variables: docs/operations.md has the table.\n\n"
        "example:\n  YANASHA_HOME=~/yanasha yanasha serve --demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = add(
        "serve",
        "start everything and keep it running until Ctrl-C",
        "yanasha serve --lan        # other devices in the local network, see docs/lan.md",
    )
    where = one.add_mutually_exclusive_group()
    where.add_argument(
        "--lan", action="store_true", help="https for the local network, with an own authority"
    )
    where.add_argument("--domain", help="https with a public certificate for this domain name")
    one.add_argument("--demo", action="store_true", help="with demo clinics, schools and people")
    add("migrate", "bring the database's tables up to this version", "yanasha migrate")
    one = add(
        "seed",
        "make the demo clinics, schools and people, and print their passwords",
        "yanasha seed --demo --json | jq '.persons[].login'",
    )
    one.add_argument("--demo", action="store_true", required=True, help="what to make: a demo")
    one.add_argument("--json", action="store_true", help="everything, for programs")
    add(
        "first-administrator",
        "print the address at which the first administrator begins, for an hour and one use",
        "yanasha first-administrator",
    )
    one = add(
        "reset-factors",
        "take away the lost second factors of a person, and print a one-time link",
        "yanasha reset-factors doctor.amina",
    )
    one.add_argument("login", metavar="LOGIN", help="what the person signs in with")
    add("openapi", "print the API's description (OpenAPI 3.1, JSON)", "yanasha openapi > api.json")
    one = add(
        "audit",
        "say whether the audit is whole, or which of its rows is the first wrong one",
        "yanasha audit verify",
    )
    one.add_argument("what", choices=["verify"], help="walk the whole chain; writes nothing")
    _backup_words(add)
    one = add(
        "verify",
        "say whether a document is genuine; needs nothing but it and a public key",
        "yanasha verify certificate-2026-000012.pdf --key clinic.pem",
    )
    one.add_argument("file", metavar="FILE", type=Path, help="PDF, signed JSON, or a QR's text")
    one.add_argument("--key", metavar="PUBLIC", type=Path, required=True, help="public key (PEM)")
    _key_words(add)
    one = add("status", "show what runs, since when, how often restarted", "yanasha status --json")
    one.add_argument("--json", action="store_true", help="for programs")
    return parser


def _key_words(add: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    one = add(
        "keys",
        "rotate: make a new master key and wrap every person's key under it, restartable; "
        "retire: give an organisation a new key to sign documents with",
        "yanasha keys rotate",
    )
    one.add_argument(
        "what", choices=["rotate", "retire"], help="while everything runs; backs nothing up"
    )
    one.add_argument(
        "organisation", metavar="ORGANISATION", nargs="?", help="retire: its name or id"
    )
    one.add_argument("--key", metavar="ID", help="retire: this key, which may be retired already")
    one.add_argument(
        "--compromised-since",
        metavar="TIME",
        help="retire: somebody else may hold the old key since then (2026-03-02T14:00+03:00)",
    )


def _backup_words(add: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    one = add(
        "backup",
        "put database, objects and keys of one point of time, sealed, into a folder or a bucket",
        "yanasha backup /mnt/backups",
    )
    one.add_argument("to", metavar="TO", nargs="?", help="the place; else YANASHA_BACKUPS")
    one.add_argument(
        "--new-recovery-key",
        action="store_true",
        help="make the key that opens backups from now on, and print it once",
    )
    one.add_argument("--keep", type=int, metavar="N", help="delete all but the newest N backups")
    one = add(
        "restore",
        "bring a backup back into an empty YANASHA_HOME, after checking all of it",
        "YANASHA_HOME=/srv/new yanasha restore /mnt/backups --recovery-key key.txt",
    )
    _restore_words(one)
    one.add_argument(
        "--to", metavar="TIME", help="follow the archived log to this time, or to 'latest'"
    )
    one = add(
        "drill",
        "restore into a scratch folder, compare rows, objects and the audit, say pass or fail",
        "yanasha drill restore /mnt/backups --recovery-key key.txt",
    )
    one.add_argument("what", choices=["restore"], help="what is rehearsed")
    _restore_words(one)
    one.add_argument("--to", metavar="TIME", help="as of restore")
    one.add_argument("--scratch", metavar="FOLDER", help="where; else the temporary folder")


def _restore_words(one: argparse.ArgumentParser) -> None:
    one.add_argument("source", metavar="FROM", nargs="?", help="the place; else YANASHA_BACKUPS")
    one.add_argument(
        "--recovery-key", metavar="FILE", help="file with the recovery key; else it is asked for"
    )
    one.add_argument(
        "--erasures", metavar="FILE", help="a copy of the erasure log newer than the place's"
    )


def _run(words: Sequence[str] | None) -> int:
    asked = _parser().parse_args(words)
    if asked.command == "verify":  # where there is no home, and nothing is set
        from ops.verify import verify_file  # noqa: PLC0415 - drivers that others need not load

        return verify_file(asked.file, asked.key)
    settings = Settings.from_env(_environ(asked))
    try:
        if asked.command == "status":
            return asyncio.run(status(settings, as_json=asked.json))
        return asyncio.run(_command(settings, asked))
    except OSError as error:
        raise Cannot(sentence(error, settings.home)) from error


def _environ(asked: argparse.Namespace) -> dict[str, str]:
    """The settings, with what was asked for on the command line."""
    environ = dict(os.environ)
    if asked.command == "serve":
        if asked.lan:
            environ["YANASHA_LAN"] = "1"
        if asked.domain:
            environ["YANASHA_DOMAIN"] = asked.domain
        if asked.demo:  # its people are looked at, and have no phone to show codes
            environ.setdefault("YANASHA_STAFF_SECOND_FACTOR", "offered")
    return environ


async def _command(settings: Settings, asked: argparse.Namespace) -> int:
    from ops import audit, backup, commands, drill, keys, restore  # noqa: PLC0415 - drivers that `status` has no need to load

    match asked.command:
        case "serve":
            await commands.serve(settings, demo=asked.demo)
            code = 0
        case "backup":
            code = await backup.backup(
                settings, asked.to, new_key=asked.new_recovery_key, keep=asked.keep
            )
        case "restore":
            code = await restore.restore(
                settings,
                asked.source,
                to=asked.to,
                key=asked.recovery_key,
                erasures=asked.erasures,
            )
        case "drill":
            code = await drill.drill(
                settings,
                asked.source,
                to=asked.to,
                key=asked.recovery_key,
                erasures=asked.erasures,
                scratch=asked.scratch,
            )
        case "keys" if asked.what == "retire":
            if asked.organisation is None:
                raise Cannot("Say of which organisation: yanasha keys retire ORGANISATION.")
            code = await keys.retire(
                settings, asked.organisation, key=asked.key, since=asked.compromised_since
            )
        case "seed":
            code = await commands.seed_demo(settings, as_json=asked.json)
        case "reset-factors":
            code = await commands.reset_factors(settings, asked.login)
        case _:
            plain = {
                "migrate": commands.migrate,
                "audit": audit.verify_audit,
                "keys": keys.rotate,
                "first-administrator": commands.first_administrator,
                "openapi": commands.openapi,
            }
            code = await plain[asked.command](settings)
    return code


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; 1 and one sentence when it cannot."""
    try:
        return _run(words)
    except (Cannot, BadSetting, UnsafeSecret) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
