// What a person does in Thunderbird, one function for each, in chrome context. A step answers what it saw
// or throws; what the server made of it is for the test to check, over a connection of its own.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

const STARTTLS = 2;
const PASSWORD = 3;
const WAIT_MS = 40000;

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

async function until(what, look) {
  const end = Date.now() + WAIT_MS;
  let trouble = "";
  while (Date.now() < end) {
    try {
      const seen = await look();
      if (seen) {
        return seen;
      }
    } catch (error) {
      trouble = ` (${error})`;
    }
    await pause(100);
  }
  throw new Error(`waited in vain: ${what}${trouble}`);
}

const account = address =>
  MailServices.accounts.accounts.find(one => one.defaultIdentity?.email == address);
const rootOf = address => account(address).incomingServer.rootFolder;
const withFlag = (address, flag) => rootOf(address).getFolderWithFlags(flag);
const inboxOf = address => withFlag(address, Ci.nsMsgFolderFlags.Inbox);

// A folder by its role ("inbox", "drafts", "sent", "trash") or by its name.
function folderOf(address, name) {
  const roles = { inbox: "Inbox", drafts: "Drafts", sent: "SentMail", trash: "Trash", archive: "Archive" };
  return name in roles
    ? withFlag(address, Ci.nsMsgFolderFlags[roles[name]])
    : rootOf(address).getChildNamed(name);
}

// Thunderbird keeps "Re: " apart, as a flag.
const subjectOf = header =>
  (header.flags & Ci.nsMsgMessageFlags.HasRe ? "Re: " : "") + header.mime2DecodedSubject;

function letterIn(folder, subject) {
  const found = [...folder.messages].filter(header => subjectOf(header) == subject);
  if (found.length != 1) {
    throw new Error(`${found.length} letters "${subject}" in ${folder.name}`);
  }
  return found[0];
}

// One object that listens as URLs, copies and searches want it, and a promise of its end.
function ending() {
  let settle;
  const ended = new Promise((resolve, reject) => {
    settle = status =>
      Components.isSuccessCode(status) ? resolve() : reject(new Error("0x" + (status >>> 0).toString(16)));
  });
  const listener = {
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
    OnStartRunningUrl() {},
    OnStopRunningUrl: (url, status) => settle(status),
    onStartCopy() {},
    onProgress() {},
    setMessageKey() {},
    getMessageId: () => null,
    onStopCopy: settle,
  };
  return { listener, ended };
}

// Get Messages. An update that finds another under way joins it, and its own end is never told.
async function update(folder) {
  const { listener, ended } = ending();
  folder.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, listener);
  await Promise.race([ended, pause(3000)]);
}

async function about3Pane() {
  const tabs = Services.wm.getMostRecentWindow("mail:3pane").document.getElementById("tabmail");
  return until("the main window", () => {
    const pane = tabs.currentAbout3Pane;
    return pane?.document.readyState == "complete" && pane.displayFolder && pane;
  });
}

async function composer(type, address, original) {
  const identity = account(address).defaultIdentity;
  const parameters = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(
    Ci.nsIMsgComposeParams
  );
  parameters.identity = identity;
  parameters.type = type;
  parameters.format = Ci.nsIMsgCompFormat.PlainText;
  parameters.composeFields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(
    Ci.nsIMsgCompFields
  );
  if (original) {
    parameters.originalMsgURI = original.folder.getUriForMsg(original);
    parameters.origMsgHdr = original;
  }
  MailServices.compose.OpenComposeWindowWithParams(null, parameters);
  const window = await until("the composer", () => {
    const found = Services.wm.getMostRecentWindow("msgcompose");
    return found?.gMsgCompose?.editor && found.gWindowLocked === false && found;
  });
  await pause(1500); // the quoted text and the identity's settings come in after the window is ready
  return window;
}

function sendListener() {
  let settle;
  const ended = new Promise(resolve => (settle = resolve));
  return {
    ended,
    listener: {
      QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener"]),
      onStartSending() {},
      onProgress() {},
      onStatus() {},
      onStopSending: (id, status) => settle("0x" + (status >>> 0).toString(16)),
      onSendNotPerformed: () => settle("not performed"),
      onGetDraftFolderURI() {},
      onTransportSecurityError: (id, status, info, place) => settle(`TLS of ${place}`),
    },
  };
}

