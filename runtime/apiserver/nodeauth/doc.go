// Package nodeauth decides what a node's kubelet may do: its own Node, the pods
// bound to it, and the objects those pods refer to. It imports runtime/config;
// pods come to it through [Cluster].
package nodeauth
