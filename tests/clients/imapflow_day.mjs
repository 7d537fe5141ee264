// A day's work with imapflow. Arguments: where its package lies, then settings as JSON. Prints one JSON
// line for each step it has done, and throws at the first that does not go as it should.
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

const [where, settings] = process.argv.slice(2);
const { ImapFlow } = createRequire(where + "/")("imapflow");
const { port, user, password, ca, folder, words } = JSON.parse(settings);
const told = (step, seen = {}) => console.log(JSON.stringify({ step, ...seen }));

const client = new ImapFlow({
  host: "localhost",
  port,
  secure: true,
  tls: { ca },
  auth: { user, pass: password },
  logger: false,
  qresync: true,
});
client.on("error", error => {
  throw error;
});

await client.connect();
told("connected", { capabilities: [...client.capabilities.keys()], enabled: [...client.enabled] });

const listed = await client.list({ statusQuery: { messages: true, unseen: true } });
const uses = Object.fromEntries(listed.filter(one => one.specialUse).map(one => [one.specialUse, one.path]));
assert.deepEqual(uses, {
  "\\Inbox": "INBOX",
  "\\Sent": "Sent",
  "\\Drafts": "Drafts",
  "\\Trash": "Trash",
  "\\Junk": "Junk",
  "\\Archive": "Archive",
});
assert.equal(listed.find(one => one.path == "INBOX").status.messages, 5);
told("listed");

assert.equal((await client.mailboxCreate(folder)).created, true);
assert.equal((await client.mailboxCreate(folder)).created, false); // there already
assert((await client.list()).some(one => one.path == folder && one.subscribed));
told("folder created");

const lock = await client.getMailboxLock("INBOX");
try {
  assert.equal(client.mailbox.exists, 5);
  assert(client.mailbox.permanentFlags.has("\\*"));
  told("selected", { uidValidity: String(client.mailbox.uidValidity) });

  const subjects = [];
  for await (const message of client.fetch("1:*", {
    uid: true,
    flags: true,
    envelope: true,
    bodyStructure: true,
    internalDate: true,
    size: true,
    source: true,
    headers: ["subject"],
  })) {
    subjects.push(message.envelope.subject);
    assert.equal(message.source.length, message.size);
    assert.equal(message.bodyStructure.type, "text/plain");
    assert.equal(message.envelope.from[0].name, "Dr André");
    assert(message.headers.toString().startsWith("Subject: "));
  }
  assert.deepEqual(subjects, ["s1", "s2", "s3", "s4", "s5"]);
  const { meta, content } = await client.download("2", "1", { uid: true });
  const octets = [];
  for await (const chunk of content) {
    octets.push(chunk);
  }
  assert.equal(meta.contentType, "text/plain");
  assert.equal(Buffer.concat(octets).toString(), "Bonjour\r\n");
  told("fetched");

  assert.deepEqual(await client.search({ subject: "s2" }, { uid: true }), [2]);
  assert.deepEqual(await client.search({ body: words }, { uid: true }), [4]);
  assert.deepEqual(await client.search({ from: "André", not: { seen: true } }, { uid: true }), [1, 2, 3, 4, 5]);
  assert.deepEqual(await client.search({ or: [{ subject: "s1" }, { subject: "s3" }] }, { uid: true }), [1, 3]);
  assert.deepEqual(await client.search({ body: "introuvable" }, { uid: true }), []);
  told("searched");

  assert(await client.messageFlagsAdd("1", ["\\Seen", "$label1", "dossier"], { uid: true }));
  assert(await client.messageFlagsRemove("1", ["\\Seen"], { uid: true }));
  const { flags } = await client.fetchOne("1", { flags: true }, { uid: true });
  assert.deepEqual([...flags].filter(flag => flag != "\\Recent").sort(), ["$label1", "dossier"]);
  told("flagged");

  const moved = await client.messageMove("2:3", folder, { uid: true });
  assert.deepEqual([...moved.uidMap.entries()], [[2, 1], [3, 2]]);
  const copied = await client.messageCopy("1", folder, { uid: true });
  assert.deepEqual([...copied.uidMap.entries()], [[1, 3]]);
  assert(await client.messageDelete("5", { uid: true }));
  assert.deepEqual(await client.search({ all: true }, { uid: true }), [1, 4]);
  told("moved, copied, deleted");

  const draft = "From: marie@operateur-a.test\r\nSubject: =?utf-8?q?=C3=A9bauche?=\r\n\r\nbientôt\r\n";
  const appended = await client.append("Drafts", draft, ["\\Draft", "\\Seen"], new Date(1767348000000));
  assert.equal(appended.uid, 1);
  assert.equal(appended.destination, "Drafts");
  told("appended");

  assert.deepEqual((await client.status(folder, { messages: true, uidNext: true })).messages, 3);
  const quota = await client.getQuota("INBOX");
  assert.equal(quota.storage.limit, 1_000_000 * 1024);

  const arrival = new Promise(resolve => client.once("exists", resolve));
  const idle = client.idle();
  await pause(500); // until IDLE is on its way
  told("idling");
  const seen = await Promise.race([arrival, pause(30000, null, { ref: false })]);
  assert(seen, "IDLE told of nothing");
  assert.equal(seen.count, 3); // prevCount is off by what VANISHED told: imapflow 2.1 does not count it
  told("notified");
  await client.noop(); // ends IDLE
  await idle;
} finally {
  lock.release();
}

assert.equal((await client.mailboxRename(folder, "Fini")).newPath, "Fini");
assert.equal((await client.mailboxDelete("Fini")).path, "Fini");
await assert.rejects(client.mailboxOpen("Fini"));
await client.logout();
told("done");
