//go:build cgo && !race

package main

// builtWithCgo is what a server's gantry must not be: it has to be static, as servers have
// whatever C library they have, and a kubelet that unshares threads crashes with it. The
// race detector needs cgo, and the unit tests run under it start no process.
const builtWithCgo = true
