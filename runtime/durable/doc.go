// Package durable writes files that must be whole after the power was cut: whoever
// opens one has its old content or its new one, and what was returned from is there.
//
// What a process writes for as long as it runs, below /run or to be made anew at its
// next start, needs none of this. It imports nothing of ours; below it crashtest tries
// readers against everything that a disk may hold after a crash.
package durable
