"""Small files signed with C2PA by signers whom nobody knows, made anew for each run."""

import datetime
import functools
import io
import json

import numpy as np
import pytest
from PIL import Image

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
UNKNOWN_AUTHOR = {  # an identity of the author that nobody can check; the pixels are as signed
    "label": "cawg.identity",
    "data": {
        "signer_payload": {
            "referenced_assertions": [],
            "sig_type": "cawg.identity_claims_aggregation",
        },
        "signature": [1, 2],
        "pad1": [0, 0],
    },
}


def picture_bytes(kind="PNG", seed=0, side=64):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def mime_of(kind):
    return {"SVG": "image/svg+xml"}.get(kind) or Image.MIME.get(kind) or f"image/{kind.lower()}"


def sign(
    data,
    kind="PNG",
    source=None,
    *,
    program="Test Generator",
    signer=None,
    sources=(),
    address=None,
    more=(),
):
    """The file with a manifest: made from nothing with a source type, or from (relation, kind, file) of `sources`."""
    c2pa = pytest.importorskip("c2pa")
    chain, key, _ = signer or certificate()
    ids = [f"source{n}" for n, _ in enumerate(sources)]
    created = {"action": "c2pa.created", "digitalSourceType": SOURCE + (source or "composite")}
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ids}}
    placed = {"action": "c2pa.placed", "parameters": {"ingredientIds": ids}}
    whole = bool(sources) and sources[0][0] == "parentOf"
    actions = (
        [opened, {"action": "c2pa.converted"}] if whole else [created, *[placed] * bool(sources)]
    )
    if whole and source:
        actions.append({"action": "c2pa.edited", "digitalSourceType": SOURCE + source})
    manifest = {
        "claim_generator_info": [{"name": program}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}, *more],
    }
    builder, result = c2pa.Builder(json.dumps(manifest)), io.BytesIO()
    for name, (relation, its_kind, its_data) in zip(ids, sources):
        told = {"title": name, "relationship": relation, "instance_id": name, "label": name}
        builder.add_ingredient(json.dumps(told), mime_of(its_kind), io.BytesIO(its_data))
    if address:
        builder.set_no_embed()
        builder.set_remote_url(address)
    with c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, key, None)) as by:
        builder.sign(by, mime_of(kind), io.BytesIO(data), result)
    return result.getvalue()


@functools.cache
def certificate(studio="Test Studio", seconds=900_000):
    """(certificate chain, private key, root) in PEM, made now, to expire after so many seconds."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "signer")}
    names = {
        who: x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, who),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, studio),
            ]
        )
        for who in keys
    }
    now, pem = datetime.datetime.now(datetime.UTC), serialization.Encoding.PEM

    def certify(name):
        root = name == "root"
        issued = x509.CertificateBuilder(
            names["root"],
            names[name],
            keys[name].public_key(),
            x509.random_serial_number(),
            now - datetime.timedelta(1),
            now + datetime.timedelta(99 if root else 0, 0 if root else seconds),
            [
                x509.Extension(
                    x509.oid.ExtensionOID.BASIC_CONSTRAINTS, True, x509.BasicConstraints(root, None)
                ),
                x509.Extension(
                    x509.oid.ExtensionOID.KEY_USAGE,
                    True,
                    x509.KeyUsage(not root, False, False, False, False, root, root, False, False),
                ),
            ],
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(keys["root"].public_key()), False
        )
        if not root:
            use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            issued = issued.add_extension(use, False)
        return issued.sign(keys["root"], hashes.SHA256()).public_bytes(pem)

    private = keys["signer"].private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    root = certify("root")
    return certify("signer") + root, private, root


def with_changed_byte(data, at=-300):
    """The file with one bit of its pixels turned over."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)
