// Package snapshot keeps what makes a master in one file: the store, and the authorities,
// keys and configuration without which nobody can read it or trust who serves it. Of such
// a file a server becomes the first master of the same cluster again, when all were lost.
// It may import runtime/config and runtime/etcd.
package snapshot
