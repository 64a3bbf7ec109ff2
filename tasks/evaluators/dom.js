// HTML of the page as it stands: forms as they are filled in, and marked what people cannot see.
// With `typed` every field has a `value`, one for a password too; else passwords stay in the page.
(typed) => {
  const HIDDEN = "__HIDDEN__", UNREAD = "__UNREAD__";
  const sight = __SIGHT__;
  const root = document.documentElement, copy = root.cloneNode(true);
  const live = [root, ...root.querySelectorAll("*")], dead = [copy, ...copy.querySelectorAll("*")];
  const looked = new Map();

  const look = (element) => {
    const select = element.parentElement?.closest("select");
    if (select) return looked.get(select);
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    const plain = element.checkVisibility(sight.PLAIN), mine = { plain };
    const above = looked.get(element.parentElement) ?? { faded: false, clip: null };
    sight.below(mine, above, element, style, box, plain);
    const laidOut = element.checkVisibility({ visibilityProperty: true }) || style.display === "contents";
    mine.shown = laidOut && sight.shows(mine) && !sight.isAway(element, box);
    const text = [...element.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    mine.read = !text || sight.reads(mine, element, style, box, text);
    return mine;
  };
  for (const element of live) looked.set(element, look(element));

  // A box that is drawn by its label in its place is seen where the label is.
  const isDrawnByLabel = (element) =>
    element.localName === "input" && ["checkbox", "radio", "file"].includes(element.type) &&
    [...element.labels].some((label) => looked.get(label)?.shown);

  live.forEach((element, i) => {
    const twin = dead[i], { shown, read } = looked.get(element);
    if (!shown && !isDrawnByLabel(element)) twin.setAttribute(HIDDEN, "");
    else if (!read) twin.setAttribute(UNREAD, "");
    const kind = element.localName;
    if (kind === "input") {
      if (typed || element.type !== "password") twin.setAttribute("value", element.value);
      twin.toggleAttribute("checked", element.checked);
    } else if (kind === "textarea") twin.textContent = element.value;
    else if (kind === "option") twin.toggleAttribute("selected", element.selected);
    if (typed && (kind === "textarea" || kind === "select")) twin.setAttribute("value", element.value);
    else if (kind === "details" || kind === "dialog") twin.toggleAttribute("open", element.open);
  });

  // Written out, what these hold would be read as elements of the page.
  for (const element of copy.querySelectorAll("noscript, noembed, noframes, iframe, xmp, plaintext"))
    element.replaceChildren();
  for (const template of copy.querySelectorAll("template")) template.content.replaceChildren();
  const comments = document.createNodeIterator(copy, NodeFilter.SHOW_COMMENT);
  for (let comment; (comment = comments.nextNode()); ) comment.data = "";
  return copy.outerHTML;
}
