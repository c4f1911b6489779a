// Package events holds the kinds of events.k8s.io. Its one kind is stored as
// the core group's: it imports core.
package events
