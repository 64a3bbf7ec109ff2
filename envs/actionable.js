// Which elements can be acted on, and what state they are in. An expression in snapshot.js, which hands it
// what it knows of the document.
(({ attribute, boxOf, fieldNamedBy, hasAttribute, matches, sight, tagOf, FORM_TAGS }) => {
  const INTERACTIVE_TAGS = new Set(["A", "BUTTON", "INPUT", "SELECT", "TEXTAREA", "SUMMARY"]);
  const INTERACTIVE_ROLES = new Set([
    "button", "link", "checkbox", "radio", "textbox", "searchbox", "combobox", "listbox", "option",
    "menuitem", "menuitemcheckbox", "menuitemradio", "tab", "switch", "slider", "spinbutton", "treeitem", "gridcell",
  ]);

  // Of several roles the first counts that the browser knows: those that cannot be acted on are
  // looked over, so that nothing that can be is lost.
  const roleOf = (element) => {
    const role = attribute(element, "role");
    if (role === null || INTERACTIVE_ROLES.has(role)) return role;
    return role.toLowerCase().split(/\s+/).find((one) => INTERACTIVE_ROLES.has(one)) ?? role;
  };

  const isShown = (element) => {
    const box = boxOf(element);
    const sized = box.width > 0 && box.height > 0;
    return sized && getComputedStyle(element).visibility === "visible" && !sight.isAway(element, box);
  };

  // The field that a label stands for: one without a box, or with one that lies where nobody gets to,
  // which a click on the label works.
  const WORKED_INPUTS = new Set(["checkbox", "radio", "file", "button", "submit", "reset", "image", "color"]);
  const fieldBehind = (label) => {
    const field = fieldNamedBy(label);
    return field && tagOf(field) === "INPUT" && WORKED_INPUTS.has(field.type) && !isShown(field) ? field : null;
  };
  // The label that stands for a field, and has its state and its bid.
  const labelBefore = (field) =>
    tagOf(field) === "INPUT"
      ? Array.from(field.labels ?? []).find((label) => fieldBehind(label) === field && isShown(label)) : undefined;

  // Anything with a listener, a pointer cursor of its own, or a native or ARIA role. What a body hears
  // it hears of all that it holds: it is acted on only to be written in.
  const isActionable = (element, tag, style, parentPointer, script, role, field) =>
    tag !== "OPTION" && (tag !== "BODY" || element.isContentEditable === true) && (
    INTERACTIVE_TAGS.has(tag) || field !== null ||
    INTERACTIVE_ROLES.has(role) ||
    ((tag === "VIDEO" || tag === "AUDIO") && hasAttribute(element, "controls")) ||
    element.isContentEditable === true ||
    script.listens(element) ||
    attribute(element, "draggable") === "true" ||
    (style.cursor === "pointer" && !parentPointer));

  const state = (element, tag, field, isFocused) => {
    const found = {};
    if (field) {
      if (field.checked) found.checked = true;
      if (field.type === "file" && field.value) found.value = field.value;
      if (matches(field, ":disabled")) found.disabled = true;
    } else if (tag === "INPUT" && (element.type === "checkbox" || element.type === "radio")) {
      if (element.checked) found.checked = true;
    } else if (tag === "INPUT" || tag === "TEXTAREA") {
      found.value = element.type === "password" ? "•".repeat(element.value.length) : element.value;
    } else if (tag === "SELECT") {
      found.value = element.selectedOptions[0]?.label ?? "";
    } else if (tag === "OPTION" && element.selected) {
      found.selected = true;
    } else if (tag === "METER" || (tag === "PROGRESS" && hasAttribute(element, "value"))) {
      found.value = String(element.value);
      if (element.max !== 1) found.max = String(element.max);
    }
    if (FORM_TAGS.has(tag)) {
      if (matches(element, ":disabled")) found.disabled = true;
      if (element.readOnly) found.readonly = true;
    }
    if (isFocused) found.focused = true;
    for (const name of ["aria-checked", "aria-selected", "aria-expanded", "aria-disabled"]) {
      const value = attribute(element, name);
      if (value === "true" || value === "false") found[name.slice(5)] = value === "true";
    }
    return found;
  };

  const labelOf = (element) =>
    element.labels?.length
      ? Array.from(element.labels, (l) => l.innerText.trim()).filter(Boolean).join(" ")
      : "";

  return { fieldBehind, isActionable, labelBefore, labelOf, roleOf, state, INTERACTIVE_ROLES };
})
