// Package expectations remembers creations and deletions that were asked for but not
// yet seen by an informer, so that a controller with a cache that is behind neither
// creates nor deletes twice.
package expectations
