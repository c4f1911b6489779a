// Package e2e drives the real terraform and kubectl against the lab's servers:
// the steps that the demo shows, the tests assert and the benchmarks time. Each
// step checks what it did; a step that returns no error has shown it.
//
// It may import lab, runtime/config and runtime/apiserver/fuzz, and reaches everything else as a user
// would: by the built binaries.
package e2e
