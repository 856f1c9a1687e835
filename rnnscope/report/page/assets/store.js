// What is looked at: one object of plain values. Whoever shows a part of it is told when it changes,
// at most once a frame.

class Store {
  constructor(values) {
    this.values = values;
    this.watchers = [];
    this.changed = new Set();
  }

  get(name) {
    return this.values[name];
  }

  watch(names, show) {
    this.watchers.push({ names, show });
  }

  set(changes) {
    for (const [name, value] of Object.entries(changes)) {
      if (Object.is(this.values[name], value)) continue;
      this.values[name] = value;
      this.changed.add(name);
    }
    if (this.changed.size && !this.waiting) {
      this.waiting = true;
      requestAnimationFrame(() => this.tell());
    }
  }

  tell() {
    const changed = this.changed;
    this.changed = new Set();
    this.waiting = false;
    for (const { names, show } of this.watchers) {
      if (names.some((name) => changed.has(name))) show(this.values);
    }
  }
}
