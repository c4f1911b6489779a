// Package coordination holds the kinds of coordination.k8s.io.
package coordination