const steps = {
  // Two servers, STARTTLS on both, a stored password: what "Configure manually" asks for. `user` is another
  // user name than the address.
  async configure({ address, user = address, password, name, host, imap, smtp }) {
    for (const scheme of ["imap", "smtp"]) {
      const origin = `${scheme}://${host}`;
      const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
      login.init(origin, null, origin, user, password, "", "");
      await Services.logins.addLoginAsync(login);
    }
    const incoming = MailServices.accounts.createIncomingServer(user, host, "imap");
    incoming.port = imap;
    incoming.socketType = STARTTLS;
    incoming.authMethod = PASSWORD;
    incoming.prettyName = address;
    incoming.doBiff = false; // IDLE alone tells of new mail
    incoming.loginAtStartUp = true;
    incoming.QueryInterface(Ci.nsIImapIncomingServer).useIdle = true;
    const outgoing = MailServices.outgoingServer.createServer("smtp").QueryInterface(Ci.nsISmtpServer);
    outgoing.hostname = host;
    outgoing.port = smtp;
    const server = outgoing.QueryInterface(Ci.nsIMsgOutgoingServer);
    server.username = user;
    server.socketType = STARTTLS;
    server.authMethod = PASSWORD;
    const identity = MailServices.accounts.createIdentity();
    identity.email = address;
    identity.fullName = name;
    identity.valid = true;
    identity.composeHtml = false;
    identity.smtpServerKey = server.key;
    const made = MailServices.accounts.createAccount();
    made.addIdentity(identity);
    made.incomingServer = incoming;
    if (!MailServices.accounts.defaultAccount) {
      MailServices.accounts.defaultAccount = made;
    }
    return made.key;
  },

  // Get Messages: the folders as Thunderbird lists them, and how many letters the INBOX has.
  async sync(address) {
    MailServices.accounts.accounts; // loaded
    account(address).incomingServer.performExpand(null);
    const inbox = await until("the INBOX", () => inboxOf(address));
    await update(inbox);
    await until("a letter", () => inbox.getTotalMessages(false) > 0);
    return {
      total: inbox.getTotalMessages(false),
      unread: inbox.getNumUnread(false),
      folders: rootOf(address).descendants.map(folder => folder.name),
    };
  },

  // Clicks the folder, then the letter; answers what the list and the reading pane show.
  async show(address, subject) {
    const main = Services.wm.getMostRecentWindow("mail:3pane");
    main.moveTo(0, 0);
    main.resizeTo(main.screen.width, main.screen.height);
    const pane = await about3Pane();
    const inbox = inboxOf(address);
    pane.displayFolder(inbox.URI);
    const index = await until("the letter in the list", () => {
      const view = pane.gDBView;
      if (!view || view.viewFolder != inbox) {
        return false;
      }
      for (let row = 0; row < view.rowCount; row++) {
        if (subjectOf(view.getMsgHdrAt(row)) == subject) {
          return row + 1;
        }
      }
      return false;
    });
    pane.threadTree.selectedIndex = index - 1;
    pane.threadTree.scrollToIndex(index - 1, true);
    const text = await until("the letter's text", () => {
      const browser = pane.messageBrowser.contentWindow.getMessagePaneBrowser();
      const shown = browser.contentDocument?.body?.textContent ?? "";
      return browser.contentDocument?.readyState == "complete" && shown.includes(subject) && shown;
    });
    await pause(1500); // until it is painted
    return { rows: pane.gDBView.rowCount, subject: subjectOf(pane.gDBView.hdrForFirstSelectedMessage), text };
  },

  async read(address, subjects) {
    const inbox = inboxOf(address);
    const letters = subjects.map(subject => letterIn(inbox, subject));
    inbox.markMessagesRead(letters, true);
  },

  async flag(address, subjects) {
    const inbox = inboxOf(address);
    const letters = subjects.map(subject => letterIn(inbox, subject));
    inbox.markMessagesFlagged(letters, true);
  },

  async tag(address, subjects, keywords) {
    const inbox = inboxOf(address);
    inbox.addKeywordsToMessages(
      subjects.map(subject => letterIn(inbox, subject)),
      keywords
    );
  },

  async createFolder(address, name) {
    rootOf(address).createSubfolder(name, null);
    await until("the new folder", () => rootOf(address).getChildNamed(name));
  },

  async transfer(address, subjects, name, isMove) {
    const inbox = inboxOf(address);
    const letters = subjects.map(subject => letterIn(inbox, subject));
    const target = folderOf(address, name);
    const { listener, ended } = ending();
    MailServices.copy.copyMessages(inbox, letters, target, isMove, listener, null, false);
    await ended;
  },

  // Waits until the folder, named or by its role, lists exactly these letters.
  async lists(address, name, subjects) {
    const wanted = JSON.stringify(subjects.toSorted());
    const folder = await until(`the folder ${name}`, () => folderOf(address, name));
    await until(`${subjects.length} letters in ${name}`, async () => {
      await update(folder);
      return JSON.stringify([...folder.messages].map(subjectOf).sort()) == wanted;
    });
  },

  // The Delete key: to the Trash.
  async remove(address, subjects) {
    const inbox = inboxOf(address);
    const before = inbox.getTotalMessages(false);
    inbox.deleteMessages(subjects.map(subject => letterIn(inbox, subject)), null, false, false, null, false);
    await until("the letter gone", () => inbox.getTotalMessages(false) == before - subjects.length);
  },

  // Edit, Find, Search Messages, "run search on server": `where` is Subject or Body.
  async search(address, where, words) {
    const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
    session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, inboxOf(address));
    const term = session.createTerm();
    term.attrib = Ci.nsMsgSearchAttrib[where];
    term.op = Ci.nsMsgSearchOp.Contains;
    const value = term.value;
    value.attrib = term.attrib;
    value.str = words;
    term.value = value;
    session.appendTerm(term);
    const found = [];
    const done = new Promise((resolve, reject) => {
      session.registerListener({
        QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
        onNewSearch() {},
        onSearchHit: header => found.push(subjectOf(header)),
        onSearchDone: resolve,
      });
      setTimeout(() => reject(new Error("the search does not end")), WAIT_MS);
    });
    session.search(null);
    await done;
    return found.sort();
  },

  // Write, then Save as Draft.
  async draft(address, to, subject, text) {
    const window = await composer(Ci.nsIMsgCompType.New, address);
    window.gMsgCompose.compFields.to = to;
    window.CompFields2Recipients(window.gMsgCompose.compFields);
    window.document.getElementById("msgSubject").value = subject;
    window.gMsgCompose.editor.insertText(text);
    window.goDoCommand("cmd_saveAsDraft");
    await steps.lists(address, "drafts", [subject]);
    await until("the draft saved", () => !window.gSaveOperationInProgress && !window.gWindowLocked);
    window.gMsgCompose.bodyModified = false;
    window.close();
    await until("the composer closed", () => !Services.wm.getMostRecentWindow("msgcompose"));
  },

  // Reply, some words above the quotation, Send.
  async reply(address, subject, text) {
    const window = await composer(Ci.nsIMsgCompType.Reply, address, letterIn(inboxOf(address), subject));
    const editor = window.gMsgCompose.editor;
    editor.beginningOfDocument();
    editor.insertText(text);
    editor.insertLineBreak();
    editor.insertLineBreak();
    const { listener, ended } = sendListener();
    window.gMsgCompose.addMsgSendListener(listener);
    const written = window.document.getElementById("msgSubject").value;
    window.goDoCommand("cmd_sendNow");
    const status = await Promise.race([ended, pause(WAIT_MS).then(() => "no end")]);
    if (status != "0x0") {
      throw new Error(`the reply: ${status}`);
    }
    await until("the composer closed", () => !Services.wm.getMostRecentWindow("msgcompose"));
    return written;
  },

  // Asks nothing of the server: how long until the letter shows by itself.
  async arrival(address, subject) {
    const begun = Date.now();
    await until("the letter that IDLE tells of", () =>
      [...inboxOf(address).messages].some(header => subjectOf(header) == subject)
    );
    return (Date.now() - begun) / 1000;
  },

  // Asks nothing of the server: waits until a letter of the INBOX bears a mark (read, flagged, replied, or a
  // keyword) that somebody else has set.
  async marked(address, subject, mark) {
    const looks = {
      read: header => header.isRead,
      flagged: header => header.isFlagged,
      replied: header => header.flags & Ci.nsMsgMessageFlags.Replied,
    };
    const look = looks[mark] ?? (header => header.getStringProperty("keywords").split(" ").includes(mark));
    await until(`${subject} ${mark}`, () => look(letterIn(inboxOf(address), subject)));
  },

  // Asks nothing of the server: waits until the INBOX lists exactly these letters.
  async stands(address, subjects) {
    const wanted = JSON.stringify(subjects.toSorted());
    const inbox = inboxOf(address);
    await until(
      `an INBOX of ${subjects.length}`,
      () => JSON.stringify([...inbox.messages].map(subjectOf).sort()) == wanted
    );
  },

  // From nothing: how many seconds until the INBOX lists `count` letters, and what was listed on the way.
  async fill(address, count, patience) {
    const begun = Date.now();
    const seconds = () => (Date.now() - begun) / 1000;
    account(address).incomingServer.performExpand(null);
    const inbox = await until("the INBOX", () => inboxOf(address));
    const pane = await about3Pane();
    pane.displayFolder(inbox.URI);
    const listed = [];
    while (seconds() < patience) {
      const now = inbox.msgDatabase?.dBFolderInfo.numMessages ?? 0;
      if (now != listed.at(-1)?.letters) {
        listed.push({ letters: now, seconds: seconds() });
      }
      if (now >= count && pane.gDBView?.rowCount >= count) {
        return listed;
      }
      await pause(100);
    }
    throw new Error(`${listed.at(-1)?.letters} letters after ${patience} s`);
  },

  // Waits until the head of the list says so many letters: it lags behind the list itself.
  async counted(count) {
    const pane = await about3Pane();
    const label = pane.document.getElementById("threadPaneFolderCount");
    await until(`${count} letters`, () => label.textContent.replace(/\D/g, "") == String(count));
  },

  // Edit, Find, Search Messages, "Run search on server", Body contains: the dialogue itself, left open.
  async searchDialogue(address, words, patience) {
    const main = Services.wm.getMostRecentWindow("mail:3pane");
    const window = main.openDialog(
      "chrome://messenger/content/SearchDialog.xhtml",
      "_blank",
      "chrome,resizable,status,dialog=no",
      { folder: inboxOf(address) }
    );
    await until("the search dialogue", () => window.gSearchTerms?.length && window.gCurrentFolder);
    window.moveTo(60, 60);
    window.resizeTo(1160, 700);
    const online = window.document.getElementById("checkSearchOnline");
    online.checked = true;
    online.doCommand();
    const term = window.gSearchTerms[0].obj;
    term.searchattribute.value = Ci.nsMsgSearchAttrib.Body;
    term.searchoperator.value = Ci.nsMsgSearchOp.Contains;
    term.searchvalue.input.value = words;
    await pause(1000);
    const begun = Date.now();
    window.document.getElementById("search-button").doCommand();
    while (window.gFolderDisplay.view.searching || !window.gDBView?.rowCount) {
      if (Date.now() - begun > patience * 1000) {
        throw new Error(`the search does not end within ${patience} s`);
      }
      await pause(20);
    }
    const seconds = (Date.now() - begun) / 1000;
    window.gDBView.selection.select(0);
    await pause(1500); // until it is painted
    const found = [];
    for (let row = 0; row < window.gDBView.rowCount; row++) {
      found.push(subjectOf(window.gDBView.getMsgHdrAt(row)));
    }
    return { seconds, found, status: window.document.getElementById("statusText").value };
  },

  // The folders, asked for again.
  async folders(address) {
    account(address).incomingServer.performExpand(null);
    await pause(2000);
    return rootOf(address).descendants.map(folder => folder.name);
  },

  async compact(address) {
    const { listener, ended } = ending();
    inboxOf(address).compact(listener, null);
    await ended;
  },
};
