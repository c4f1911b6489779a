// Package judge decides from the history of a run of chaos whether the cluster kept
// its promises, and computes the figures per kind of fault. It is pure: a history
// that was written to a file is judged again, with the same result. It imports
// nothing of ours.
//
// All times are durations since the beginning of the run, by one clock: the hosts
// of the lab share that of the machine that drives them.
package judge
