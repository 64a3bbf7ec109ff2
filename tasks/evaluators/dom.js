// HTML of the page as it stands: forms as they are filled in, open shadow roots written out at the end
// of what holds them, and marked what people cannot see and what the page shows apart.
// With `typed` every field has a `value`, one for a password too; else passwords stay in the page.
(typed) => {
  const HIDDEN = "__HIDDEN__", UNREAD = "__UNREAD__", APART = "__APART__", SHADOW = "__SHADOW__";
  const GAP_EM = 0.15; // between texts on a line that are not read as one word; a blank is 0.25 or more
  const sight = __SIGHT__;
  // In a document of its own a copy loads no image and runs nothing of the page.
  const inert = document.implementation.createHTMLDocument(""), root = document.documentElement;
  const copy = inert.importNode(root, true);
  const twins = new Map(), looked = new Map(), trees = [], shadows = [];

  // What a shadow root holds comes before what is put into its slots, which is looked at by them.
  const gather = (live, dead, from, to) => {
    trees.push([from, to]);
    live.forEach((element, i) => {
      twins.set(element, dead[i]);
      const { shadowRoot } = element;
      if (!(shadowRoot instanceof ShadowRoot)) return;
      const part = inert.createElement(SHADOW);
      for (const node of shadowRoot.childNodes) part.append(inert.importNode(node, true));
      shadows.push([dead[i], part]);
      gather([...shadowRoot.querySelectorAll("*")], [...part.querySelectorAll("*")], shadowRoot, part);
    });
  };
  gather([root, ...root.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")], root, copy);

  const holderOf = (element) => {
    const holder = element.assignedSlot ?? element.parentElement;
    if (holder) return holder;
    const top = element.getRootNode();
    return top instanceof ShadowRoot ? top.host : null;
  };

  // How an element stands among others: on lines of its own, as a box on a line, or as a part of it.
  const flowOf = (style, above) => {
    const { display } = style;
    if (/^(?:none|contents|inline|ruby.*)$/.test(display)) return "part";
    if (display.startsWith("inline-") || /^(?:inline-)?(?:flex|grid)$/.test(above.display)) return "box";
    return style.float === "none" && !/absolute|fixed/.test(style.position) ? "line" : "box";
  };

  const look = (element) => {
    const select = element.parentElement?.closest("select");
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    const above = looked.get(holderOf(element)) ?? { faded: false, clip: null, display: "block" };
    const display = style.display === "contents" ? above.display : style.display;
    if (select) return { ...looked.get(select), style, display, flow: "line" };
    const plain = element.checkVisibility(sight.PLAIN);
    const mine = { plain, style, display, flow: flowOf(style, above) };
    sight.below(mine, above, element, style, box, plain);
    const laidOut = element.checkVisibility({ visibilityProperty: true }) || style.display === "contents";
    mine.shown = laidOut && sight.shows(mine) && !sight.isAway(element, box);
    const text = [...element.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    mine.read = !text || sight.reads(mine, element, style, box, text);
    return mine;
  };
  for (const element of twins.keys()) looked.set(element, look(element));

  // A box that is drawn by its label in its place is seen where the label is.
  const isDrawnByLabel = (element) =>
    element.localName === "input" && ["checkbox", "radio", "file"].includes(element.type) &&
    [...element.labels].some((label) => looked.get(label)?.shown);

  const mark = (element, how) => {
    const twin = twins.get(element);
    twin.setAttribute(APART, `${twin.getAttribute(APART) ?? ""} ${how}`.trim());
  };

  const placeOf = (text, last) => {
    const range = document.createRange();
    range.selectNodeContents(text);
    const boxes = range.getClientRects();
    return boxes[last ? boxes.length - 1 : 0];
  };

  // How two texts stand to each other that nothing parts in the page's source: "" as one word.
  const between = (one, other, boxed) => {
    const a = placeOf(one, true), b = placeOf(other, false);
    if (!a || !b) return "";
    const overlap = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (overlap <= Math.min(a.height, b.height) / 2) return boxed ? "line" : "";
    const gap = Math.max(b.left - a.right, a.left - b.right);
    const size = parseFloat(looked.get(other.parentElement).style.fontSize);
    return gap > GAP_EM * size ? "blank" : "";
  };

  // What stands between two texts: all that ends after the one and all that begins before the other.
  const parting = (one, other) => {
    const above = new Set();
    for (let holder = one.parentElement; holder; holder = holder.parentElement) above.add(holder);
    const crossed = [];
    let shared = other.parentElement;
    for (; shared && !above.has(shared); shared = shared.parentElement) crossed.push(shared);
    for (const holder of above) {
      if (holder === shared) break;
      crossed.push(holder);
    }
    const flows = new Set(crossed.map((element) => looked.get(element).flow));
    return flows.has("line") ? "" : between(one, other, flows.has("box"));
  };

  const VERBATIM = "script, style, textarea";
  for (const [from, to] of trees) {
    const live = document.createTreeWalker(from, NodeFilter.SHOW_TEXT);
    const dead = inert.createTreeWalker(to, NodeFilter.SHOW_TEXT);
    let before = null;
    for (let text; (text = live.nextNode()) && dead.nextNode(); ) {
      const holder = text.parentElement, { data } = text, mine = looked.get(holder);
      if (mine?.style.whiteSpaceCollapse === "collapse" && !holder.matches(VERBATIM))
        dead.currentNode.data = data.replace(/[ \t\n\r\f]+/g, " ");
      if (!data.trim()) {
        before = null;
        continue;
      }
      if (!mine?.shown || !mine.read) continue;
      const how = before && /^\S/.test(data) && parting(before, text);
      if (how) {
        let sibling = text.previousSibling;
        while (sibling?.nodeType === Node.COMMENT_NODE) sibling = sibling.previousSibling;
        if (!sibling) mark(holder, `${how}-before`);
        else if (sibling.nodeType === Node.ELEMENT_NODE) mark(sibling, `${how}-after`);
      }
      before = /\S$/.test(data) ? text : null;
    }
  }

  for (const [element, twin] of twins) {
    const { shown, read, flow } = looked.get(element);
    if (!shown && !isDrawnByLabel(element)) twin.setAttribute(HIDDEN, "");
    else if (!read) twin.setAttribute(UNREAD, "");
    const kind = element.localName;
    if (flow === "line" || kind === "br") {
      const laidOut = (element.closest("select") ?? element).checkVisibility();
      mark(element, laidOut ? "line" : "hidden-line");
    }
    if (kind === "input") {
      if (typed || element.type !== "password") twin.setAttribute("value", element.value);
      twin.toggleAttribute("checked", element.checked);
    } else if (kind === "textarea") twin.textContent = element.value;
    else if (kind === "option") twin.toggleAttribute("selected", element.selected);
    if (typed && (kind === "textarea" || kind === "select")) twin.setAttribute("value", element.value);
    else if (kind === "details" || kind === "dialog") twin.toggleAttribute("open", element.open);
  }
  for (const [holder, part] of shadows) {
    part.setAttribute(APART, "line");
    holder.append(part);
  }

  // Written out, what these hold would be read as elements of the page.
  for (const element of copy.querySelectorAll("noscript, noembed, noframes, iframe, xmp, plaintext"))
    element.replaceChildren();
  for (const template of copy.querySelectorAll("template")) template.content.replaceChildren();
  const comments = inert.createNodeIterator(copy, NodeFilter.SHOW_COMMENT);
  for (let comment; (comment = comments.nextNode()); ) comment.data = "";
  return copy.outerHTML;
}
