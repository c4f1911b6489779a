// Package gc deletes objects whose owners are gone, and carries out deletions in the
// foreground and with orphans. It watches the metadata of every kind that can be
// deleted and keeps the graph of owners. An owner that the graph does not know is
// looked for live before anything is deleted for its sake.
package gc
