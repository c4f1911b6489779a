// Package fuzz makes requests that no client should make, of what a server says of its
// kinds, and judges the answers. Tests send them: to a server in their own process, and to
// a cluster of the lab. It imports none of our packages.
package fuzz
