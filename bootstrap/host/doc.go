// Package host says what bootstrap needs of a server: run a command, read and
// write files, dial through it. Package ssh is the real one, hosttest a model.
// It imports nothing of ours.
package host
