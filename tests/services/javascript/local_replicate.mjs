// node --import ./local_replicate.mjs SCRIPT: what the script sends to Replicate goes to REPLICATE_BASE_URL.
const send = globalThis.fetch;
globalThis.fetch = (target, options) =>
  send(String(target).replace("https://api.replicate.com", process.env.REPLICATE_BASE_URL), options);
