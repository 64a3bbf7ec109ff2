// Chromium has one clipboard for all that it shows; here each episode has its own. Runs before any page
// script, in every document, in the world of snapshot.js. What has been copied is kept by type, as
// {"text/plain": "…"}, and passed on to whoever made `webdojoCopied`.
(() => {
  if (window.webdojoClipboard) return;

  let held = {};
  const hold = (copied) => void (held = copied);
  const { dispatchEvent } = EventTarget.prototype, { execCommand } = Document.prototype;

  // The page hears of it by another event, whose data are the episode's; whether it left the rest to the
  // browser.
  const passOn = (event, data) => {
    event.stopImmediatePropagation();
    const how = { bubbles: true, cancelable: true, composed: true, clipboardData: data };
    return dispatchEvent.call(event.composedPath()[0], new ClipboardEvent(event.type, how));
  };

  const copy = (event) => {
    if (!event.isTrusted) return;
    const data = new DataTransfer(), copied = {};
    if (passOn(event, data)) {
      const text = String(getSelection());
      if (text) copied["text/plain"] = text;
    } else {
      event.preventDefault();
      for (const type of data.types) copied[type] = data.getData(type);
    }
    if (!Object.keys(copied).length) return;
    hold(copied);
    window.webdojoCopied?.(JSON.stringify(copied));
  };

  const paste = (event) => {
    if (!event.isTrusted) return;
    const data = new DataTransfer(), text = held["text/plain"];
    for (const type in held) data.setData(type, held[type]);
    event.preventDefault();
    if (!passOn(event, data) || !text) return;
    try { execCommand.call(document, "insertText", false, text); } catch { /* a document that is not HTML */ }
  };

  // A document that is opened anew has lost all listeners; to add one that is there does nothing.
  const listen = () => {
    for (const type of ["copy", "cut"]) window.addEventListener(type, copy, true);
    window.addEventListener("paste", paste, true);
  };
  listen();
  new MutationObserver(listen).observe(document, { childList: true });

  window.webdojoClipboard = Object.freeze({ hold });
})();
