// node replicate.mjs BASE_URL TOKEN VERSION: uses Replicate's official client and prints what it got as one JSON object.
import Replicate from "replicate";

const [baseUrl, auth, version] = process.argv.slice(2);
const replicate = new Replicate({ baseUrl, auth });
const refusal = (promise) => promise.then(() => null, (error) => error.response.status);
const found = {};

found.account = (await replicate.accounts.current()).username;
found.hardware = (await replicate.hardware.list()).map((one) => one.sku);

found.stream = [];
for await (const { event, data } of replicate.stream(version, { input: { prompt: "Why?" } })) {
  found.stream.push([event, data]);
}
found.run = await replicate.run(version, { input: { prompt: "Why?" } });
const started = await replicate.predictions.create({ version: version.split(":")[1], input: { prompt: "wait" } });
found.canceled = (await replicate.wait(await replicate.predictions.cancel(started.id), { interval: 20 })).status;
found.predictions = [];
for await (const page of replicate.paginate(replicate.predictions.list)) {
  found.predictions.push(page.length);
}

const content = Buffer.from([0, 13, 10, 255, 10, 13]);
const file = await replicate.files.create(new File([content], "a.bin", { type: "image/png" }), { mine: true });
found.file = await replicate.files.get(file.id);
found.files = (await replicate.files.list()).results.map((one) => one.id);
const input = { prompt: "Why?", image: content };
found.uploaded = (await replicate.predictions.create({ version: version.split(":")[1], input })).input.image;
found.deleted = [await replicate.files.delete(file.id), await refusal(replicate.files.get(file.id))];

found.collections = (await replicate.collections.list()).results.map((one) => one.slug);
found.collection = (await replicate.collections.get("text")).models.map((one) => one.name);
found.searched = (await replicate.models.search("WRITER")).results.map((one) => one.name);
found.not_found = (await replicate.models.search("painter")).results;

const stranger = new Replicate({ baseUrl, auth: "r8_wrong" });
found.refusals = [
  await refusal(stranger.accounts.current()),
  await refusal(replicate.collections.get("none")),
  await refusal(replicate.run(version, { input: { prompt: 5 } })),
];
console.log(JSON.stringify(found));
