// Package runlock keeps two runs from working on one cluster at a time. The run lock
// is a record on every master that can be reached, in memory only (below /run), so
// that it needs neither an API nor etcd, and none outlives its server. Files use those
// below them: keepers, keeper, grant, script, errors. It may import bootstrap/host and
// bootstrap/spec.
//
// A record ends in three ways: its holder releases it; the holder's SSH
// connection ends, which a process on the master sees within a second, so that a
// run that was killed locks nobody out; or it is not renewed for TTL, when that
// connection was cut so that neither end was told.
package runlock
