"""PyJWT, unmodified, verifies an access token as a stock Python server does, with a clock that is behind.

    verify_token.py KEYS_URL ISSUER AUDIENCE SECONDS_BEHIND LEEWAY

The token comes from TOKEN. Prints one JSON document: the token's client, or why it was refused.
"""

import datetime
import json
import os
import sys

import jwt
import jwt.api_jwt

keys, issuer, audience, behind, leeway = sys.argv[1:6]


class Behind(datetime.datetime):
    """A clock that is behind."""

    @classmethod
    def now(cls, tz=None):
        return super().now(tz) - datetime.timedelta(seconds=int(behind))


jwt.api_jwt.datetime = Behind
token = os.environ["TOKEN"]
result = {}
try:
    key = jwt.PyJWKClient(keys).get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token, key, algorithms=["RS256"], issuer=issuer, audience=audience, leeway=int(leeway)
    )
    result["client_id"] = claims["client_id"]
except jwt.PyJWTError as error:
    result["refused"] = f"{type(error).__name__}: {error}"
print(json.dumps(result))
