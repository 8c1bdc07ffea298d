// node hub_uploads.mjs HUB_URL TOKEN WEIGHTS_URL: fills a repository by the Hub's official client and prints what it got.
import { commit, createRepo, listCommits, listFiles, uploadFiles } from "@huggingface/hub";

const [hubUrl, accessToken, weights] = process.argv.slice(2);
const repo = "acme/model";
const space = { type: "space", name: "acme/demo" };
const here = { repo, hubUrl, accessToken };
const refusal = (promise) => promise.then(() => null, (error) => error.statusCode);
const found = {};

found.created = (await createRepo({ ...here, visibility: "private" })).repoUrl;
const files = [new URL(weights), { path: "config.json", content: new Blob(["{}"]) }];
const first = await uploadFiles({
  ...here,
  files: [...files, { path: "a/notes.txt", content: new Blob(["notes"]) }],
  commitTitle: "Upload",
});
const parentCommit = first.commit.oid;
const without = { title: "Without notes", operations: [{ operation: "delete", path: "a/notes.txt" }] };
await commit({ ...here, ...without, parentCommit });

found.commits = [];
for await (const one of listCommits(here)) {
  found.commits.push([one.oid, one.title]);
}

await createRepo({ ...here, repo: space, sdk: "static" });
const readme = (text) => [{ path: "README.md", content: new Blob([text]) }];
await uploadFiles({ ...here, repo: space, files: readme("---\nsdk: static\n---\n") });
found.space = [];
for await (const file of listFiles({ ...here, repo: space })) {
  found.space.push(file.path);
}

found.refusals = [
  await refusal(createRepo(here)),
  await refusal(createRepo({ ...here, repo: "others/model" })),
  await refusal(createRepo({ ...here, accessToken: "hf_wrong" })),
  await refusal(commit({ ...here, ...without, parentCommit })),
  await refusal(uploadFiles({ ...here, files: readme("---\nlicense: mine\n---\n") })),
];
console.log(JSON.stringify(found));
