// Stars and ratings of the cells: as Python has said them, or as the reader has just given them.

class Opinions {
  constructor(model) {
    this.model = model;
    this.read();
  }

  read() {
    this.stars = new Set(this.model.get("starred"));
    this.ratings = new Map(this.model.get("ratings"));
  }

  starred(i) { return this.stars.has(i); }
  rating(i) { return this.ratings.get(i) ?? 0; }

  // `change` is {starred?, rating?}; it holds until Python has said so.
  give(i, change) {
    this.read();
    if ("starred" in change) change.starred ? this.stars.add(i) : this.stars.delete(i);
    if ("rating" in change)
      change.rating ? this.ratings.set(i, change.rating) : this.ratings.delete(i);
  }
}
