//go:build cgo && !race

package main

// builtWithCgo is what a server's gantry must not be: it has to be static, since servers
// have whatever C library they have, and its processes were seen to end with SIGSEGV
// where it was not. The race detector needs cgo; what it tests starts no process.
const builtWithCgo = true
