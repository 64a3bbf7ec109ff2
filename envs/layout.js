// HTML text of everything on the page that people can see, or could by scrolling. Each element carries
// `box` (x y width height in CSS pixels of the viewport), its id and class, how it is painted, and for
// drawings the numbers they are drawn from; a canvas has its picture as a data URL. Each word of text is
// a <w> with a box of its own.
(() => {
  const sight = __SIGHT__;
  const DRAWN = ["x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "points", "d", "transform"];
  const escape = (text) =>
    text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
  const boxOf = (rect) =>
    [rect.x, rect.y, rect.width, rect.height].map((n) => Math.round(n * 100) / 100).join(" ");

  const paint = (style, drawing) => {
    const found = { color: style.color };
    if (drawing) Object.assign(found, { fill: style.fill, stroke: style.stroke });
    if (style.backgroundColor !== "rgba(0, 0, 0, 0)") found.background = style.backgroundColor;
    if (style.backgroundImage !== "none") {
      found.image = style.backgroundImage.slice(0, 200);
      found["image-at"] = style.backgroundPosition;
    }
    if (style.transform !== "none") found.turned = style.transform;
    found["font-size"] = style.fontSize;
    return found;
  };

  const words = (node, out) => {
    const range = document.createRange();
    for (const word of node.data.matchAll(/\S+/g)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const rect = range.getBoundingClientRect();
      if (rect.width > 0) out.push(`<w box="${boxOf(rect)}">${escape(word[0])}</w> `);
    }
  };

  const walk = (node, out, above) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const { element, style, box } = above;
      if (node.data.trim() && sight.reads(above, element, style, box, node)) words(node, out);
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(node.tagName)) return;
    const style = getComputedStyle(node), rect = node.getBoundingClientRect();
    if (style.visibility !== "visible") return;
    const plain = node.checkVisibility(sight.PLAIN);
    if (!plain && sight.isFolded(node, node.tagName, style)) return;
    const mine = { element: node, style, box: rect, plain };
    sight.below(mine, above, node, style, rect, plain);
    const walkOn = () => { for (const child of node.childNodes) walk(child, out, mine); };
    if (!sight.shows(mine)) return walkOn(); // something in it may lie outside of what clips it
    const drawing = node instanceof SVGElement;
    const facts = { box: boxOf(rect), ...paint(style, drawing) };
    for (const name of ["id", "class", ...(drawing ? DRAWN : [])]) {
      const value = node.getAttribute(name);
      if (value) facts[name] = value;
    }
    if (node instanceof HTMLCanvasElement) facts.pixels = node.toDataURL();
    const tag = node.tagName.toLowerCase();
    out.push(`<${tag}${Object.entries(facts).map(([k, v]) => ` ${k}="${escape(v)}"`).join("")}>`);
    walkOn();
    out.push(`</${tag}>`);
  };

  const out = [];
  walk(document.body, out, { faded: false, clip: null });
  return out.join("");
})()
