#!/usr/bin/env python3
"""Makes it/golden.json: the formats once more, in another language and without a line of the product's code.

Run it only to add a format or a new version of one. A known answer that changes is a broken format.
Needs Python 3.11 and `cryptography`.
"""
import base64, hashlib, hmac, json, pathlib, struct, uuid
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
out = {}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def suffix(u):
    return "".join(ALPHABET[(u.int >> (i * 5)) & 31] for i in reversed(range(26)))


def tid(prefix, u):
    return f"{prefix}_{suffix(u)}"


def part(data):
    return struct.pack(">Q", len(data)) + data


def mac(key, *parts):
    return hmac.new(key, b"".join(part(p) for p in parts), hashlib.sha256).digest()


def secret_text(secret):
    bits = int.from_bytes(secret, "big") << 4
    return "".join(ALPHABET[(bits >> (i * 5)) & 31] for i in reversed(range(52)))


def seq(start, n=32):
    return bytes((start + i) % 256 for i in range(n))


def u(n):
    return uuid.UUID(f"01890000-0000-7000-8000-{n:012x}")


TENANT, STREAM, PERSON, COMMAND, CORR = u(1), u(2), u(3), u(4), u(5)
REQUEST, APPROVER, ENDPOINT, GROUP, KEYID, JTI = u(6), u(7), u(8), u(9), u(10), u(11)
T0, T1 = "2026-03-02T09:00:00.000Z", "2026-03-02T10:00:00.000Z"
T0S = 1772442000

# Merkle tree: the leaves of the test vectors of RFC 6962's reference implementation.
leaves = [bytes.fromhex(h) for h in ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]]


def root(hashed):
    if not hashed:
        return hashlib.sha256(b"").digest()
    if len(hashed) == 1:
        return hashed[0]
    k = 1
    while k * 2 < len(hashed):
        k *= 2
    return hashlib.sha256(b"\x01" + root(hashed[:k]) + root(hashed[k:])).digest()


hashed = [hashlib.sha256(b"\x00" + l).digest() for l in leaves]
out["roots"] = [root(hashed[:n]).hex() for n in range(9)]

# Sealing.
person_key = seq(0)
nonce = seq(100, 12)
context = (b"portcullis/seal/1\n" + TENANT.bytes + part(b"request") + part(b"data") + STREAM.bytes + struct.pack(">Q", 3))
k = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=context).derive(person_key)
aad = context + PERSON.bytes + struct.pack(">I", 2)
plain = canonical({"justification": "Zahlungslauf für März"})
sealed = {
    "person": tid("psn", PERSON), "kv": 2, "commitment": b64(hashlib.sha256(k).digest()), "nonce": b64(nonce),
    "ciphertext": b64(AESGCM(k).encrypt(nonce, plain, aad)),
}
out["sealKey"] = k.hex()
out["sealed"] = canonical(sealed).decode()

# The event.
event = {
    "v": 1, "tenant": tid("ten", TENANT), "stream": {"type": "request", "id": str(STREAM), "version": 3},
    "type": "RequestSubmitted", "schema": 1, "commandId": str(COMMAND), "occurredAt": T0, "recordedAt": T1,
    "actor": {"kind": "endpoint", "id": tid("end", ENDPOINT), "method": "agent_token"},
    "meta": {"correlation": str(CORR), "causation": 41, "traceparent": None, "address": "192.0.2.7"},
    "data": {"risk": 50, "é": "\u20ac\n", "zero": 0, "negative": -9007199254740991, "largest": 9007199254740991},
    "sealed": sealed,
}
body = canonical(event)
out["event"] = body.decode()
out["leaf"] = hashlib.sha256(b"\x00" + body).hexdigest()

# Wrapping.
wrapped = b"\x01" + nonce + AESGCM(seq(32)).encrypt(nonce, seq(64), b"tenant data key")
out["wrapped"] = wrapped.hex()

# MACs.
mk = seq(200)
out["macClaim"] = mac(mk, b"portcullis/claim/1", b"user.email", b"alice@example.test").hex()
out["macFingerprint"] = mac(mk, b"portcullis/fingerprint/1", b"approve", b"{}").hex()

# Credentials.
secret = seq(7)
out["credential"] = f"pct_key_{suffix(TENANT)}_{suffix(KEYID)}_{secret_text(secret)}"
out["credentialHash"] = hashlib.sha256(secret).hexdigest()
out["platformCredential"] = f"pct_plt_{suffix(KEYID)}_{secret_text(secret)}"
link = mac(mk, b"portcullis/link/1", b"decide", REQUEST.bytes, APPROVER.bytes)
out["mailLink"] = f"pct_link_{suffix(TENANT)}_{suffix(REQUEST)}{suffix(APPROVER)}_{secret_text(link)}"

