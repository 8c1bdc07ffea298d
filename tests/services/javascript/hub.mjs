// node hub.mjs HUB_URL TOKEN FOLDER: uses the Hub's official client and prints what it got as one JSON object.
import { downloadFile, fileExists, listFiles, modelInfo, pathsInfo, snapshotDownload } from "@huggingface/hub";

console.debug = () => {}; // the client tells there of each file
const [hubUrl, accessToken, cacheDir] = process.argv.slice(2);
const repo = "org/name";
const refusal = (promise) => promise.then(() => null, (error) => error.statusCode);
const found = {};

found.folder = await snapshotDownload({ repo, hubUrl, cacheDir });
const info = await modelInfo({ name: repo, hubUrl, additionalFields: ["sha", "author"] });
found.info = [info.name, info.sha, info.author, info.private, info.gated];
found.exists = [];
for (const path of ["config.json", "model.safetensors", "none.json"]) {
  found.exists.push(await fileExists({ repo, hubUrl, path }));
}
found.files = [];
for await (const file of listFiles({ repo, hubUrl, recursive: true })) {
  found.files.push(`${file.type} ${file.path}`);
}
const [weights] = await pathsInfo({ repo, hubUrl, paths: ["model.safetensors", "none.json"], expand: true });
found.weights = [weights.size, weights.lfs.oid, weights.lastCommit.id];
found.text = await (await downloadFile({ repo, hubUrl, path: "config.json", revision: "v1" })).text();

found.closed = [
  await refusal(modelInfo({ name: "org/private", hubUrl })),
  await refusal(downloadFile({ repo: "org/gated", hubUrl, path: "config.json" })),
  await refusal(modelInfo({ name: "org/private", hubUrl, accessToken: "hf_wrong" })),
  (await modelInfo({ name: "org/private", hubUrl, accessToken })).private,
  await fileExists({ repo: "org/gated", hubUrl, path: "config.json", accessToken }),
];
console.log(JSON.stringify(found));
