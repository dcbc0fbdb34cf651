// jose, unmodified, verifies an access token as a stock Node server does, with a clock that is behind.
//
//   verify_token.mjs KEYS_URL ISSUER AUDIENCE SECONDS_BEHIND
//
// The token comes from TOKEN. Prints one JSON document: the token's client, or why it was refused.
import { createRemoteJWKSet, jwtVerify } from 'jose';

const [keys, issuer, audience, behind] = process.argv.slice(2);
const result = {};
try {
  const { payload } = await jwtVerify(process.env.TOKEN, createRemoteJWKSet(new URL(keys)), {
    issuer,
    audience,
    typ: 'at+jwt',
    currentDate: new Date(Date.now() - Number(behind) * 1000),
  });
  result.client_id = payload.client_id;
} catch (error) {
  result.refused = `${error.code}: ${error.message}`;
}
console.log(JSON.stringify(result));
