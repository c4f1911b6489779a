// Package scheduling holds the kinds of scheduling.k8s.io.
package scheduling
