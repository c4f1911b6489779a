// Package daemonset keeps one pod of each DaemonSet on every node that it means, and
// updates them. Where pods belong (node.go) and what is done (plan.go) are decided
// without the API.
package daemonset
