"""Gives PyJWT every token of a file, as an application would that has Sessile's public keys.

Usage: verify.py <input> <output>
"""

import json
import sys
from datetime import datetime, timezone

import jwt
from jwt import api_jwt

ALGORITHMS = ["ES256", "EdDSA", "RS256"]


def standing_still(now):
    """A datetime whose clock shows the moment at which all three verify."""

    class StandingStill(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(now, tz or timezone.utc)

    return StandingStill


def verdict(token, keys):
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        if key_id not in keys:
            return {"accepted": False, "reason": "no key of that id"}
        claims = jwt.decode(token, keys[key_id], algorithms=ALGORITHMS)
    # A verifier may fail in any way on what is hostile: that, too, is no acceptance.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        return {"accepted": False, "reason": reason.encode("ascii", "backslashreplace").decode()}
    # As a text of its own: what it says may be no text at all, half a surrogate for instance.
    known = {name: claims.get(name) for name in ("sub", "sessionHandle")}
    return {"accepted": True, "reason": "", "claims": json.dumps(known)}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        work = json.load(file)
    api_jwt.datetime = standing_still(work["now"])
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(work["jwks"]).keys}
    verdicts = [verdict(token, keys) for token in work["tokens"]]
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump({"version": f"PyJWT {jwt.__version__}", "verdicts": verdicts}, file)


main()
