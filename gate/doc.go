// Gate runs the stages by which a change is judged, and the suites that explore, each
// with a hard limit, a log that outlives the checkout, and its failures by name at the end.
//
//	gate                   the stages that decide, one after the other
//	gate unit kernel       some of them
//	gate -record chaos     a suite, with a line about the run in docs/runs.txt
//	gate -list             all stages and suites
//
// A test on real servers that fails runs once more, alone, and is told as flaky when it
// passes then; what must never happen, like a server that is not clean, is not tried
// again, and neither are units, linters and builds.
//
// It knows the other packages by their names and runs make, go and test binaries; it
// imports none of ours.
package main
