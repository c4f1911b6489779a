// Package stats reads what this machine is and has, and how much of it is free. It
// imports nothing of ours.
package stats
