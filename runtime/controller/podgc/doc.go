// Package podgc deletes pods that nothing else will: ended ones beyond a threshold,
// those bound to nodes that no longer exist, and those deleted before they were ever
// bound.
package podgc
