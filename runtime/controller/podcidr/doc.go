// Package podcidr gives each node its part of the cluster's pod range. What is taken
// is read from the nodes at the start, so nothing else is stored.
package podcidr
