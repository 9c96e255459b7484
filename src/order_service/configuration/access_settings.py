"""The settings of who may use the service, checked."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

ACCESS_NAMES = (
    "AUTHENTICATION",
    "ALLOWED_HOSTS",
    "ALLOWED_ORIGINS",
    "TLS_CERTIFICATE",
    "TLS_KEY",
    "JWT_KEY",
    "JWT_PUBLIC_KEY",
    "JWT_ALGORITHM",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_ACCOUNT_CLAIM",
    "ORDERS_API_KEY",
)

LOCAL, REQUIRED = "local", "required"
ACCOUNT_CLAIM = "sub"
_SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")
_PUBLIC_ALGORITHMS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "an RSA key"),
    "ES256": "a key on P-256",
    "ES384": "a key on P-384",
    "ES512": "a key on P-521",
    "EdDSA": "an Ed25519 key",
}
"""With the kind of key that each needs (RFC 7518, 3.1; RFC 8037)."""

Refuse = Callable[[str, str], None]
"""Takes a setting's name and what is wrong with it."""


class TokenRules(Struct, frozen=True):
    """What a JSON Web Token has to have (RFC 7519). `key` is a secret, or a public key as PEM."""

    key: str
    algorithm: str
    issuer: str
    audience: str
    account_claim: str = ACCOUNT_CLAIM


class AccessSettings(Struct, frozen=True, kw_only=True):
    """`required`: nobody is served without a credential. `api_key` is what our own commands show."""

    required: bool = False
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tokens: TokenRules | None = None
    api_key: str = ""

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """The files of the certificate and of its key, where https is served."""
        return None if self.tls_certificate is None or self.tls_key is None else (self.tls_certificate, self.tls_key)


def access_settings(raw: Mapping[str, str], refuse: Refuse) -> AccessSettings:
    """What is wrong goes to `refuse`; in its place stands what lets nobody in."""
    certificate, key = _tls(raw, refuse)
    return AccessSettings(
        required=_required(raw, refuse),
        allowed_hosts=_hosts(raw["ALLOWED_HOSTS"], refuse),
        allowed_origins=_origins(raw["ALLOWED_ORIGINS"], refuse),
        tls_certificate=certificate,
        tls_key=key,
        tokens=_tokens(raw, refuse),
        api_key=_api_key(raw["ORDERS_API_KEY"], refuse),
    )


def require_safe(name: str, host: str, access: AccessSettings, trusted_proxy: str, refuse: Refuse) -> None:
    """On an address that others reach, nobody is to be served whom nobody has let in. `name` is the setting that the
    host stands in."""
    if is_loopback(host) or trusted_proxy or (access.required and access.tls_certificate is not None):
        return
    refuse(
        name,
        f"{host} is not a loopback address: others are served only with AUTHENTICATION=required and TLS_CERTIFICATE, or"
        " through a proxy that TRUSTED_PROXY names. Without them use 127.0.0.1, ::1 or localhost",
    )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _required(raw: Mapping[str, str], refuse: Refuse) -> bool:
    given = raw["AUTHENTICATION"] or LOCAL
    if given not in (LOCAL, REQUIRED):
        refuse("AUTHENTICATION", f"{given!r} is none of {LOCAL}, {REQUIRED}")
    return given != LOCAL


def _listed(given: str) -> tuple[str, ...]:
    return tuple(one.strip().lower() for one in given.split(",") if one.strip())


def _hosts(given: str, refuse: Refuse) -> tuple[str, ...]:
    hosts = _listed(given)
    for host in hosts:
        if any(character in host for character in "/@ *") or (":" in host and not _is_address(host)):
            refuse("ALLOWED_HOSTS", f"{host!r} is not a host's name or address without a port")
    return tuple(host.strip("[]") for host in hosts)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _origins(given: str, refuse: Refuse) -> tuple[str, ...]:
    origins = _listed(given)
    for origin in origins:
        try:
            parts = urlsplit(origin)
            usable = (
                parts.scheme in ("http", "https") and f"{parts.scheme}://{parts.netloc}" == origin and parts.port != 0
            )
        except ValueError:
            usable = False
        if not usable or "@" in origin or not parts.hostname:
            refuse("ALLOWED_ORIGINS", f"{origin!r} is not an origin like https://desk.example.com")
    return origins


