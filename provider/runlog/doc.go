// Package runlog writes the provider's log_dir: each step on each host as a line of
// JSON, and for each operation a summary for people. It may import bootstrap/host,
// bootstrap/step and provider/diagnose.
//
// Calls run downward: log.go → operation.go.
package runlog
