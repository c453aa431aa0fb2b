"""A ClawMesh node's side of the wire protocol v1, written from the description of the protocol alone: JSON text frames over
a WebSocket, and the three-message handshake. It shares no code with the product."""

import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import time
import uuid
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mesh_id(name):
    return hashlib.sha256(b"clawmesh|mesh|" + name.encode()).hexdigest()


class Identity:
    def __init__(self, seed):
        self.key = Ed25519PrivateKey.from_private_bytes(seed)
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public_key = b64url(raw)
        self.device_id = hashlib.sha256(raw).hexdigest()

    def sign(self, text):
        return b64url(self.key.sign(text.encode()))


def signed_string(device_id, signed_at_ms, nonce, mesh, role):
    # encodeURIComponent leaves these and letters, digits as they are.
    parts = [quote(part or "", safe="!'()*~-_.") for part in (nonce, mesh, role)]
    return "|".join(["mesh.connect", "v2", device_id, str(signed_at_ms), *parts])


def secured(plain, pin):
    """The connection over TLS, with whoever has the certificate of this fingerprint and with nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    over_tls = context.wrap_socket(plain)
    shown = hashlib.sha256(over_tls.getpeercert(binary_form=True)).hexdigest()
    if shown != pin:
        over_tls.close()
        raise ConnectionError(f"another certificate than the pinned one: {shown}")
    return over_tls


class Node:
    """One connection. Calls wait for their answers; events that come meanwhile are kept."""

    def __init__(self, address, timeout_s=20, pin=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout_s)
        if pin:
            self.socket = secured(self.socket, pin)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            (
                f"GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._exactly(1)
        assert head.startswith(b"HTTP/1.1 101"), head
        self.events = []

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError("the connection has ended")
            data += part
        return data

    def _send_frame(self, opcode, payload):
        mask, size = os.urandom(4), len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.socket.sendall(head + mask + masked)

    def _receive(self):
        """The next message, as JSON."""
        while True:
            first, second = self._exactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self._exactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._exactly(8))
            mask = self._exactly(4) if second & 0x80 else bytes(4)
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self._exactly(size)))
            opcode = first & 0x0F
            if opcode == 1:
                return json.loads(payload)
            if opcode == 8:
                raise EOFError(f"closed: {payload!r}")
            if opcode == 9:
                self._send_frame(10, payload)

    def send(self, message):
        self._send_frame(1, json.dumps(message).encode())

    def send_text(self, text):
        self._send_frame(1, text.encode())

    def call(self, method, params=None):
        """The answer: its payload, or its error."""
        call_id = str(uuid.uuid4())
        self.send({"type": "req", "id": call_id, "method": method, "params": params or {}})
        while True:
            message = self._receive()
            if message["type"] == "res" and message["id"] == call_id:
                return message["payload"] if message["ok"] else {"error": message["error"]}
            if message["type"] == "req":
                # The listener may call too; this one knows nothing.
                error = {"code": "UNKNOWN_METHOD", "message": "this client answers nothing"}
                self.send({"type": "res", "id": message["id"], "ok": False, "error": error})
            else:
                self.events.append(message)

    def connect(self, identity, mesh, role="field", name="python node", capabilities=()):
        nonce = self.call("mesh.challenge")["nonce"]
        now_ms, client_nonce = int(time.time() * 1000), str(uuid.uuid4())
        answer = self.call(
            "mesh.connect",
            {
                "version": 2,
                "deviceId": identity.device_id,
                "publicKey": identity.public_key,
                "signature": identity.sign(signed_string(identity.device_id, now_ms, nonce, mesh, role)),
                "signedAtMs": now_ms,
                "nonce": nonce,
                "clientNonce": client_nonce,
                "displayName": name,
                "capabilities": list(capabilities),
                "meshId": mesh,
                "role": role,
            },
        )
        if "error" in answer:
            return answer
        # The listener has shown who it is too.
        assert answer["nonce"] == client_nonce, answer
        raw = base64.urlsafe_b64decode(answer["publicKey"] + "=" * (-len(answer["publicKey"]) % 4))
        assert hashlib.sha256(raw).hexdigest() == answer["deviceId"], answer
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        text = signed_string(
            answer["deviceId"], answer["signedAtMs"], client_nonce, answer.get("meshId"), answer.get("role")
        )
        signature = base64.urlsafe_b64decode(answer["signature"] + "=" * (-len(answer["signature"]) % 4))
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, text.encode())
        return answer


class Listener(Node):
    """One connection that the other side has opened, upgraded and with its handshake done."""

    def __init__(self, accepted, identity, mesh, role="field", name="python node", capabilities=()):
        self.socket, self.events = accepted, []
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._exactly(1)
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line]
        key = {name.lower(): value for name, value in lines}["sec-websocket-key"]
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.socket.sendall(
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n"
            ).encode()
        )
        self._answer("mesh.challenge", lambda params: {"nonce": b64url(os.urandom(32))})
        now_ms = int(time.time() * 1000)

        def connected(params):
            nonce = params["clientNonce"]
            return {
                "version": 2,
                "deviceId": identity.device_id,
                "publicKey": identity.public_key,
                "signature": identity.sign(signed_string(identity.device_id, now_ms, nonce, mesh, role)),
                "signedAtMs": now_ms,
                "nonce": nonce,
                "displayName": name,
                "capabilities": list(capabilities),
                "meshId": mesh,
                "role": role,
            }

        self._answer("mesh.connect", connected)

    def _answer(self, method, payload_of):
        message = self._receive()
        assert message["method"] == method, message
        payload = payload_of(message["params"])
        self.send({"type": "res", "id": message["id"], "ok": True, "payload": payload})

    def _send_frame(self, opcode, payload):
        """As a server: without a mask."""
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
        self.socket.sendall(head + payload)