def _tls(raw: Mapping[str, str], refuse: Refuse) -> tuple[Path | None, Path | None]:
    certificate, key = raw["TLS_CERTIFICATE"], raw["TLS_KEY"]
    if not certificate and not key:
        return None, None
    if not certificate or not key:
        refuse(*(("TLS_KEY", "is empty, but TLS_CERTIFICATE is not") if certificate else _NO_CERTIFICATE))
        return None, None
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        name = "TLS_CERTIFICATE" if not Path(certificate).is_file() else "TLS_KEY"
        refuse(name, f"certificate and key cannot be used: {error.strerror if isinstance(error, OSError) else error}")
        return None, None
    return Path(certificate).absolute(), Path(key).absolute()


_NO_CERTIFICATE = ("TLS_CERTIFICATE", "is empty, but TLS_KEY is not")


def _no_password() -> str:
    raise ValueError("the key has a password; give one without")


def _tokens(raw: Mapping[str, str], refuse: Refuse) -> TokenRules | None:
    secret, file = raw["JWT_KEY"], raw["JWT_PUBLIC_KEY"]
    if not secret and not file:
        return None
    if secret and file:
        refuse("JWT_PUBLIC_KEY", "is set, and so is JWT_KEY: tokens are signed with one key")
    allowed = _SECRET_ALGORITHMS if secret else tuple(_PUBLIC_ALGORITHMS)
    algorithm = raw["JWT_ALGORITHM"] or allowed[0]
    if algorithm not in allowed:
        refuse("JWT_ALGORITHM", f"{algorithm!r} is none of {', '.join(allowed)}")
    elif secret and len(secret) < (least := int(algorithm.removeprefix("HS")) // 8):
        refuse("JWT_KEY", f"has fewer than the {least} characters that {algorithm} wants (RFC 7518, 3.2)")
    for name in ("JWT_ISSUER", "JWT_AUDIENCE"):
        if not raw[name]:
            refuse(name, "is empty: tokens that were made for others would be taken")
    return TokenRules(
        key=secret or _public_key(file, algorithm, refuse),
        algorithm=algorithm,
        issuer=raw["JWT_ISSUER"],
        audience=raw["JWT_AUDIENCE"],
        account_claim=raw["JWT_ACCOUNT_CLAIM"] or ACCOUNT_CLAIM,
    )


def _public_key(file: str, algorithm: str, refuse: Refuse) -> str:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        text = Path(file).read_text(encoding="ascii")
        kind = _kind_of(load_pem_public_key(text.encode()))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "is no public key as PEM"
        refuse("JWT_PUBLIC_KEY", f"{file}: {why}")
        return ""
    if kind != _PUBLIC_ALGORITHMS.get(algorithm, kind):
        refuse("JWT_PUBLIC_KEY", f"{file} is {kind}, but {algorithm} needs {_PUBLIC_ALGORITHMS[algorithm]}")
    return text


def _kind_of(key: object) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    match key:
        case rsa.RSAPublicKey():
            return "an RSA key"
        case ed25519.Ed25519PublicKey():
            return "an Ed25519 key"
        case ec.EllipticCurvePublicKey():
            return f"a key on {key.curve.name.replace('secp', 'P-').removesuffix('r1')}"
        case _:
            return "a key of another kind"


def _api_key(given: str, refuse: Refuse) -> str:
    """Never shows the value; a token may stand here too."""
    if given and not all("!" <= character <= "~" for character in given):
        refuse("ORDERS_API_KEY", "is neither a key nor a token: it has other characters")
    return given
