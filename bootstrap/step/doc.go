// Package step is how anything changes on a host: a Step is a list of typed
// Changes, each of which can say what it would do (String), whether the host is
// so already (Done, pure), and do it (Apply). One runner applies them and keeps
// a journal on the host. A dry run is printing what is pending, drift is what is
// pending on a host that was finished, and a second run has nothing to do.
// It may import bootstrap/host.
package step
