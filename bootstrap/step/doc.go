// Package step is how anything changes: a Step is a list of typed Changes, of files,
// units and programs on a host (files.go, units.go, command.go) or of the cluster
// (cluster.go: members of etcd, Nodes, pods, certificates). Each can say what it would
// do (String), whether it is so already (Done, pure), and do it (Apply). One runner
// (run.go) applies them and keeps a journal (journal.go): a host's own on the host, the
// cluster's on a master. A dry run is printing what is pending, drift is what is
// pending on a host that was finished, and a second run has nothing to do on it. It may
// import bootstrap/host.
package step
