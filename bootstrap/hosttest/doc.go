// Package hosttest is what bootstrap is tested against: a model of a server
// (files, units, programs) that can lose its connection before or after any
// operation, and an in-process sshd. It is linked by tests only. It may import
// bootstrap/host, bootstrap/bundle/archive and runtime/config.
package hosttest
