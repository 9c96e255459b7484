"""Who may use the service: the settings of it, and on which addresses it refuses to start."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PublicFormat

from order_service.configuration.access_settings import AccessSettings
from order_service.configuration.settings import Settings, load_settings
from order_service.errors import SettingsError
from tests.support.certificates import certificate

SECRET = "a secret of at least thirty-two characters"
TOKENS = {"JWT_KEY": SECRET, "JWT_ISSUER": "https://login.example", "JWT_AUDIENCE": "orders"}
OTHERS = "0.0.0.0:8443"


def load(**environ: str) -> Settings:
    return load_settings(environ, Path("no.env"))


def refusals(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(**environ)
    said = [str(one) for one in caught.value.wrong]
    assert not any(SECRET in line for line in said)
    return said


def test_without_settings_it_is_local() -> None:
    assert load().access == AccessSettings()
    assert not load().access.required


def test_on_an_address_that_others_reach_it_starts_with_authentication_and_tls_only(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    assert load(LISTEN=OTHERS, AUTHENTICATION="required", **tls).listen.host == "0.0.0.0"
    for lacking in ({}, {"AUTHENTICATION": "required"}, tls, {**tls, "AUTHENTICATION": "local"}):
        (line,) = refusals(LISTEN=OTHERS, **lacking)
        assert line.startswith("LISTEN: 0.0.0.0 is not a loopback address")
        assert "AUTHENTICATION=required" in line
        assert "TLS_CERTIFICATE" in line
        assert "TRUSTED_PROXY" in line


def test_behind_a_declared_proxy_it_starts_on_any_address() -> None:
    assert load(LISTEN=OTHERS, TRUSTED_PROXY="10.0.0.7").listen.host == "0.0.0.0"


@pytest.mark.parametrize("host", ["10.0.0.1", "[::]", "orders.example", "192.168.1.5", "169.254.0.1"])
def test_the_line_names_the_setting_that_the_address_stands_in(host: str) -> None:
    (line,) = refusals(BASE_URL=f"http://{host}:8000")
    assert line.startswith("BASE_URL: ")


@pytest.mark.parametrize("listen", ["127.0.0.1:8000", "127.8.8.8:8000", "[::1]:8000", "localhost:8000"])
def test_on_this_machine_alone_nothing_is_asked_for(listen: str) -> None:
    assert not load(LISTEN=listen).access.required


def test_with_a_certificate_the_default_address_is_https(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    assert load(**tls).base_url == "https://127.0.0.1:8000"
    assert load(**tls, ENVIRONMENT="production").base_url == "https://127.0.0.1:443"
    (line,) = refusals(**tls, BASE_URL="http://localhost:8000")
    assert line.startswith("BASE_URL: begins with http://")


def test_certificate_and_key_go_together(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    wrong = certificate(other)
    assert refusals(TLS_CERTIFICATE=tls["TLS_CERTIFICATE"])[0].startswith("TLS_KEY: ")
    assert refusals(TLS_KEY=tls["TLS_KEY"])[0].startswith("TLS_CERTIFICATE: ")
    assert refusals(TLS_CERTIFICATE=tls["TLS_CERTIFICATE"], TLS_KEY=wrong["TLS_KEY"])[0].startswith("TLS_KEY: ")
    assert refusals(TLS_CERTIFICATE=str(tmp_path / "no"), TLS_KEY=tls["TLS_KEY"])[0].startswith("TLS_CERTIFICATE: ")
    locked = certificate(tmp_path, BestAvailableEncryption(b"password"))
    assert refusals(**locked)[0].startswith("TLS_KEY: ")


def test_tokens_need_an_issuer_and_an_audience() -> None:
    tokens = load(**TOKENS).access.tokens
    assert tokens is not None
    assert (tokens.algorithm, tokens.account_claim) == ("HS256", "sub")
    for name in ("JWT_ISSUER", "JWT_AUDIENCE"):
        (line,) = refusals(**{**TOKENS, name: ""})
        assert line.startswith(f"{name}: is empty")


def test_the_algorithm_of_tokens_is_one_of_their_keys_kind(tmp_path: Path) -> None:
    public = tmp_path / "public.pem"
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    public.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    named = {**TOKENS, "JWT_KEY": "", "JWT_PUBLIC_KEY": str(public)}
    tokens = load(**named, JWT_ALGORITHM="ES256").access.tokens
    assert tokens is not None
    assert tokens.key.startswith("-----BEGIN PUBLIC KEY")
    for algorithm, kind in (("", "RSA"), ("RS256", "RSA"), ("EdDSA", "Ed25519"), ("ES512", "P-521")):
        (line,) = refusals(**named, JWT_ALGORITHM=algorithm)
        assert line.startswith(f"JWT_PUBLIC_KEY: {public} is a key on P-256, but {algorithm or 'RS256'} needs a")
        assert kind in line
    assert refusals(**{**TOKENS, "JWT_ALGORITHM": "HS384"})[0].startswith("JWT_KEY: has fewer than the 48 characters")
    for given in (
        {**TOKENS, "JWT_ALGORITHM": "none"},
        {**TOKENS, "JWT_ALGORITHM": "RS256"},
        {**named, "JWT_ALGORITHM": "HS256"},
    ):
        assert refusals(**given)[0].startswith("JWT_ALGORITHM: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTHENTICATION", "none"),
        ("ALLOWED_HOSTS", "https://api"),
        ("ALLOWED_HOSTS", "api:8000"),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "null"),
        ("ALLOWED_ORIGINS", "desk.example.com"),
        ("ALLOWED_ORIGINS", "https://desk.example.com/"),
        ("ALLOWED_ORIGINS", "https://u@desk.example.com"),
        ("JWT_KEY", "short"),
        ("JWT_PUBLIC_KEY", "/nowhere"),
        ("ORDERS_API_KEY", "two words"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    wanted = {"JWT_ISSUER": "i", "JWT_AUDIENCE": "a"} if name.startswith("JWT") else {}
    assert [line.split(":")[0] for line in refusals(**wanted, **{name: value})] == [name]


def test_a_secret_that_is_wrong_is_not_shown() -> None:
    refusals(**{**TOKENS, "JWT_KEY": "a secret", "ORDERS_API_KEY": f"{SECRET} with spaces"})
