// Package bootstrap turns servers into a cluster and back: the story is in
// bootstrap.go, Observe → Plan → Run. What one concern needs is in the packages
// below. It may import those, runtime/config and runtime/client.
package bootstrap
