// Package reconcile is the loop that every controller shares: a rate-limited queue of
// keys, workers that reconcile one key at a time, retries with back-off, and an end
// that lets work in progress finish.
package reconcile
