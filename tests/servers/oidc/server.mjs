// An authorization server for tests, made of the certified oidc-provider package.
//   node server.mjs DIR
// Prints "READY URL" when it listens, at a free port of the loopback address. Writes the private
// key of the client svc-jwt to DIR/client-key.pem. Ends when its standard input does.
// ACCESS_TTL: how many seconds a token lives.
// GET /api/items is an API that takes the tokens.
// POST /test/device {"user_code": "...", "deny": false} stands for a person with another device.
// GET /test/log tells the grants of all tokens, with the time in ms, and the statuses of all calls of the API.
import { Provider } from 'oidc-provider';
import * as jose from 'jose';
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = process.argv[2];
const life = Number(process.env.ACCESS_TTL ?? 3600);

const server = createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;

const signing = await jose.generateKeyPair('RS256', { extractable: true });
const client = await jose.generateKeyPair('ES256', { extractable: true });
writeFileSync(join(directory, 'client-key.pem'), await jose.exportPKCS8(client.privateKey), { mode: 0o600 });
const jwk = async (key, more) => ({ ...(await jose.exportJWK(key)), ...more });

const service = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: 'api:read api:write' };
const provider = new Provider(issuer, {
  jwks: { keys: [await jwk(signing.privateKey, { kid: 'sig', alg: 'RS256', use: 'sig' })] },
  cookies: { keys: ['tests-only'] },
  scopes: ['openid', 'offline_access', 'api:read', 'api:write'],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
  clients: [
    // Needs every kind of escape there is.
    { client_id: 'svc-basic', client_secret: 's:e c/r+et%1', token_endpoint_auth_method: 'client_secret_basic', ...service },
    { client_id: 'svc-post', client_secret: 's:e c/r+et%1', token_endpoint_auth_method: 'client_secret_post', ...service },
    { client_id: 'svc-jwt', token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [await jwk(client.publicKey, { kid: 'c1', alg: 'ES256', use: 'sig' })] }, ...service },
    { client_id: 'cli', token_endpoint_auth_method: 'none', application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'], redirect_uris: ['http://127.0.0.1/callback'], scope: 'openid offline_access api:read' },
  ],
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true, allowedPolicy: async () => true },
    revocation: { enabled: true, allowedPolicy: async () => true },
  },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
  findAccount: async (_context, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  ttl: {
    AccessToken: life, ClientCredentials: life, RefreshToken: 3600, DeviceCode: 60, IdToken: 60,
    Grant: 3600, Session: 3600, Interaction: 600, AuthorizationCode: 60,
  },
});

const log = { tokens: [], calls: [] };
provider.on('grant.success', (context) => log.tokens.push({ grant: context.oidc.params.grant_type, at: Date.now() }));

async function device(context) {
  const chunks = [];
  for await (const chunk of context.req) chunks.push(chunk);
  const { user_code: userCode, deny } = JSON.parse(Buffer.concat(chunks).toString());
  const code = await provider.DeviceCode.findByUserCode(userCode.replace(/[^A-Za-z]/g, '').toUpperCase());
  if (deny) {
    Object.assign(code, { error: 'access_denied', errorDescription: 'the person said no' });
  } else {
    const grant = new provider.Grant({ accountId: 'jane', clientId: code.clientId });
    grant.addOIDCScope(code.params.scope);
    const authTime = Math.floor(Date.now() / 1000);
    Object.assign(code, { accountId: 'jane', grantId: await grant.save(), scope: code.params.scope, authTime });
  }
  await code.save();
  context.status = 204;
}

async function items(context) {
  const [scheme, value] = (context.get('authorization') ?? '').split(' ');
  const known = scheme === 'Bearer' && value
    && (await provider.ClientCredentials.find(value) ?? await provider.AccessToken.find(value));
  if (known) {
    context.body = { items: [1, 2, 3] };
  } else {
    context.status = 401;
    context.set('www-authenticate', value ? 'Bearer error="invalid_token"' : 'Bearer');
  }
  log.calls.push(context.status);
}

provider.use(async (context, next) => {
  switch (`${context.method} ${context.path}`) {
    case 'GET /api/items': return items(context);
    case 'POST /test/device': return device(context);
    case 'GET /test/log': context.body = log; return undefined;
    default: return next();
  }
});

server.on('request', provider.callback());
console.log(`READY ${issuer}`);
process.stdin.on('end', () => process.exit(0)).resume();
