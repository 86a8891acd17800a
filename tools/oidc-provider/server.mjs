// An OAuth authorization server on loopback, for tests and for trying: clients are registered by RFC 7591 and managed by
// RFC 7592, everything is kept in memory, the signing keys are the library's own for development.
//
//   node server.mjs PORT INITIAL-ACCESS-TOKEN SCOPE…
//
// Prints `ready on <issuer>` when it serves.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [port, token, ...scopes] = process.argv.slice(2);
if (!/^[0-9]+$/.test(port ?? "") || !token) {
  console.error("usage: node server.mjs PORT INITIAL-ACCESS-TOKEN SCOPE…");
  process.exit(2);
}

// The library is where `npm ci` was run: in the working directory, and not beside this file.
const found = createRequire(`${process.cwd()}/package.json`).resolve("oidc-provider");
const { default: Provider } = await import(pathToFileURL(found));

const issuer = `http://127.0.0.1:${port}`;
const resource = "urn:bailiwick:api";
const all = ["openid", "offline_access", ...scopes];

const provider = new Provider(issuer, {
  clients: [],
  scopes: all,
  // A client that names no scope may ask for none.
  clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
  enabledJWA: { clientAuthSigningAlgValues: ["ES256"] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    registration: { enabled: true, initialAccessToken: token },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: all.join(" "),
        audience: resource,
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
      }),
    },
  },
});

provider.listen(Number(port), "127.0.0.1", () => console.log(`ready on ${issuer}`));