# The digest of an action.
action = {
    "tenant": tid("ten", TENANT), "endpoint": tid("end", ENDPOINT), "user": "CORP\\alice", "type": "privilege_elevation",
    "application": {"path": "C:\\Users\\alice\\Downloads\\Setup.exe", "sha256": "9f" * 32, "publisher": "CN=Contoso", "certificate": None},
    "commandLine": "Setup.exe  /S", "file": None, "cwd": "C:\\Users\\alice",
}
digest = hashlib.sha256(b"portcullis/action/1\n" + canonical(action)).digest()
out["digest"] = digest.hex()
out["macDigest"] = mac(mk, b"portcullis/digest/1", digest).hex()

# Signatures. The seed is the one of RFC 8037, appendix A.1.
key = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
public = b64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
kid = b64(hashlib.sha256(canonical({"crv": "Ed25519", "kty": "OKP", "x": public})).digest())
out["kid"] = kid


def sign(typ, claims, name=kid):
    head = b64(canonical({"alg": "EdDSA", "kid": name, "typ": typ})) + "." + b64(canonical(claims))
    return head + "." + b64(key.sign(head.encode()))


out["keySet"] = sign("portcullis-keyset+jws", {
    "tenant": tid("ten", TENANT), "version": 3,
    "keys": [{"kid": kid, "purpose": "snapshot", "public": public, "notBefore": None, "notAfter": T1}]})
out["statement"] = sign("portcullis-snapshot+jws", {
    "tenant": tid("ten", TENANT), "group": tid("dgr", GROUP), "epoch": 1, "version": 42,
    "sha256": hashlib.sha256(b"{}").hexdigest(), "issuedAt": T0, "expiresAt": T1})
out["grant"] = sign("portcullis-grant+jws", {
    "tenant": tid("ten", TENANT), "request": tid("req", REQUEST), "digest": digest.hex(), "endpoint": tid("end", ENDPOINT),
    "user": "CORP\\alice", "person": tid("psn", PERSON), "issuedAt": T0, "notAfter": T1, "uses": None,
    "satisfies": ["justification", "approval"], "mfaPending": False, "narrowed": True})
out["mfaProof"] = sign("portcullis-mfa+jws", {
    "tenant": tid("ten", TENANT), "id": str(JTI), "identity": tid("usr", APPROVER), "endpoint": tid("end", ENDPOINT),
    "endpointUser": "CORP\\alice", "actionType": "file_access", "digest": None, "issuedAt": T0, "expiresAt": T1})
out["accessToken"] = sign("at+jwt", {
    "iss": "https://pam.example.test", "aud": "portcullis/agent", "sub": tid("end", ENDPOINT), "tenant": tid("ten", TENANT),
    "group": tid("dgr", GROUP), "sid": None, "jti": str(JTI), "iat": T0S, "exp": T0S + 600, "scope": ""})
out["assertion"] = sign("portcullis-assertion+jwt", {
    "iss": tid("end", ENDPOINT), "sub": tid("end", ENDPOINT), "aud": "https://pam.example.test/agent/v1/token",
    "jti": str(JTI), "iat": T0S, "exp": T0S + 60}, tid("ten", TENANT) + "/" + tid("end", ENDPOINT))
out["registration"] = sign("portcullis-registration+jws", {
    "aud": "https://pam.example.test", "machine": "8f1c", "token": hashlib.sha256(b"pct_reg_x").hexdigest(), "iat": T0S})

# Command ids.
out["commandOutside"] = str(uuid.UUID(bytes=hashlib.sha1(
    uuid.UUID("6d1f0d5c-6e0b-5b0a-9a51-0a3c8a1d7e01").bytes + TENANT.bytes + part(b"usr_x") + part(b"approve") + part(b"key-1")
    + struct.pack(">I", 2)).digest()[:16], version=5))
out["commandDerived"] = str(uuid.UUID(bytes=hashlib.sha1(
    uuid.UUID("6d1f0d5c-6e0b-5b0a-9a51-0a3c8a1d7e02").bytes + TENANT.bytes + struct.pack(">QI", 77, 1) + b"escalate").digest()[:16], version=5))

path = pathlib.Path(__file__).parent / "it" / "golden.json"
path.write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")
