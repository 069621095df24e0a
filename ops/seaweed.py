"""The embedded object store: SeaweedFS's `weed mini`, closed to everybody but our S3 key.

Its inner gRPC is behind mutual TLS, its inner HTTP is off or asks for signed tokens, it listens on
loopback only, sends no telemetry, and every write reaches the disk before it is acknowledged.
"""

import asyncio
import contextlib
import datetime as dt
import io
import ipaddress
import json
import shutil
import sys
from pathlib import Path

import minio
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ops.children import Cannot, Child, clean_env, run_as
from ops.users import owned_file, owned_folder, reachable
from storage.addresses import port_is_free
from storage.secrets import secret
from storage.settings import Settings

_ROLES = ("MASTER", "VOLUME", "FILER", "S3", "CLIENT", "ADMIN", "WORKER")
_JWT = ("SIGNING_KEY", "SIGNING_READ_KEY", "FILER_SIGNING_KEY", "FILER_SIGNING_READ_KEY")
# It names a socket in the system's temporary folder after each gRPC port, whatever TMPDIR says.
_SOCKETS = Path("/tmp")  # noqa: S108
_YEARS_20 = dt.timedelta(days=20 * 365)
_TRY_S = 3.0


def weed_program() -> Path:
    """Give the `weed` program beside our Python, or the one in PATH. Raises Cannot."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise Cannot(
            "The SeaweedFS program `weed` is not installed: run 'make run', or set S3_ENDPOINT."
        )
    return Path(found)


class Seaweed:
    """The embedded object store of one installation; prepare, then start `child`."""

    def __init__(self, settings: Settings, uid: int | None, *, throw_away: bool = False) -> None:
        self.settings = settings
        self.uid = uid
        self.data = settings.home / "objects"
        self.conf = settings.state_dir / "seaweed"
        self.throw_away = throw_away
        program = weed_program()
        self.weed = reachable(program, [program], settings.home, uid)
        self.synced = self.conf / "fsync"

    def prepare(self) -> None:
        """Write keys and certificate at first start; refuse taken ports."""
        fresh = not self.data.exists()
        ports = self.settings.object_ports
        taken = [port for port in ports.values() if not port_is_free("127.0.0.1", port)]
        if taken and fresh:  # nothing depends on the drawn numbers yet
            (self.settings.state_dir / "ports.json").unlink()
        elif taken:
            raise Cannot(
                f"Port {taken[0]} of the object store is taken by another program: stop that one."
            )
        owned_folder(self.data, self.uid)
        owned_folder(self.conf, self.uid)
        key = {
            "accessKey": self.settings.s3_access_key,
            "secretKey": self.settings.s3_secret_key,
        }
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        identities = [{"name": "yanasha", "credentials": [key], "actions": actions}]
        self._write("s3.json", json.dumps({"identities": identities}).encode())
        if not (self.conf / "node.key").exists():
            certificate, private = _certificate()
            self._write("node.crt", certificate)
            self._write("node.key", private)

    def _write(self, name: str, content: bytes) -> None:
        owned_file(self.conf / name, content, self.uid)

    def env(self) -> dict[str, str]:
        """Keys and certificates for the server and for its shell."""
        home = self.settings.home
        env = clean_env(
            home,
            HOME=str(self.conf),
            GOMEMLIMIT="1GiB",
            WEED_GRPC_CA=str(self.conf / "node.crt"),
            WEED_S3_SSE_KEK=secret(home, "s3-sse").hex(),
        )
        for role in _ROLES:
            env[f"WEED_GRPC_{role}_CERT"] = str(self.conf / "node.crt")
            env[f"WEED_GRPC_{role}_KEY"] = str(self.conf / "node.key")
        for name in _JWT:
            value = secret(home, f"s3-jwt-{name.lower().replace('_', '-')}").hex()
            env[f"WEED_JWT_{name}"] = value
        return env

    def child(self) -> Child:
        """The server as a row of the supervisor's table."""
        ports = self.settings.object_ports
        sockets = self.settings.run_dir / "s3"
        options = {
            "dir": self.data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            **{
                f"{role}.port{kind}": ports[f"{role}{kind}"]
                for role in ("master", "volume", "filer", "s3", "admin")
                for kind in ("", ".grpc")
            },
            "disableHttp": "true",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 1024,
            "webdav": "false",
            "admin.ui": "false",
            "filer.exposeDirectoryData": "false",
            "filer.disableDirListing": "true",
            "filer.allowedOrigins": "http://127.0.0.1",
            "filer.localSocket": sockets / "filer.sock",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.config": self.conf / "s3.json",
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
            "s3.allowDeleteBucketNotEmpty": "false",
            "s3.allowedOrigins": "http://127.0.0.1",
            "s3.localSocket": sockets / "s3.sock",
            "s3.cacheCapacityMB": 32,
        }
        return Child(
            name="objects",
            argv=(
                str(self.weed),
                "-logtostderr=true",  # on the pipe instead of files in /tmp
                "mini",
                *(f"-{name}={value}" for name, value in options.items()),
            ),
            env=self.env(),
            ready=self.ready,
            before=self.forget_dead,
            after=self.forget_dead,
            user=self.uid,
            cwd=self.conf,
            grace_s=2.5,
            slow_to_stop=True,  # 2 s, also when idle
            chatter=r"I\d{4} |  |\s*$|[╔║╚]",
        )

    def forget_dead(self) -> None:
        """Delete remembered flags (they would win over ours) and sockets of an earlier process."""
        (self.data / "mini.options").unlink(missing_ok=True)
        owned_folder(self.settings.run_dir / "s3", self.uid)
        ports = self.settings.object_ports
        left = [
            _SOCKETS / f"seaweedfs-{role}-grpc-{ports[role + '.grpc']}.sock"
            for role in ("master", "volume", "filer", "s3", "admin")
        ]
        for path in [*left, *(self.settings.run_dir / "s3").glob("*.sock")]:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                path.unlink()

    async def ready(self) -> None:
        """Store one object for real, and have the bucket and fsync on."""
        # Cheap until the port is open: the client and its first request cost 50 ms of CPU.
        _, writer = await asyncio.open_connection("127.0.0.1", self.settings.object_ports["s3"])
        writer.close()
        await asyncio.to_thread(self._put)
        if not self.throw_away and not self.synced.exists():
            await self._fsync()
            self._write("fsync", b"on\n")

    def _put(self) -> None:
        client = minio.Minio(
            f"127.0.0.1:{self.settings.object_ports['s3']}",
            self.settings.s3_access_key,
            self.settings.s3_secret_key,
            secure=False,
            region=self.settings.s3_region,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(total=_TRY_S), retries=urllib3.Retry(0)
            ),
        )
        bucket = self.settings.s3_bucket
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
        now = dt.datetime.now(dt.UTC).isoformat().encode()
        source = io.BytesIO(now)
        client.put_object(bucket, ".ready", source, len(now))

    async def _fsync(self) -> None:
        """Switch on fsync for every bucket; the filer keeps this setting."""
        ports = self.settings.object_ports
        done = await asyncio.to_thread(
            run_as,
            self.uid,
            self.weed,
            "shell",
            f"-master=127.0.0.1:{ports['master']}.{ports['master.grpc']}",
            env=self.env(),
            cwd=self.conf,
            typed="fs.configure -locationPrefix=/buckets/ -fsync -apply\nfs.configure\nexit\n",
            timeout_s=10,
        )
        if '"fsync":true' not in done.stdout.replace(" ", ""):
            msg = "fsync could not be switched on: " + done.stdout[-500:]
            raise RuntimeError(msg)


def _certificate() -> tuple[bytes, bytes]:
    """Make one self-signed certificate that is authority, server and client: PEM, key PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "yanasha objects")])
    now = dt.datetime.now(dt.UTC)
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + _YEARS_20)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
